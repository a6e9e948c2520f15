"""An engine for each architecture: its graph, the sessions that run it, the texts that it has under way."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import ModuleType

import onnxruntime
from transformers import GPT2LMHeadModel, LlamaForCausalLM, PreTrainedModel

from storylab.engines import encoder, gpt2, llama, seq2seq
from storylab.engines.causal import STEP
from storylab.engines.causal_texts import CausalTexts
from storylab.engines.rounding import block_of
from storylab.engines.runtime import Runner
from storylab.engines.texts import Texts
from storylab.memory import require_memory
from storylab.models import EncoderStoryteller, Seq2SeqStoryteller
from storylab.models.loading import positions_of

BYTES_IN_8_BITS = 2.25
"""What a parameter takes while the sessions are made: itself and its share of a scale, twice."""


class Engine(ABC):
    """Tells with a model's weights as they are when the first text begins; any number of threads may use it.

    Args:
        model: In fp32 on the CPU.
        int8: Whether matrices are rounded to 8 bits.
    """

    def __init__(self, model: PreTrainedModel, int8: bool = False):
        self._model: PreTrainedModel | None = model
        self.int8, self.positions = int8, positions_of(model)
        self._runners: tuple | None = None
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """What computes, with its version."""
        return f"onnxruntime {onnxruntime.__version__}"

    @staticmethod
    @abstractmethod
    def fits(model: PreTrainedModel) -> bool:
        """Whether the engine computes what the model's config asks for."""

    @abstractmethod
    def company(self, length: int) -> int:
        """A number that prompts have in common which may begin together, from a prompt's length."""

    def begin(self, prompts: Sequence[Sequence[int]], start: int) -> Texts:
        """Begin texts with prompts that may keep company.

        Args:
            prompts: Tokens of each.
            start: The token that a target begins with, of a model that reads the prompt as its source.
        """
        self.start()
        return self._begin(prompts, start, *self._runners)

    def start(self) -> bool:
        """Make the sessions, if nobody has yet; whoever comes meanwhile waits for them.

        Returns:
            Whether it was this call that made them. The engine needs the model no more.

        Raises:
            StoryLabError: There is too little memory for a copy of the weights.
        """
        with self._lock:
            if self._runners is not None:
                return False
            require_memory(self._model.num_parameters() * (BYTES_IN_8_BITS if self.int8 else 4))
            self._runners = self._open(self._model)
            self._model = None
            return True

    def _block(self, model: PreTrainedModel) -> int | None:
        """The block of its matrices in 8 bits, None in fp32."""
        return block_of(model) if self.int8 else None

    @abstractmethod
    def _open(self, model: PreTrainedModel) -> tuple:
        """Make what `_begin` takes: runners and graphs."""

    @abstractmethod
    def _begin(self, prompts: Sequence[Sequence[int]], start: int, *runners) -> Texts: ...


class CausalEngine(Engine):
    """A decoder alone; the prompt is the beginning of its text."""

    architecture: ModuleType

    @classmethod
    def fits(cls, model: PreTrainedModel) -> bool:
        return cls.architecture.fits(model)

    def company(self, length: int) -> int:
        return 0

    def _open(self, model: PreTrainedModel) -> tuple:
        graph = self.architecture.graph_of(model, self._block(model))
        return Runner(graph), graph

    def _begin(self, prompts: Sequence[Sequence[int]], start: int, *runners) -> Texts:
        return CausalTexts(*runners, prompts, self.positions)


class Gpt2Engine(CausalEngine):
    """GPT-2 of any size."""

    architecture = gpt2


class LlamaEngine(CausalEngine):
    """Llama of any size, SmolLM2 among them."""

    architecture = llama


class Seq2SeqEngine(Engine):
    """The project's own encoder-decoder; the prompt is its source."""

    @staticmethod
    def fits(model: Seq2SeqStoryteller) -> bool:
        return model.config.width // model.config.heads % STEP == 0

    def company(self, length: int) -> int:
        return seq2seq.padded_length(length, self.positions)

    def _open(self, model: PreTrainedModel) -> tuple:
        block = self._block(model)
        graph = seq2seq.target_graph(model, block)
        return Runner(seq2seq.source_graph(model, block)), Runner(graph), graph

    def _begin(self, prompts: Sequence[Sequence[int]], start: int, *runners) -> Texts:
        return seq2seq.Seq2SeqTexts(*runners, prompts, start, self.positions)


class EncoderEngine(Engine):
    """The project's own encoder-only model."""

    fits = staticmethod(encoder.fits)

    def company(self, length: int) -> int:
        return length

    def _open(self, model: PreTrainedModel) -> tuple:
        return (Runner(encoder.graph_of(model, self._block(model))),)

    def _begin(self, prompts: Sequence[Sequence[int]], start: int, *runners) -> Texts:
        return encoder.EncoderTexts(*runners, prompts)


ENGINES: dict[type[PreTrainedModel], type[Engine]] = {
    GPT2LMHeadModel: Gpt2Engine,
    LlamaForCausalLM: LlamaEngine,
    Seq2SeqStoryteller: Seq2SeqEngine,
    EncoderStoryteller: EncoderEngine,
}
"""By the architecture's class; one derived from it may compute something else."""
