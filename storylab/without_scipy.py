"""transformers' language models without scipy, which it imports for the losses of object detection alone.

Whoever imports one of its models imports the losses of all tasks, and scipy.optimize with them for one function: 33 MiB
and a fifth of the time that the import takes.
"""

import sys
from typing import Any

LOSSES = "transformers.loss"


def import_losses() -> None:
    """Import transformers' losses now, unless somebody has; scipy follows once an object is to be detected."""
    if f"{LOSSES}.loss_utils" in sys.modules:
        return
    from transformers import utils

    is_there = utils.is_scipy_available
    utils.is_scipy_available = lambda: False
    try:
        from transformers.loss import loss_utils  # noqa: F401
    finally:
        utils.is_scipy_available = is_there
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{LOSSES}.") and hasattr(module, "is_scipy_available"):
            module.is_scipy_available = is_there
            if is_there():
                module.linear_sum_assignment = _linear_sum_assignment


def _linear_sum_assignment(*arguments: Any, **named: Any) -> Any:
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(*arguments, **named)
