"""transformers' models come without scipy, and what needs it still finds it."""

import subprocess
import sys

CODE = """
import sys
from storylab import load
load("seq2seq")
print("scipy" in sys.modules)
import torch
from transformers.loss import loss_for_object_detection, loss_rt_detr
for module in (loss_for_object_detection, loss_rt_detr):
    print(module.linear_sum_assignment(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))[1].tolist(), module.is_scipy_available())
"""


def test_a_storyteller_is_loaded_without_scipy_and_losses_find_it_when_they_need_it(root):
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True)
    assert done.stdout.split("\n")[:3] == ["False", "[1, 0] True", "[1, 0] True"], done.stderr
