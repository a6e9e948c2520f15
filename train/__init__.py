"""One recipe a checkpoint, and `python -m train NAME`."""
