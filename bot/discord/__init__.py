"""Discord: slash commands in, cards of pictures out."""
