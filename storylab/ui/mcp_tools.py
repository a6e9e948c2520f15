"""The endpoints as tools of the Model Context Protocol: gradio serves them, and here they learn to answer in JSON."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr


def answer_in_json(page: gr.Blocks) -> None:
    """Let the tools of a page that is served answer in JSON; gradio writes Python's `repr`, with None and True.

    A page that was launched without MCP, or where the `mcp` package is missing, is left as it is.
    """
    server = page.mcp_server_obj
    if server is None:
        return

    def contents(answers: list[Any], address: str) -> list[Any]:
        texts = (json.dumps(answer, ensure_ascii=False) for answer in answers)
        return [server.types.TextContent(type="text", text=text) for text in texts]

    server.postprocess_output_data = contents
    for endpoint in server.api_info["named_endpoints"].values():
        for argument in endpoint["parameters"]:  # the schema says it once more, as its "description"
            argument["type"] = {k: v for k, v in argument["type"].items() if k != "additional_description"}
