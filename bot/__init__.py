"""The edge: people, platforms, rules."""
