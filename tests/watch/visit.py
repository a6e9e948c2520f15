"""Opens the page of the folder that it is run in, has storytellers tell, and prints what came of it as JSON.

Needs nothing but Python: it also runs where only requirements.txt is installed, and where there is no network.

    python visit.py COMMAND... -- OPENING NAME...
"""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

PATIENCE = 240  # seconds; a busy machine is no reason to fail
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP of Linux


def raise_loopback() -> None:
    """Make 127.0.0.1 reachable in a network of one's own, where it is down at first; elsewhere it is up already."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as some:
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(some, GET_FLAGS, struct.pack("16sh14x", b"lo", 0)))
        if not flags & UP:
            fcntl.ioctl(some, SET_FLAGS, struct.pack("16sh14x", b"lo", flags | UP))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(url: str, body: dict | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read()


def wait_for(url: str, process: subprocess.Popen) -> bytes:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask(url)
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.1)


def tell(url: str, name: str, opening: str) -> dict:
    call = f"{url}gradio_api/call/tell"
    event = json.loads(ask(call, {"data": [opening, name, 1, {}]}))["event_id"]
    lines = ask(f"{call}/{event}").decode().splitlines()
    if "event: complete" not in lines:
        raise RuntimeError(f"{name}: {lines}")
    (data,) = (
        line.removeprefix("data: ") for line in lines[lines.index("event: complete") :] if line.startswith("data")
    )
    return json.loads(data)[0]


def peak(process: subprocess.Popen) -> int:
    """The most memory that a process had, in bytes."""
    with open(f"/proc/{process.pid}/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    words = sys.argv[1:]
    at = words.index("--")
    command, (opening, *names) = words[:at], words[at + 1 :]
    raise_loopback()
    port = free_port()
    process = subprocess.Popen(
        command,
        env=os.environ | {"GRADIO_SERVER_PORT": str(port)},
        stdout=sys.stderr,
        start_new_session=True,
    )
    try:
        began = time.monotonic()
        page = wait_for(f"http://127.0.0.1:{port}/", process)
        opened = time.monotonic() - began
        everywhere = os.environ.get("GRADIO_SERVER_NAME") == "0.0.0.0"
        url = f"http://{'127.0.0.2' if everywhere else '127.0.0.1'}:{port}/"  # answers to the first address alone
        told = {name: tell(url, name, opening) for name in names}
        found = {"told": told, "title": b"StoryLab" in page, "peak": peak(process), "opened": opened}
        found["cores"] = len(os.sched_getaffinity(process.pid))
        print(json.dumps(found))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    main()
