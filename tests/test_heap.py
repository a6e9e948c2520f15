"""What is freed of large blocks goes back to the system, whatever lies above it."""

import os
import platform
import subprocess
import sys

import pytest

BLOCKS, MEBIBYTES = 20, 8
FREED = f"""
import sys
from storylab.heap import keep_large_blocks_apart

def resident():
    status = open("/proc/self/status").read()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such heap")
@pytest.mark.parametrize("how", ["apart", "left alone"])
def test_large_blocks_are_given_back(how):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    done = subprocess.run([sys.executable, "-c", FREED, how], capture_output=True, text=True, check=True, env=env)
    held, left = map(int, done.stdout.split())
    assert held > 0.9 * BLOCKS * MEBIBYTES
    assert (left < 0.1 * held) == (how == "apart")
