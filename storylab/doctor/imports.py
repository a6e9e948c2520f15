"""Imports packages, one after the other, and says how it went: `python -m storylab.doctor.imports NAME ...`."""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

from storylab.doctor.finding import in_a_line


def main(names: list[str]) -> None:
    """Print a line of JSON before each package, and one behind it."""
    for name in names:
        _print({"begun": name})
        started = time.perf_counter()
        try:
            module = importlib.import_module(name)
            told = {"imported": name, "seconds": round(time.perf_counter() - started, 2), **_facts(name, module)}
        except BaseException as error:  # whatever a broken package raises, SystemExit included
            told = {"broken": name, "reason": in_a_line(error)}
        _print(told)


def _facts(name: str, module: Any) -> dict[str, Any]:
    if name == "torch":
        cuda = module.cuda.is_available()
        return {
            "threads": module.get_num_threads(),
            "instructions": module.backends.cpu.get_cpu_capability(),
            "cuda_build": module.version.cuda,
            "cuda": [_device(module, number) for number in range(module.cuda.device_count())] if cuda else [],
        }
    if name == "onnxruntime":
        return {"providers": module.get_available_providers()}
    return {}


def _device(torch: Any, number: int) -> dict[str, Any]:
    about = torch.cuda.get_device_properties(number)
    return {"name": about.name, "memory": about.total_memory, "bf16": torch.cuda.is_bf16_supported()}


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
