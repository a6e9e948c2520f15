"""The endpoints as MCP tools, as a client of the `mcp` package sees them over streamable HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from docs.endpoints import PAGE
from storylab.cli import main
from storylab.storytellers import describe
from storylab.ui.api import ENDPOINTS

OPENING = "My dog ran away during the storm."
ADDRESS = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def ask(server) -> Iterator[Callable[[Callable[[ClientSession], Awaitable[Any]]], Any]]:
    """A function that connects as docs/api.md says and asks something."""
    settings = PAGE.read_text(encoding="utf-8").split("```json\n")[1].split("```")[0]
    url = json.loads(settings)["mcpServers"]["storylab"]["url"].replace(ADDRESS, server.url.rstrip("/"))

    async def connected(question):
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await question(session)

    with ThreadPoolExecutor(1) as aside:  # in this thread Playwright's loop may be running
        yield lambda question: aside.submit(asyncio.run, connected(question)).result()


@pytest.fixture(scope="module")
def tools(ask) -> dict:
    return {tool.name: tool for tool in ask(lambda session: session.list_tools()).tools}


def test_the_tools_are_the_endpoints_and_nothing_else(tools):
    assert list(tools) == [endpoint.name for endpoint in ENDPOINTS]


def test_each_tool_and_each_argument_says_what_it_is_in_full(tools):
    for endpoint in ENDPOINTS:
        described = tools[endpoint.name].inputSchema["properties"]
        assert {name: value["description"] for name, value in described.items()} == endpoint.arguments
        assert all(about.endswith(".") for about in endpoint.arguments.values())
        assert "Returns: " in tools[endpoint.name].description
    tell = tools["tell"].inputSchema
    assert tell["required"] == ["opening", "model"]
    assert tell["properties"]["opening"]["type"] == "string"
    assert tell["properties"]["seed"]["oneOf"] == [{"type": "null"}, {"type": "integer"}]
    assert tell["properties"]["settings"]["description"].endswith("{} or null for the default preset.")


def test_tell_answers_with_the_json_of_the_command_line(ask, capsys):
    assert main(["tell", OPENING, "--model=encoder", "--seed=5", "--temperature=0.7", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    asked = {"opening": OPENING, "model": "encoder", "seed": 5, "settings": {"temperature": 0.7}}
    answer = ask(lambda session: session.call_tool("tell", asked))
    assert not answer.isError
    told = json.loads(answer.content[0].text)
    for name in ("seconds", "seconds_to_first_token", "tokens_per_second"):
        del told[name], printed[name]
    assert told == printed


def test_models_answers_with_null_and_true_as_json_has_them(ask):
    answer = ask(lambda session: session.call_tool("models", {}))
    rows = {row["name"]: row for row in json.loads(answer.content[0].text)}
    assert rows["encoder"] == next(row for row in describe() if row["name"] == "encoder")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "checkpoints/seq2seq"}, "there is no storyteller 'checkpoints/seq2seq'"),
        ({"settings": {"temperature": -1}}, "temperature must be"),
        ({"seed": "seven"}, "'seven' is not valid"),
        ({"opening": 7}, "7 is not of type 'string'"),
    ],
)
def test_a_tool_refuses_bad_input_in_words(ask, changes, message):
    asked = {"opening": OPENING, "model": "encoder"} | changes
    answer = ask(lambda session: session.call_tool("tell", asked))
    assert answer.isError
    assert message in answer.content[0].text
    assert "Traceback" not in answer.content[0].text
