"""A storyteller: a model that, given the first sentence, tells the others."""

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteriaList

from storylab.decoding import (
    Settings,
    check_opening,
    check_seed,
    find_pathologies,
    first_sentences,
    split_sentences,
)
from storylab.decoding.sampling import Choice, RandomStream, TokenChooser
from storylab.decoding.stopping import ends_with_stop
from storylab.errors import StoryLabError
from storylab.models.loading import load_model
from storylab.storytellers.kinds import KINDS, Kind, Session
from storylab.storytellers.telling import EndedBy, Piece, Telling
from storylab.tokenizers import Speller, load_tokenizer
from storylab.training.partial import lay_over

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Storyteller:
    """Tells stories with one model; any number of tellings may run at once, in threads."""

    def __init__(self, name: str, title: str, kind: Kind):
        self.name, self.title, self.kind = name, title, kind
        self.tokenizer = kind.tokenizer
        # Tokens that are no text and not the end: never told, however wild the settings.
        self._mute = [i for i in self.tokenizer.all_special_ids if i != kind.end]

    @classmethod
    def from_folder(
        cls,
        name: str,
        title: str,
        kind: str,
        folder: Path,
        device: str = "cpu",
        dtype: str = "fp32",
        base_folder: Path | None = None,
    ) -> "Storyteller":
        """Open a checkpoint folder, laid over its base where it holds trained tensors only.

        Raises:
            StoryLabError: The weights don't fit the config or the base, or the device or dtype is not there.
        """
        if dtype not in DTYPES:
            raise StoryLabError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
        try:
            model = load_model(KINDS[kind].model_class, base_folder or folder, DTYPES[dtype])
            if base_folder:
                lay_over(model, base_folder, folder)
            model = _move(model, device).eval().requires_grad_(False)
        except StoryLabError as error:
            raise StoryLabError(f"{name} can't be loaded: {error}") from None
        return cls(name, title, KINDS[kind](model, load_tokenizer(folder)))

    def tell(
        self, opening: str, settings: Settings | Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Telling:
        """Tell a story to its end.

        Args:
            opening: The first sentence, 1 to 300 characters.
            settings: How to decode; a mapping changes the default preset; None leaves it.
            seed: 0 to 2**32 - 1; the same seed gives the same story. None draws one.

        Raises:
            StoryLabError: Opening, settings or seed are not what they must be.
        """
        *_, telling = self.stream(opening, settings, seed)
        return telling

    def stream(
        self,
        opening: str,
        settings: Settings | Mapping[str, Any] | None = None,
        seed: int | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Piece | Telling]:
        """Tell a story piece by piece; the telling comes last, and its text is what counts.

        Args:
            opening: As for `tell`.
            settings: As for `tell`.
            seed: As for `tell`.
            stop: Ends the telling when set, before the next token; so does closing the iterator.

        Raises:
            StoryLabError: As for `tell`, at the first piece.
        """
        opening = check_opening(opening)
        if not isinstance(settings, Settings):
            settings = Settings.from_mapping({} if settings is None else settings)
        seed, stop = check_seed(seed), stop or threading.Event()
        # Training stories have a stop there; without one, a model would go on with the sentence.
        prompt = opening if ends_with_stop(opening) else opening + "."
        started, first = time.perf_counter(), 0.0
        spelling = Speller(self.tokenizer)
        text, ended_by = "", "tokens"
        source = self._beam(prompt, settings, stop) if settings.strategy == "beam" else None
        source = source or self._choices(prompt, settings, RandomStream(seed))
        while not stop.is_set():
            choice = next(source, None)
            if choice is None:
                break
            first = first or time.perf_counter() - started
            if choice.token == self.kind.end:
                ended_by = "end"
                break
            new = spelling.add(choice.token)
            text, cut = first_sentences(spelling.text, settings.sentences)
            if cut:
                ended_by = "sentences"
                break
            yield Piece(new, choice.token, choice.log_probability)
        else:
            ended_by = "stopped"
        yield self._telling(
            opening, text, ended_by, seed, settings, len(spelling.tokens), time.perf_counter() - started, first
        )

    def _choices(self, prompt: str, settings: Settings, stream: RandomStream) -> Iterator[Choice]:
        """The tokens of a greedy or sampled telling, at most as many as settings and positions allow."""
        chooser = TokenChooser(settings, stream, self._mute)
        session = self._begin(prompt)
        for _ in range(settings.max_new_tokens):
            choice = chooser.choose(session.context, session.logits)
            yield choice
            if session.room <= 0:
                return
            session.advance(choice.token)

    def _begin(self, prompt: str) -> Session:
        with torch.inference_mode():
            return self.kind.session(prompt)

    def _beam(self, prompt: str, settings: Settings, stop: threading.Event) -> Iterator[Choice]:
        """The tokens of the likeliest text that a beam search finds; it is whole before the first one comes."""
        inputs = self.kind.prompt(prompt)
        room = self._begin(prompt).room
        config = GenerationConfig(
            do_sample=False,
            num_beams=settings.num_beams,
            max_new_tokens=max(1, min(settings.max_new_tokens, room)),
            repetition_penalty=settings.repetition_penalty,
            no_repeat_ngram_size=settings.no_repeat_ngram_size,
            suppress_tokens=self._mute or None,
            use_cache=self.model.generation_config.use_cache,
            eos_token_id=self.kind.end,
            pad_token_id=self.kind.end if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id,
            bos_token_id=self.kind.start,
            decoder_start_token_id=self.kind.start,
        )
        stopper = StoppingCriteriaList([lambda ids, scores, **_: torch.full((len(ids),), stop.is_set())])
        with torch.inference_mode():
            ids = self.model.generate(**inputs, generation_config=config, stopping_criteria=stopper)[0].tolist()
        told = ids[1:] if self.model.config.is_encoder_decoder else ids[inputs["input_ids"].shape[1] :]
        session = self._begin(prompt)
        for token in told:
            yield Choice(token, float(session.logits.float().log_softmax(-1)[token]))
            if token == self.kind.end or session.room <= 0:
                return
            session.advance(token)

    @property
    def model(self):
        """The transformers model."""
        return self.kind.model

    def _telling(
        self,
        opening: str,
        text: str,
        ended_by: EndedBy,
        seed: int,
        settings: Settings,
        tokens: int,
        seconds: float,
        first: float,
    ) -> Telling:
        text = text.strip()
        story = split_sentences(text)
        faults = find_pathologies(opening, story, ended_by, settings.sentences)
        return Telling(
            model=self.name,
            opening=opening,
            story=story,
            text=text,
            finished=ended_by == "end",
            ended_by=ended_by,
            seed=seed,
            settings=settings.to_dict(),
            tokens=tokens,
            seconds=round(seconds, 4),
            seconds_to_first_token=round(first, 4),
            tokens_per_second=round(tokens / seconds, 1) if seconds else 0.0,
            pathologies=[{"code": fault.code, "message": fault.message} for fault in faults],
        )


def _move(model: PreTrainedModel, device: str) -> PreTrainedModel:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's, for a device that is not there or none at all
        raise StoryLabError(str(error).strip().splitlines()[0]) from None
