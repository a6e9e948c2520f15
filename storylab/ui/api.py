"""The named endpoints, for `gradio_client`, plain HTTP and MCP: what the command line prints, over the web."""

# No `from __future__ import annotations` here: gradio reads the return annotation as it stands.
from typing import Any

import gradio as gr

from storylab.errors import StoryLabError
from storylab.storytellers import describe, load
from storylab.storytellers.catalog import find

CONCURRENT_TELLINGS = 4
"""Tellings of `/tell` that run at once; more of them wait in line."""


def models() -> list[dict[str, Any]]:
    """List the storytellers with their states, as `python -m storylab models --json` prints them.

    Returns:
        One object a storyteller: name, title, kind, base, parameters, state (ready, downloadable, untrained,
        broken or unreachable), reason, source and download_bytes.
    """
    return describe()


def tell(
    opening: str,
    model: str,
    seed: int | None = None,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Tell the rest of a story from its first sentence, as `python -m storylab tell --json` prints it.

    Args:
        opening: The first sentence, 1 to 300 characters.
        model: The name of a storyteller that `/models` lists as ready.
        seed: 0 to 4294967295; the same seed and settings tell the same story. null draws one.
        settings: The command's options with underscores, for instance {"temperature": 0.6, "top_p": 0.95}, and
            "preset" for one of the presets; {} or null for the default preset.

    Returns:
        The telling: model, opening, story (its sentences), text, finished, ended_by, seed, settings, tokens,
        seconds, seconds_to_first_token, tokens_per_second and pathologies.
    """
    try:
        if not isinstance(model, str):
            raise StoryLabError("model must be the name of a storyteller")
        name = find(model).name  # a name of the catalogue only: visitors open no folders here
        return load(name).tell(opening, settings, seed).to_dict()
    except StoryLabError as error:
        raise gr.Error(str(error), print_exception=False) from None


def add_endpoints() -> None:
    """Add `/models` and `/tell` to the page that is being built."""
    gr.api(models, api_name="models", queue=False)
    gr.api(tell, api_name="tell", concurrency_limit=CONCURRENT_TELLINGS)
