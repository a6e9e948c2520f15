"""Python imports this at its start where a test names its folder in PYTHONPATH.

`WATCH_NOTES` names the file for a line about each call that leaves the machine, `WATCH_REFUSE=1` has it fail as it
does without a network, and `WATCH_HIDE` names modules that can't be imported, separated by commas.
"""

import errno
import ipaddress
import os
import socket
import sys
from importlib.machinery import PathFinder

NOTES = os.environ.get("WATCH_NOTES")
REFUSE = os.environ.get("WATCH_REFUSE") == "1"
HIDDEN = frozenset(filter(None, os.environ.get("WATCH_HIDE", "").split(",")))
HERE = (None, "", "localhost", "0.0.0.0", "::")
# The events of the socket module that name another machine, and which of their arguments does.
NAMED = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


def stays(address):
    host = address[0] if isinstance(address, tuple) else address
    host = host.decode() if isinstance(host, bytes) else host
    if host in HERE:
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def watch(event, arguments):
    if event not in NAMED:
        return
    address = arguments[NAMED[event]]
    unix = NAMED[event] == 1 and arguments[0].family == socket.AF_UNIX
    if unix or stays(address):
        return
    note = os.open(NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(note, f"{event} {address}\n".encode())
    os.close(note)
    if REFUSE:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


class Hider(PathFinder):
    """Finds what Python finds, but for the modules that are hidden."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.split(".")[0] in HIDDEN:
            return None
        return super().find_spec(fullname, path, target)


if NOTES:
    sys.addaudithook(watch)
if HIDDEN:
    sys.meta_path[sys.meta_path.index(PathFinder)] = Hider
