"""The local page, served to this machine only."""
