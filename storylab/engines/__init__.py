"""Engines: the same models, computed outside torch where that is faster.

A model that is told with is written down as a graph of ONNX Runtime's operators, one file an architecture, over the
weights that torch has loaded. Torch stays what trains, scores and inspects; an engine only tells.
"""
