"""The named endpoints, for `gradio_client`, plain HTTP and MCP: what the command line prints, over the web."""

# No `from __future__ import annotations` here: gradio reads the return annotation as it stands.
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from storylab.decoding import check_opening, check_seed
from storylab.storytellers import describe
from storylab.ui.api_endpoint import Endpoint, endpoint, settings_of, storyteller_named
from storylab.ui.api_inspection import INSPECTIONS


@endpoint
def models() -> list[dict[str, Any]]:
    """List the storytellers with their states, as `python -m storylab models --json` prints them.

    Returns:
        One object a storyteller: name, title, kind, base, parameters, state (ready, downloadable, untrained,
        broken or unreachable), reason, source and download_bytes.
    """
    return describe()


@endpoint
def tell(
    opening: str,
    model: str,
    seed: int | None = None,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Tell the rest of a story from its first sentence, as `python -m storylab tell --json` prints it.

    Args:
        opening: The first sentence, 1 to 300 characters.
        model: The name of a storyteller that `models` lists as ready.
        seed: 0 to 4294967295; the same seed and settings tell the same story. null draws one.
        settings: The command's options with underscores, for instance {"temperature": 0.6, "top_p": 0.95}, and
            "preset" for one of the presets; {} or null for the default preset.

    Returns:
        The telling: model, opening, story (its sentences), text, finished, ended_by, seed, settings, tokens,
        seconds, seconds_to_first_token, tokens_per_second and pathologies.
    """
    opening, seed, wanted = check_opening(opening), check_seed(seed), settings_of(settings)  # before a model is loaded
    return storyteller_named(model).tell(opening, wanted, seed).to_dict()


ENDPOINTS = (Endpoint(models, tellings=0), Endpoint(tell, tellings=1), *INSPECTIONS)
"""All that visitors may call by name; everything else on the page is its own."""


def _no_counts(request: Request) -> JSONResponse:
    return JSONResponse({"functions": {}})


ROUTES = [Route("/monitoring/summary", _no_counts)]
"""gradio's page on the API asks how often each endpoint was called; where that isn't counted, its answer is a 403."""


def add_endpoints() -> None:
    """Add the endpoints to the page that is being built."""
    for one in ENDPOINTS:
        one.add()
