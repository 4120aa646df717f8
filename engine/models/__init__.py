"""The models, each a Flax NNX module that loads the released checkpoint."""
