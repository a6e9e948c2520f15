"""What is freed of large blocks goes back to the system, whatever lies above it; or stays, where that is asked."""

import os
import platform
import subprocess
import sys

import pytest

BLOCKS, MEBIBYTES = 20, 8
RESIDENT = """
import sys

def resident():
    status = open("/proc/self/status").read()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024
"""
FREED = (
    RESIDENT
    + f"""
from storylab.heap import keep_large_blocks_apart

if sys.argv[1] == "apart":
    keep_large_blocks_apart()
b"x" * (2 * {MEBIBYTES} * 2**20)  # freed: from here on glibc would put smaller blocks into its heap
before, kept = resident(), []
blocks = []
for number in range({BLOCKS}):
    blocks.append(b"x" * ({MEBIBYTES} * 2**20))
    kept.append(b"y" * 300_000)  # lies above it there
held = resident() - before
blocks.clear()
print(held, resident() - before)
"""
)
STEPS = (
    RESIDENT
    + """
from storylab.heap import keep_what_is_freed

if sys.argv[1] == "kept":
    keep_what_is_freed()
before = resident()
block = b"x" * (40 * 2**20)  # which glibc never puts into its heap by itself
held = resident() - before
del block
print(held, resident() - before)
"""
)
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such heap")


def told(program: str, how: str) -> str:
    """What the program prints, started where no variable tells the C library how to allocate."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    return subprocess.run(
        [sys.executable, "-c", program, how], capture_output=True, text=True, check=True, env=env
    ).stdout


@needs_glibc
@pytest.mark.parametrize("how", ["apart", "left alone"])
def test_large_blocks_are_given_back(how):
    held, left = map(int, told(FREED, how).split())
    assert held > 0.9 * BLOCKS * MEBIBYTES
    assert (left < 0.1 * held) == (how == "apart")


@needs_glibc
@pytest.mark.parametrize("how", ["kept", "left alone"])
def test_what_is_freed_is_kept_for_the_next_step(how):
    held, left = map(int, told(STEPS, how).split())
    assert held >= 40
    assert (left > 0.9 * held) == (how == "kept")
