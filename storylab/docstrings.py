"""What the fields of a dataclass mean: the docstrings below them, which Python itself keeps nowhere."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path


@cache
def field_help(kind: type) -> dict[str, str]:
    """The docstring of every field that has one, by the field's name, on one line.

    Args:
        kind: A class at the top of its module, whose file is read, once.
    """
    module = ast.parse(Path(sys.modules[kind.__module__].__file__).read_text(encoding="utf-8"))
    body = next(node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    return {
        node.target.id: " ".join(inspect.cleandoc(below.value.value).split())
        for node, below in pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }
