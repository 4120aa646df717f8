"""Where checkpoints are fetched from. Nothing here writes: see `engine/fetch.py`."""
