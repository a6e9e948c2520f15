"""What visitors can't have of the machine, over plain HTTP: files, addresses, gradio's other pages."""

import http.client
import json
import os
import re
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from storylab.ui.guard import CLOSED, HEADERS, MIDDLEWARE

SECRETS = (
    "/etc/passwd",
    "/proc/self/environ",
    "/proc/self/cwd/app.py",
    "app.py",
    "./app.py",
    "storylab/ui/page.py",
    "checkpoints/seq2seq/config.json",
    "votes.sqlite",
    "../etc/passwd",
    "../../../../../../../../etc/passwd",
    "....//....//etc/passwd",
    "~/.bashrc",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "..%5c..%5cetc%5cpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "/etc/passwd%00.png",
    "C:/Windows/win.ini",
    "file:///etc/passwd",
    f"{tempfile.gettempdir()}/gradio/../../etc/passwd",
)
ROUTES = ("gradio_api/file=", "gradio_api/file/", "file=", "assets/", "static/", "svelte/", "gradio_api/proxy=")
ADDRESSES = (
    "http://example.com/",
    "https://example.com/a.png",
    "HTTPS://example.com/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://127.0.0.1:22/",
    "ftp://example.com/a",
    "data:text/html,<script>alert(1)</script>",
)
EVIL = {"path": "https://example.com/a.csv", "url": "https://example.com/a.csv", "meta": {"_type": "gradio.FileData"}}


def get(server, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    """The answer to a path that is sent as it stands; clients tidy up dots and double slashes."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        if body is not None:
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_no_file_but_the_pages_own_is_served(server, root):
    ours = [(root / "app.py").read_bytes()[:30], (root / "storylab" / "ui" / "page.py").read_bytes()[:30]]
    marks = [b"root:x:0:0", b"PATH=", b"model_type", b"SQLite format", *ours]
    for route in ROUTES:
        for secret in SECRETS:
            status, _, body = get(server, f"/{route}{secret}")
            assert status in (400, 403, 404), (route, secret, status)
            assert not [mark for mark in marks if mark in body], (route, secret)


def test_a_symlink_among_the_uploads_leads_nowhere(server, site):
    link = site / "link.csv"
    link.symlink_to("/etc/passwd")
    assert get(server, f"/gradio_api/file={link}")[0] == 403


def test_what_was_uploaded_comes_back_as_a_download_and_not_as_a_page(server):
    page = b"<script>alert(1)</script>"
    form = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="../../a.html"\r\n\r\n'
        + page
        + b"\r\n--b--\r\n"
    )
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{server.url}gradio_api/upload", form, head)
    with urllib.request.urlopen(request, timeout=60) as answer:
        (path,) = json.load(answer)
    assert Path(path).name == "a.html"
    status, headers, body = get(server, f"/gradio_api/file={quote(path)}")
    assert (status, body) == (200, page)
    assert headers["content-disposition"].startswith("attachment")
    assert headers["content-type"] == "application/octet-stream"
    os.unlink(path)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_address_is_fetched_in_place_of_a_file(server, address):
    for path in (address, quote(address), quote(address, safe="")):
        for route in ("file=", "file/", "proxy="):
            for twice in ("", "/"):
                assert get(server, f"/{twice}gradio_api/{route}{path}")[0] in (400, 403, 404), (route, path)
    assert server.left() == ""


def test_no_address_is_fetched_in_place_of_an_argument(server):
    _, _, config = get(server, "/config")
    handlers = [
        handler for handler in json.loads(config)["dependencies"] if handler["inputs"] and handler["backend_fn"]
    ]
    assert len(handlers) > 10
    kinds, refused = {}, 0
    for handler in handlers:
        kinds.setdefault(tuple(handler["inputs"]), handler["id"])
    for inputs, number in kinds.items():
        body = {"data": [EVIL] * len(inputs), "fn_index": number, "session_hash": "guard"}
        _, _, answer = get(server, "/gradio_api/run/predict", "POST", json.dumps(body).encode())
        refused += b"A link is no file" in answer
    assert refused > len(kinds) / 2  # the others' first inputs are kept on the server
    assert server.left() == ""


@pytest.mark.parametrize(
    "path",
    (
        *("monitoring", "monitoring/", "monitoring/x", "gradio_api/monitoring", "docs", "redoc", "openapi.json"),
        *("gradio_api/runs", "gradio_api/run-history/buckets", "gradio_api/vibe-code", "gradio_api/vibe-edit"),
        *("gradio_api/dev/reload", "gradio_api/deep_link", "gradio_api/profiling/summary", "login", "pwa_icon/9999"),
    ),
)
def test_what_the_page_does_not_use_is_not_there(server, path):
    for method in ("GET", "POST", "HEAD"):
        assert get(server, f"/{path}", method, b"{}" if method == "POST" else None)[0] in (404, 405)


def test_nobodys_use_of_the_page_is_listed(server):
    assert json.loads(get(server, "/monitoring/summary")[2]) == {"functions": {}}


def test_every_answer_has_the_headers(server):
    for path in ("/", "/config", "/theme.css", "/gradio_api/info", "/monitoring", "/nowhere"):
        _, headers, _ = get(server, path)
        assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS, path
        assert "x-frame-options" not in headers  # it knows no list of hosts, and Spaces show the page in a frame


def test_the_page_may_be_framed_by_spaces_and_asks_no_other_host(server):
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert "https://huggingface.co" in policy.pop("frame-ancestors").split()
    hosts = {source for sources in policy.values() for source in sources.split()}
    assert hosts == {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}


def test_each_route_of_gradio_is_needed_or_closed():
    """With a new version of gradio, somebody looks at what it brings."""
    import gradio as gr
    from gradio.routes import App

    with gr.Blocks() as page:
        gr.Textbox()
    app = App.create_app(page, mcp_server=False, app_kwargs={"openapi_url": None})
    served = {path for route in app.routes for path in _paths(route) if path}
    needed = {
        *("/", "/config", "/config/", "/static/{path}", "/assets/{path}", "/favicon.ico", "/theme.css"),
        *("/robots.txt", "/manifest.json", "/monitoring/summary", "/gradio_api/user", "/gradio_api/user/"),
        *("/gradio_api/login_check", "/gradio_api/login_check/", "/gradio_api/token", "/gradio_api/token/"),
        *("/gradio_api/app_id", "/gradio_api/app_id/", "/gradio_api/info", "/gradio_api/info/"),
        *("/gradio_api/openapi.json", "/gradio_api/file={path_or_url}", "/gradio_api/file/{path}"),
        *("/gradio_api/reset", "/gradio_api/reset/", "/gradio_api/heartbeat/{session_hash}"),
        *("/gradio_api/run/{api_name}", "/gradio_api/run/{api_name}/", "/gradio_api/api/{api_name}"),
        *("/gradio_api/api/{api_name}/", "/gradio_api/call/{api_name}", "/gradio_api/call/{api_name}/"),
        *("/gradio_api/call/v2/{api_name}", "/gradio_api/call/v2/{api_name}/", "/gradio_api/queue/join"),
        *("/gradio_api/call/{api_name}/{event_id}", "/gradio_api/queue/data", "/gradio_api/cancel"),
        *("/gradio_api/component_server", "/gradio_api/component_server/", "/gradio_api/queue/status"),
        *("/gradio_api/upload_progress", "/gradio_api/upload", "/gradio_api/startup-events", "/gradio_api/theme.css"),
    }
    assert {path for path in served if not CLOSED.fullmatch(path)} <= needed


def _paths(route) -> list[str]:
    path = re.sub(r":path\}", "}", getattr(route, "path", ""))
    return [path, *(inner for one in getattr(route, "routes", None) or [] for inner in _paths(one))]


def test_a_drive_is_no_scheme():
    assert not CLOSED.fullmatch("/gradio_api/file=C:/Users/me/gradio/a.csv")


def test_what_is_closed_is_closed_below_a_path_of_a_proxy_too():
    app = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("open"))], middleware=MIDDLEWARE)
    client = TestClient(app, root_path="/storylab")
    assert client.get("/gradio_api/info").text == "open"
    assert client.get("/gradio_api/vibe-code").status_code == 404
    assert client.get("/storylab/gradio_api/vibe-code").status_code == 404
