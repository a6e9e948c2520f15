"""Measuring storytellers on stories that they have not seen."""
