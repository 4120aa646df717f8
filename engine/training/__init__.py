"""How the demo checkpoint was made. Never imported by the serving code."""
