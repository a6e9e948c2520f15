"""Several processes at one piece of work, as `accelerate launch` starts them: who does what, and one error for all."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from typing import Any, TypeVar

from storylab.errors import StoryLabError
from storylab.memory import TOO_LITTLE, is_memory_error

PAUSE = 1.0
"""Seconds for the first process to speak, where they have not met."""
Part = TypeVar("Part")
Result = TypeVar("Result")


class SharedError(StoryLabError):
    """An error that all processes of a launch end with: the first one says it, the others say nothing."""


class Processes:
    """One process, which does all the work by itself."""

    index = 0
    """Which of them this one is."""
    number = 1
    """How many there are."""

    @property
    def main(self) -> bool:
        """Whether this one writes, prints and measures."""
        return self.index == 0

    def device(self, asked: str) -> str:
        """Where this process computes when it is asked to compute somewhere."""
        return asked

    def gather(self, value: Any) -> list[Any]:
        """What every process holds, in the order of the processes."""
        return [value]

    def each(self, parts: Sequence[Part], work: Callable[[Part], Iterable[Result]]) -> Iterator[Result]:
        """Divide parts among the processes, and hand every process what came of all parts, in their order.

        Args:
            parts: The same in every process.
            work: What to do with one; its results can be pickled.

        Raises:
            SharedError: Work failed in one of several processes; it is raised in all.
        """
        for part in parts:
            yield from work(part)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Do something in every process; where it fails in one of several, all raise a `SharedError`."""
        yield

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Do what the processes do step by step together; one that loses another raises a `SharedError`."""
        yield


ALONE = Processes()
"""For what was not launched as several."""


GONE = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited")
"""What gloo and NCCL say of a process that is no more; their errors have no class of their own."""


class Launched(Processes):
    """One of several processes."""

    def __init__(self, device: str) -> None:
        """Meet the others: through gloo on a processor, else through what joins GPUs, if there are any.

        Raises:
            StoryLabError: They can't be reached, or GPUs are asked for and there is none.
        """
        from accelerate import PartialState

        try:
            state = PartialState(cpu=device == "cpu")
        except (RuntimeError, ValueError) as error:
            raise StoryLabError(f"the other processes can't be reached: {_reason(error)}") from None
        if state.num_processes != int(os.environ["WORLD_SIZE"]):  # accelerate lets each work for itself then
            error = StoryLabError if os.environ["LOCAL_RANK"] == "0" else SharedError  # one line a machine
            raise error("there is no GPU for several processes: say --device cpu to stay on the processor")
        self.index, self.number, self._place = state.process_index, state.num_processes, state.local_process_index

    def device(self, asked: str) -> str:
        """A GPU of its own, where GPUs are asked for.

        Raises:
            StoryLabError: One certain GPU is asked for.
        """
        if ":" in asked:
            raise StoryLabError(f"each process takes a device of its own: say --device {asked.split(':')[0]}")
        return asked if asked == "cpu" else f"{asked}:{self._place}"

    def gather(self, value: Any) -> list[Any]:
        from accelerate.utils import gather_object

        with self.in_step():
            return gather_object([value])

    def each(self, parts: Sequence[Part], work: Callable[[Part], Iterable[Result]]) -> Iterator[Result]:
        for first in range(0, len(parts), self.number):
            results, failure = [], None
            own = parts[first : first + self.number][self.index : self.index + 1]  # none, when fewer are left
            try:
                results = [result for part in own for result in work(part)]
            except Exception as error:
                failure = error
            for found in self._agree(results, failure):
                yield from found

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        failure = None
        try:
            yield
        except SharedError:  # the others know of it
            raise
        except Exception as error:
            failure = error
        self._agree(None, failure)

    @contextmanager
    def in_step(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if not any(word in str(error) for word in GONE):
                raise
            raise SharedError("another process has ended before its work was done") from error

    def _agree(self, result: Any, failure: Exception | None) -> list[Any]:
        """Every process's result; where one failed, the first failure as everybody's error."""
        everyone = self.gather((result, failure and _reason(failure)))
        for reason in (reason for _, reason in everyone if reason):
            raise SharedError(reason) from failure
        return [result for result, _ in everyone]


def _reason(error: Exception) -> str:
    """An error in one line, with its kind where it was not made for people."""
    if isinstance(error, StoryLabError):
        return str(error)
    if is_memory_error(error):
        return TOO_LITTLE
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"


def are_several() -> bool:
    """Whether a launcher has started this process as one of several."""
    return {"RANK", "LOCAL_RANK"} <= os.environ.keys() and os.environ.get("WORLD_SIZE", "1") != "1"


def is_first() -> bool:
    """Whether this process speaks for all, known before they have met."""
    return not are_several() or os.environ["RANK"] == "0"


def is_silent(error: StoryLabError) -> bool:
    """Whether another process says this error; it is left the time to."""
    if is_first() or not isinstance(error, SharedError):
        return False
    _outlast_the_first()
    return True


def _outlast_the_first() -> None:
    """Wait until the first process has spoken and ended: a launcher ends all as soon as one of them has."""
    from torch import distributed

    if not distributed.is_initialized():
        time.sleep(PAUSE)
        return
    with suppress(RuntimeError):
        distributed.barrier()  # to which the first one doesn't come: its end is what lets this one go


@contextmanager
def first_speaks() -> Iterator[None]:
    """Let the first process alone print: of what all would say alike, such as a usage line."""
    with ExitStack() as stack:
        if not is_first():
            stack.enter_context(redirect_stdout(StringIO()))
            stack.enter_context(redirect_stderr(StringIO()))
        try:
            yield
        except SystemExit:
            if not is_first():
                time.sleep(PAUSE)
            raise


def refuse_lone_launch(command: str) -> None:
    """Refuse to be the only process where several were asked for.

    Raises:
        StoryLabError: accelerate 1.15 was told `--cpu --num_processes N`, and starts one unless MPI is there.
    """
    if "MASTER_PORT" in os.environ and "WORLD_SIZE" not in os.environ:
        raise StoryLabError(
            "accelerate launch --cpu starts a single process; for several say "
            f"accelerate launch --multi_gpu --num_processes N -m {command} --device cpu"
        )


def join(command: str, device: str = "cpu") -> Processes:
    """The processes that work with this one on a command; on its own unless `accelerate launch` started several.

    Args:
        command: What is launched, such as "storylab evaluate".
        device: "cpu" where the processes exchange small objects only, wherever their models compute.

    Raises:
        StoryLabError: The launch is not what it seems, or the others can't be reached.
    """
    refuse_lone_launch(command)
    return Launched(device) if are_several() else Processes()
