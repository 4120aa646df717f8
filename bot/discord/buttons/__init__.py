"""The buttons under a message: what they are called, what they do, and for whom."""
