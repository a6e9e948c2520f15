"""The reference of the endpoints in `docs/api.md`, from the functions themselves."""

import inspect
import json
from pathlib import Path

from gradio.utils import get_function_description
from gradio_client.utils import python_type_to_json_schema

from storylab.markdown import table
from storylab.ui.api import ENDPOINTS
from storylab.ui.api_endpoint import Endpoint

PAGE = Path(__file__).with_name("api.md")


def endpoints() -> str:
    """A section for each endpoint: what it does, its arguments, what it returns."""
    return "\n\n".join(_section(one) for one in ENDPOINTS)


def _section(endpoint: Endpoint) -> str:
    about, described, returns = get_function_description(endpoint.call)
    parameters = inspect.signature(endpoint.call).parameters.values()
    rows = [("argument", "JSON type", "default", "meaning"), ("---", "---", "---", "---")]
    for parameter in parameters:
        default = "" if parameter.default is parameter.empty else f"`{json.dumps(parameter.default)}`"
        rows.append((f"`{parameter.name}`", _type(parameter.annotation), default, described[parameter.name]))
    arguments = f"{table(rows)}\n\n" if len(rows) > 2 else ""
    return f"### `{endpoint.name}`\n\n{about}\n\n{arguments}Returns: {' '.join(returns)}"


def _type(annotation: object) -> str:
    schema = python_type_to_json_schema(annotation)
    kinds = {kind["type"] for kind in schema.get("oneOf") or schema.get("anyOf") or [schema]}
    return " or ".join(kind for kind in ("integer", "string", "object", "null") if kind in kinds)
