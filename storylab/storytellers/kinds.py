"""What telling and scoring need of each kind of model: a session that goes on token by token, and a framing.

A session holds one or more texts under way: `logits` of their next tokens, `context` as repetition settings see it,
`advance` to put one more token behind each, `keep` to go on with some of them, in any order, or with copies of one.
Torch's sessions hold texts of equal length so that none needs padding; those of an engine (engine_session.py) may hold
others. Nothing outside this file asks what kind a model is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Cache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from storylab.errors import StoryLabError
from storylab.framing import Autoregressive, EncodedStory, Framing, NextToken, PromptTarget
from storylab.models import EncoderStoryteller, Seq2SeqStoryteller
from storylab.models.loading import positions_of
from storylab.storytellers.registry import LOADING
from storylab.tokenizers import encode, start_token

if TYPE_CHECKING:
    from storylab.engines.engine import Engine


class Session(ABC):
    """Texts under way."""

    context: Tensor
    """The texts so far, as repetition settings see them (texts, length)."""
    logits: Tensor
    """Of the next tokens (texts, vocabulary)."""
    room: int
    """How many more tokens the model has positions for."""
    cache: Cache | None = None
    """Keys and values, of models that keep them in torch."""

    def context_of(self, text: int) -> Tensor:
        """A text so far, by its number (1, length)."""
        return self.context[text : text + 1]

    def room_of(self, text: int) -> int:
        """How many more tokens the model has positions for behind a text."""
        return self.room

    @abstractmethod
    def advance(self, tokens: Sequence[int]) -> None:
        """Put a token behind each text and compute the logits of those after them."""

    def keep(self, texts: Sequence[int]) -> None:
        """Go on with some of the texts, by their numbers, and forget the others; one named twice goes on as two."""
        if list(texts) == list(range(len(self.context))):
            return
        chosen = torch.tensor(texts, device=self.context.device)
        self.context, self.logits = self.context[chosen], self.logits[chosen]
        if self.cache is not None:
            self.cache.batch_select_indices(chosen)

    def _append(self, tokens: Sequence[int]) -> Tensor:
        """Note a token of each text; returns them as a batch (texts, 1)."""
        added = torch.tensor(tokens, device=self.context.device)[:, None]
        self.context = torch.cat([self.context, added], dim=1)
        self.room -= 1
        return added


class Kind(ABC):
    """A model and its tokenizer, as one kind of storyteller."""

    model_class: type = AutoModelForCausalLM
    reads_source = False
    """Whether an opening is read apart from the text that is told."""

    def __init__(self, model: PreTrainedModel, tokenizer):
        """Take a model and its tokenizer.

        Raises:
            StoryLabError: They lack what telling needs: a number of positions, a start and an end token.
        """
        self.tokenizer, self.device, self.dtype = tokenizer, model.device, model.dtype
        self._model: PreTrainedModel | None = model
        self._reopen: Callable[[], PreTrainedModel] | None = None
        self.positions = positions_of(model)
        self.start, self.end = start_token(tokenizer), tokenizer.eos_token_id
        if self.end is None:
            raise StoryLabError("its tokenizer has no end token, so no story would end")

    @property
    def model(self) -> PreTrainedModel:
        """The model, opened again where it was put away.

        Raises:
            StoryLabError: It is not where it was any more.
        """
        model = self._model
        if model is None:
            with LOADING:
                model = self._model
                if model is None:
                    model = self._model = self._reopen()
        return model

    def put_away(self, reopen: Callable[[], PreTrainedModel]) -> None:
        """Let go of the model until somebody asks for it: an engine has copies of the weights that it tells with."""
        self._reopen = reopen
        self._model = None

    @abstractmethod
    def prompt(self, opening: str) -> dict[str, Tensor]:
        """What the model is given for an opening, each a batch of one."""

    @abstractmethod
    def session(self, openings: Sequence[str]) -> Session:
        """Begin a text with each of some openings, which all have the same number of tokens."""

    def session_of(self, engine: "Engine", openings: Sequence[str]) -> Session:
        """Begin a text with each of some openings in an engine, whose `company` they may keep."""
        from storylab.storytellers.engine_session import EngineSession

        prompts = [self.prompt(opening)["input_ids"][0].tolist() for opening in openings]
        contexts = [[self.start]] * len(prompts) if self.reads_source else prompts
        return EngineSession(engine.begin(prompts, self.start), contexts, self.positions)

    @abstractmethod
    def scoring(self, stories: Sequence[EncodedStory]) -> Framing:
        """The framing in which each continuation token and the end are labels exactly once."""

    def _together(self, openings: Sequence[str]) -> Tensor:
        """The prompts of openings of equal length (texts, length)."""
        return torch.cat([self.prompt(opening)["input_ids"] for opening in openings])

    def _tensor(self, ids: list[int]) -> Tensor:
        """The prompt as a batch of one (1, length), if the model has positions for it and one token more."""
        if len(ids) >= self.positions:
            raise StoryLabError(f"the opening has {len(ids)} tokens, more than the {self.positions - 1} that fit here")
        return torch.tensor([ids], device=self.device)


class _EncoderSession(Session):
    def __init__(self, kind: "EncoderKind", ids: Tensor):
        self.model, self.context = kind.model, ids
        self.room = kind.positions - ids.shape[1]
        self._predict()

    @torch.inference_mode()
    def _predict(self) -> None:
        self.logits = self.model(input_ids=self.context).logits[:, -1]

    def advance(self, tokens: Sequence[int]) -> None:
        self._append(tokens)
        self._predict()  # the whole prefix anew: with a token more, every position sees something else


class EncoderKind(Kind):
    """Encoder-only next-token predictor."""

    model_class = EncoderStoryteller

    def prompt(self, opening: str) -> dict[str, Tensor]:
        return {"input_ids": self._tensor([self.start, *encode(self.tokenizer, opening)])}

    def session(self, openings: Sequence[str]) -> Session:
        return _EncoderSession(self, self._together(openings))

    def scoring(self, stories: Sequence[EncodedStory]) -> Framing:
        if self.model.config.causal:  # the first stage of a training
            return Autoregressive(stories, self.tokenizer, self.positions, learn_prompt=False)
        return NextToken(stories, self.tokenizer, self.positions, prefixes=0)


class _Seq2SeqSession(Session):
    def __init__(self, kind: "Seq2SeqKind", source: Tensor):
        self.model = kind.model
        self.context = torch.full((len(source), 1), kind.start, device=source.device)
        self.room = kind.positions - 1
        with torch.inference_mode():
            self.source = self.model.get_encoder()(source)
        self._predict(self.context)

    @torch.inference_mode()
    def _predict(self, new: Tensor) -> None:
        output = self.model(
            encoder_outputs=self.source, decoder_input_ids=new, past_key_values=self.cache, use_cache=True
        )
        self.cache, self.logits = output.past_key_values, output.logits[:, -1]

    def advance(self, tokens: Sequence[int]) -> None:
        self._predict(self._append(tokens))

    def keep(self, texts: Sequence[int]) -> None:
        super().keep(texts)
        self.source = BaseModelOutput(last_hidden_state=self.source.last_hidden_state[list(texts)])


class Seq2SeqKind(Kind):
    """Encoder-decoder: the opening is its source."""

    model_class = Seq2SeqStoryteller
    reads_source = True

    def prompt(self, opening: str) -> dict[str, Tensor]:
        return {"input_ids": self._tensor([*encode(self.tokenizer, opening), self.end])}

    def session(self, openings: Sequence[str]) -> Session:
        return _Seq2SeqSession(self, self._together(openings))

    def scoring(self, stories: Sequence[EncodedStory]) -> Framing:
        return PromptTarget(stories, self.tokenizer, self.positions)


class _CausalSession(Session):
    def __init__(self, kind: "CausalKind", ids: Tensor):
        self.model, self.context = kind.model, ids
        self.room = kind.positions - ids.shape[1]
        self._predict(ids)

    @torch.inference_mode()
    def _predict(self, new: Tensor) -> None:
        output = self.model(input_ids=new, past_key_values=self.cache, use_cache=True)
        self.cache, self.logits = output.past_key_values, output.logits[:, -1]

    def advance(self, tokens: Sequence[int]) -> None:
        self._predict(self._append(tokens))


class CausalKind(Kind):
    """Any causal language model of transformers, told nothing but the opening."""

    def prompt(self, opening: str) -> dict[str, Tensor]:
        return {"input_ids": self._tensor([self.start, *encode(self.tokenizer, opening)])}

    def session(self, openings: Sequence[str]) -> Session:
        return _CausalSession(self, self._together(openings))

    def scoring(self, stories: Sequence[EncodedStory]) -> Framing:
        return Autoregressive(stories, self.tokenizer, self.positions, learn_prompt=False)


KINDS: dict[str, type[Kind]] = {"encoder": EncoderKind, "seq2seq": Seq2SeqKind, "causal": CausalKind}
"""The kinds by the name that the catalogue uses."""
