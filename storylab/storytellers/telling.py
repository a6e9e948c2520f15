"""What a storyteller gives back: pieces while it tells, a telling at the end."""

from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal

from storylab.errors import StoryLabError

EndedBy = Literal["end", "sentences", "tokens", "stopped"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of a telling, as it appears; of a model that lives elsewhere, what its endpoint sends at a time."""

    text: str
    """The characters that it adds; empty while a character is spread over several tokens."""
    token: int | None
    """Its id; None where the model lives elsewhere."""
    log_probability: float
    """Natural logarithm of its probability under the model, before any decoding setting; NaN where an endpoint gives
    none."""


@dataclass(frozen=True, slots=True)
class Telling:
    """A story told, and how. The fields are those of `tell --json`."""

    model: str
    """The storyteller's name."""
    opening: str
    """The first sentence, as it was given."""
    story: list[str]
    """The sentences told after it."""
    text: str
    """The same as one text, without the opening."""
    finished: bool
    """Whether the model itself ended the story."""
    ended_by: EndedBy
    """The model's end token, a sentence too many, the token limit, or the person."""
    seed: int
    """What reproduces it, with the settings."""
    settings: dict[str, Any]
    """Every option's value."""
    tokens: int
    """Tokens told, the end token not counted."""
    seconds: float
    """From the call to the last token."""
    seconds_to_first_token: float
    """From the call to the first token."""
    tokens_per_second: float
    """Tokens over seconds."""
    pathologies: list[dict[str, str]] = field(default_factory=list)
    """What is wrong with the story: `code` and `message` each."""

    def to_dict(self) -> dict[str, Any]:
        """The telling as JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> "Telling":
        """A telling from what `to_dict` made of one, wherever that has been in the meantime.

        Raises:
            StoryLabError: A field is missing, unknown or of the wrong type.
        """
        import pydantic

        try:
            return _reader().validate_python(data, extra="forbid")
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise StoryLabError(f"that is no telling: {where}: {first['msg']}") from None


@cache
def _reader():
    from pydantic import TypeAdapter

    return TypeAdapter(Telling)
