"""What goes over the wire to a page that is served: routes, bodies, forged listeners, tools and uploads."""

import http.client
import json
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import strategies as st
from nonsense import PATHS, cases, texts, values

ROUTES = (
    "run/tell",
    "api/tell",
    "call/tell",
    "call/v2/tell",
    "run/nobody",
    "call/nobody",
    "call/v2/nobody",
    "call/models/x",
)
ROUTES += (
    "queue/join",
    "queue/data",
    "cancel",
    "reset",
    "component_server",
    "upload",
    "mcp/",
    "proxy=",
    "stream/x",
    "nowhere",
)
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def ask(app, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None):
    """The answer's status, and its text."""
    connection = http.client.HTTPConnection(urlsplit(app.url).netloc, timeout=60)
    try:
        connection.request(method, path, body, headers if headers is not None else JSON)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def encoded(value) -> bytes:
    return json.dumps(value, default=str).encode("utf-8", "surrogatepass")


@pytest.fixture
def quiet(app, capfd):
    """A look at what has been logged since: no traceback, in the test or behind it."""
    capfd.readouterr()

    def look() -> None:
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err, err[-3000:]

    yield look
    look()


fields = st.sampled_from(("data", "fn_index", "session_hash", "event_data", "trigger_id", "event_id", "fn_name"))
bodies = st.one_of(
    st.binary(max_size=40),
    texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    values.map(encoded),
    st.dictionaries(fields, values, max_size=4).map(encoded),
    st.builds(lambda data: encoded({"data": data}), st.lists(values, max_size=5)),
    st.sampled_from((b"[" * 5000, b'{"data": NaN}', b'{"data": "\\ud800"}', b'{"data": [' + b"9" * 5000 + b"]}", b"")),
)


@cases(120, route=st.sampled_from(ROUTES), method=st.sampled_from(("POST", "POST", "GET", "PUT")), body=bodies)
def test_a_request_of_any_form_is_answered_without_a_traceback(app, quiet, route, method, body):
    method = "POST" if route == "mcp/" else method  # whoever gets it is given a stream that never ends
    status, answer = ask(app, method, f"/gradio_api/{route}", body)
    assert status < 500 or (route in ("run/tell", "api/tell") and json.loads(answer)["error"]), answer
    assert len(answer) < 20_000
    quiet()


@pytest.mark.parametrize(
    ("route", "body", "status", "told"),
    [
        ("run/nobody", {"data": []}, 404, "there is no endpoint"),
        ("call/nobody", {"data": []}, 404, "there is no endpoint"),
        ("call/v2/nobody", {}, 404, "there is no endpoint"),
        ("call/v2/tell", {"openings": "A."}, 422, "not a valid"),
        ("call/v2/tell", {"opening": "A."}, 422, "required argument: model"),
        ("run/tell", {"data": ["A."]}, 500, "tell takes 4 values, not 1"),
        ("run/tell", {"data": 5}, 422, "body.data: Input should be a valid list"),
        ("queue/join", {"data": [], "fn_index": 10**6, "session_hash": "me"}, 404, "no listener of that number"),
        ("queue/join", {"data": [], "fn_index": 0}, 400, "Session hash not found"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(app, quiet, route, body, status, told):
    found, answer = ask(app, "POST", f"/gradio_api/{route}", encoded(body))
    assert found == status and told in answer


@pytest.mark.parametrize("path", ["call/tell/unknown", "queue/data?session_hash=unknown"])
def test_an_event_that_nobody_knows_ends_its_stream(app, quiet, path):
    status, answer = ask(app, "GET", f"/gradio_api/{path}")
    assert status == 200 and answer.count("\n\n") == 1


def test_a_body_of_many_megabytes_is_not_read(app, quiet):
    status, answer = ask(app, "POST", "/gradio_api/run/tell", b"x" * 5_000_000)
    assert status == 413 and "at most 4,000,000 bytes" in answer
    connection = http.client.HTTPConnection(urlsplit(app.url).netloc, timeout=60)
    connection.request("POST", "/gradio_api/run/tell", iter([b"x" * 1_000_000] * 5), JSON, encode_chunked=True)
    assert connection.getresponse().status in (400, 413)
    connection.close()


files = st.one_of(
    st.sampled_from(PATHS), st.sampled_from(("app.py", "storylab/errors.py", "checkpoints/seq2seq/config.json"))
)
places = st.sampled_from(("gradio_api/file=", "gradio_api/file/", "static/", "assets/", "svelte/", "theme/", ""))


@cases(
    40, place=places, path=st.builds("{}{}".format, st.sampled_from(("", "../", "../../../", "/", "%2e%2e/")), files)
)
def test_no_file_of_the_machine_is_served(app, quiet, place, path):
    status, answer = ask(app, "GET", "/" + place + quote(path, safe="/%:"))
    assert status in (200, 400, 403, 404, 405) and "root:" not in answer and "StoryLabError" not in answer
    assert status != 200 or "<title>StoryLab" in answer  # the page itself


@pytest.fixture(scope="module")
def listeners(app) -> list[tuple[int, int]]:
    """Every listener of the page that takes values: its number, and how many they are."""
    config = json.loads(ask(app, "GET", "/config")[1])
    return [(one["id"], len(one["inputs"])) for one in config["dependencies"] if one["backend_fn"] and one["inputs"]]


FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
sent = st.one_of(values, st.sampled_from((FILE, FILE | {"path": "x.csv"}, ["seq2seq"], "greedy", [FILE])))
longest = st.lists(sent, min_size=16, max_size=16)


@cases(120, number=st.integers(0, 10_000), data=longest, short=st.integers(0, 5), event=values)
def test_a_forged_call_of_the_page_is_refused_or_does_what_a_visitor_could(
    app, quiet, listeners, number, data, short, event
):
    listener, takes = listeners[number % len(listeners)]
    body = {"fn_index": listener, "data": data[: takes - (not short)], "session_hash": "forger", "event_data": event}
    status, answer = ask(app, "POST", "/gradio_api/run/predict", encoded(body))
    assert status in (200, 400, 422) or json.loads(answer)["error"], answer
    quiet()


rpc = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(("2.0", "2.0", "2.0", 2, None)), "id": st.sampled_from((1, "a", None, -1))},
    optional={
        "method": st.one_of(st.sampled_from(("tools/call", "tools/list", "initialize", "resources/read")), texts),
        "params": st.one_of(
            values,
            st.fixed_dictionaries(
                {"name": st.one_of(st.sampled_from(("tell", "tokens", "next", "nobody")), texts)},
                optional={
                    "arguments": st.dictionaries(st.sampled_from(("opening", "model", "seed", "settings")), values)
                },
            ),
        ),
    },
)


@cases(50, call=rpc)
def test_a_tool_is_called_soundly_or_refused(app, quiet, call):
    status, answer = ask(app, "POST", "/gradio_api/mcp/", encoded(call))
    assert status in (200, 202, 400, 406) and "Traceback" not in answer


def upload(app, name: str, content: bytes) -> tuple[int, str]:
    head = f'--XX\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    body = head.encode("utf-8", "surrogatepass") + content + b"\r\n--XX--\r\n"
    return ask(app, "POST", "/gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=XX"})


names = texts.map(lambda text: text.replace("\r", "").replace("\n", ""))


@cases(40, name=st.one_of(names, st.sampled_from(PATHS)), content=st.binary(max_size=50))
def test_an_upload_of_any_name_lands_among_the_uploads(app, quiet, name, content):
    status, answer = upload(app, name, content)
    assert status in (200, 400)
    for path in json.loads(answer) if status == 200 else []:
        assert path.startswith(str(app.uploads)) and ".." not in Path(path).parts
    assert not app.votes.exists()


def test_the_page_is_as_it_was(app, quiet):
    status, answer = ask(app, "POST", "/gradio_api/run/models", encoded({"data": []}))
    from storylab.storytellers import describe

    assert status == 200 and json.loads(answer)["data"] == [describe()]
