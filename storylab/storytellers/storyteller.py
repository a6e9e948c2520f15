"""A storyteller: a model that, given the first sentence, tells the others."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from storylab.decoding import Settings
from storylab.decoding.beams import BeamSearch
from storylab.decoding.sampling import Choice, RandomStream, TokenChooser
from storylab.engines.choice import engine_for
from storylab.engines.eight_bits import round_matrices
from storylab.engines.names import AUTO, BF16, FP32, INT8, ONNX, TORCH, named_dtype, named_engine
from storylab.errors import StoryLabError
from storylab.heap import trim
from storylab.memory import enough_memory, is_memory_error
from storylab.models.loading import load_model, stamp
from storylab.storytellers.kinds import KINDS, Kind, Session
from storylab.storytellers.observers import Watch
from storylab.storytellers.registry import loading
from storylab.storytellers.teller import Teller
from storylab.storytellers.telling import Piece, Telling
from storylab.storytellers.under_way import UnderWay
from storylab.tokenizers import shared_tokenizer
from storylab.training.partial import lay_over

if TYPE_CHECKING:
    from storylab.engines.engine import Engine

SHORT = {"float32": FP32, "bfloat16": BF16}
"""The names that one asks for, by torch's."""


class Storyteller(Teller):
    """Tells stories with one model; any number of tellings may run at once, in threads."""

    def __init__(self, name: str, title: str, kind: Kind, folder: Path | None = None):
        """Make one of a model that was opened from a checkpoint's folder, or lives in memory alone."""
        self.name, self.title, self.kind, self.folder = name, title, kind, folder
        self.tokenizer = kind.tokenizer
        self.engine: Engine | None = None
        """What tells in place of torch. None for a model that still learns: an engine keeps the weights that it saw."""
        self.engine_may_fail = True
        """Whether torch tells where the engine can't be started."""
        self._reopen: Callable[[], PreTrainedModel] | None = None
        # Tokens that are no text and not the end: never told, however wild the settings.
        self.mute = [i for i in self.tokenizer.all_special_ids if i != kind.end]

    @classmethod
    def from_folder(
        cls,
        name: str,
        title: str,
        kind: str,
        folder: Path,
        device: str = "cpu",
        dtype: str | None = "fp32",
        base_folder: Path | None = None,
        engine: str | None = None,
    ) -> "Storyteller":
        """Open a checkpoint folder, laid over its base where it holds trained tensors only.

        Raises:
            StoryLabError: The weights don't fit the config or the base, or the device, dtype or engine is not there.
        """
        engine = named_engine(engine)
        dtype = named_dtype(dtype)

        def open_model() -> PreTrainedModel:
            computed = torch.bfloat16 if dtype == BF16 else torch.float32
            with enough_memory():
                model = load_model(KINDS[kind].model_class, base_folder or folder, computed)
                if base_folder:
                    lay_over(model, base_folder, folder)
                return _move(model, device).eval().requires_grad_(False)

        with loading(name):
            model = open_model()
            storyteller = cls(name, title, KINDS[kind](model, shared_tokenizer(folder)), folder)
            storyteller.engine = engine_for(model, engine, dtype)
        storyteller.engine_may_fail = engine == AUTO and dtype in (AUTO, FP32)
        opened = stamp(folder, base_folder)

        def open_again() -> PreTrainedModel:
            if stamp(folder, base_folder) != opened:
                raise StoryLabError(f"{name} has changed on disk since it was opened; start anew to read with it")
            with loading(name), torch.inference_mode(False):  # whoever asks may be inside it, and others train copies
                model = open_model()
                if dtype == INT8:  # somebody wants to know what it makes of scores
                    from storylab.engines.rounding import block_of  # and with it ONNX Runtime, which int8 needs

                    round_matrices(model, block_of(model))
                return model

        storyteller._reopen = open_again
        if dtype == INT8:
            storyteller.kind.put_away(open_again)  # the engine has the model that is not rounded yet
        return storyteller

    def stream(
        self,
        opening: str,
        settings: Settings | Mapping[str, Any] | None = None,
        seed: int | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Piece | Telling]:
        with Watch(self.name, self._computed) as watch:
            if not isinstance(settings, Settings):
                settings = Settings.from_mapping({} if settings is None else settings)
            watch.under_way = under_way = self.begin(opening, settings, seed)
            stop = stop or threading.Event()
            if settings.strategy == "beam" and settings.num_beams > 1:
                choices = self._beam(under_way.prompt, settings, stop)
            else:
                choices = self._choices(under_way)
            while not stop.is_set():
                with enough_memory(f"{self.name} can't go on"):
                    choice = next(choices, None)
                piece = None if choice is None else under_way.add(choice)
                if piece is None:
                    break
                yield piece
            telling = under_way.telling("stopped" if stop.is_set() else "tokens")
        yield telling

    def begin(self, opening: str, settings: Settings, seed: int | None) -> UnderWay:
        """A telling that has no token yet."""
        return UnderWay(self.name, self.tokenizer, self.kind.end, opening, settings, seed, self._computed)

    def chooser(self, settings: Settings, seed: int) -> TokenChooser:
        """What chooses the tokens of a greedy or sampled telling; a beam search of one beam is greedy."""
        if settings.strategy == "beam" and settings.num_beams == 1:
            settings = replace(settings, strategy="greedy")
        return TokenChooser(settings, RandomStream(seed), self.mute)

    def session(self, prompts: Sequence[str]) -> Session:
        """Begin texts with prompts of equal `company`."""
        with torch.inference_mode():
            engine = self.started_engine()
            return self.kind.session_of(engine, prompts) if engine else self.kind.session(prompts)

    def company(self, prompt: str) -> int:
        """A number that prompts have in common which may begin in one session."""
        length, engine = self.kind.prompt(prompt)["input_ids"].shape[1], self.started_engine()
        return engine.company(length) if engine else length

    def started_engine(self) -> "Engine | None":
        """What tells in place of torch, ready to; None where torch does, also because nothing else could be started.

        Raises:
            StoryLabError: An engine that was asked for can't be started.
        """
        engine = self.engine
        if engine is None:
            return None
        try:
            if engine.start() and self._reopen:
                self.kind.put_away(self._reopen)
                trim()
        except StoryLabError as error:  # too little memory: the next telling may have it
            raise StoryLabError(f"{self.name} can't go on: {error}") from None
        except Exception as error:  # ONNX Runtime has several, for a processor or a version that lacks an operator
            if not self.engine_may_fail:
                raise StoryLabError(f"{self.name} can't be told by ONNX Runtime: {error}") from None
            self.engine = None
            return None
        return engine

    def _choices(self, under_way: UnderWay) -> Iterator[Choice]:
        """The tokens of a greedy or sampled telling, at most as many as settings and positions allow."""
        settings = under_way.settings
        chooser = self.chooser(settings, under_way.seed)
        session = self.session([under_way.prompt])
        for _ in range(settings.max_new_tokens):
            choice = chooser.choose(session.context_of(0), session.logits[0])
            yield choice
            if session.room_of(0) <= 0:
                return
            session.advance([choice.token])

    def _beam(self, prompt: str, settings: Settings, stop: threading.Event) -> Iterator[Choice]:
        """The tokens of the likeliest text that a beam search finds; it is whole before the first one comes."""
        session = self.session([prompt])
        tokens = max(1, min(settings.max_new_tokens, session.room))
        search = BeamSearch(settings, session.context_of(0)[0].tolist(), self.kind.end, self.mute, tokens)
        while not stop.is_set():
            growth = search.step(session.logits.float().cpu().numpy())
            if growth is None:
                yield from search.found
                return
            session.keep(growth.parents)
            session.advance(growth.tokens)

    @property
    def dtype(self) -> str:
        """What it tells in, by torch's name: "float32", "bfloat16", "int8"."""
        return "int8" if self.engine and self.engine.int8 else str(self.kind.dtype).removeprefix("torch.")

    def _computed(self) -> tuple[str, str]:
        """The engine and the dtype by the names that one asks for them by, for observers."""
        return (ONNX if self.engine else TORCH), SHORT.get(self.dtype, self.dtype)

    @property
    def model(self):
        """The transformers model."""
        return self.kind.model


def _move(model: PreTrainedModel, device: str) -> PreTrainedModel:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's, for a device that is not there or none at all
        if is_memory_error(error):
            raise
        raise StoryLabError(str(error).strip().splitlines()[0]) from None
