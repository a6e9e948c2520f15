"""A recipe and stories make a checkpoint."""
