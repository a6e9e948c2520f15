"""Two processes that do some work together: started without a launcher and without a port, or by accelerate's."""

import multiprocessing
import os
import subprocess
import sys
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storylab.errors import StoryLabError
from storylab.processes import Processes, is_silent, join

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["storylab.training.run"])


def _run(rank: int, work, folder, meeting, results) -> None:
    import torch

    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    try:
        torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
        results.put((rank, work(join("work"), folder)))
    except StoryLabError as error:
        results.put((rank, (type(error).__name__, str(error), is_silent(error))))
    except BaseException:
        results.put((rank, traceback.format_exc()))


def both(work: Callable[[Processes, Path], Any], folder: Path, answers: int = 2) -> list[Any]:
    """What each of two processes makes of some work.

    Args:
        work: Called with the processes and the folder; it and what it returns can be pickled.
        folder: Theirs; they meet in a file there.
        answers: How many of them live to answer; None stands for the others.
    """
    results, meeting = SERVER.Queue(), folder / f"meeting-{uuid.uuid4()}"
    started = [SERVER.Process(target=_run, args=(rank, work, folder, meeting, results)) for rank in range(2)]
    for process in started:
        process.start()
    try:
        found = dict(results.get(timeout=120) for _ in range(answers))
        for process in started:
            process.join(60)
            assert not process.is_alive()
    finally:
        for process in started:
            process.kill()
    return [found.get(rank) for rank in range(2)]


# `accelerate launch --cpu --num_processes 2` starts a single process unless MPI is there
# (huggingface/accelerate#2741); its launcher for GPUs starts two anywhere, and --device cpu keeps them there.
LAUNCH = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
LAUNCH += " --dynamo_backend no --main_process_port 0 -m"


def launch(root: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """A module of the project, with its arguments, on two processes without a GPU.

    Args:
        root: The project's.
        folder: Where they run.
        *arguments: The module and what follows it.
    """
    return subprocess.run(
        [sys.executable, *LAUNCH.split(), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=280,
    )
