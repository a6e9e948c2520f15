"""Peers in 8 bits that are packages of their own: CTranslate2 and llama.cpp, by ``pip install ctranslate2 xllamacpp``.

No requirement of the project names them, so what is not installed is not measured. xllamacpp brings llama.cpp built
already, for AVX2; llama-cpp-python, which wraps the same library, comes as source, needs a compiler, and then uses all
that the processor has, so that it may be quicker than what is measured here.
"""

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.gguf_file import write_gguf

Peer = Callable[[Sequence[int], int], float]
"""Tells so many tokens behind a prompt, greedily and past any end; returns tokens a second."""


def opened(model: PreTrainedModel, folder: Path) -> dict[str, Peer]:
    """Each peer that is installed, with a model's weights, by what the tables call it; prints which ones are not.

    Args:
        model: GPT-2 or Llama, in fp32 on the CPU.
        folder: Where the peers' own files may be written.
    """
    peers = {}
    for package, name, make in (
        ("ctranslate2", "CTranslate2, int8", ctranslate2_peer),
        ("xllamacpp", "llama.cpp's AVX2 wheel, Q8_0", llama_cpp_peer),
    ):
        if find_spec(package) is None:
            print(f"shapes: {name} is not measured: {package} is not installed", flush=True)
        else:
            peers[name] = make(model, folder)
    return peers


def ctranslate2_peer(model: PreTrainedModel, folder: Path) -> Peer:
    """CTranslate2 as its own converter makes it of a checkpoint; matrices in int8, the rest in fp32."""
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    names = _names(model.config.vocab_size)
    words = Tokenizer(WordLevel({name: number for number, name in enumerate(names)}, unk_token=names[0]))
    special = {"unk_token": names[0], "bos_token": names[0], "eos_token": names[0]}
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder / "checkpoint")
    model.save_pretrained(folder / "checkpoint")
    converted = TransformersConverter(str(folder / "checkpoint")).convert(str(folder / "ct2"), quantization="int8")
    generator = ctranslate2.Generator(converted, compute_type="int8", intra_threads=torch.get_num_threads())

    def tell(prompt: Sequence[int], tokens: int) -> float:
        told = [names[token] for token in prompt]
        started = time.perf_counter()
        (result,) = generator.generate_batch(
            [told], max_length=tokens, min_length=tokens, include_prompt_in_result=False, sampling_topk=1
        )
        seconds = time.perf_counter() - started
        assert len(result.sequences_ids[0]) == tokens
        return tokens / seconds

    return tell


def llama_cpp_peer(model: PreTrainedModel, folder: Path) -> Peer:
    """llama.cpp with matrices in blocks of 32 numbers of 8 bits, told through its server without a network."""
    import xllamacpp

    write_gguf(model, _names(model.config.vocab_size), folder / "model.gguf")
    about = xllamacpp.CommonParams()
    about.model.path = str(folder / "model.gguf")
    about.n_ctx, about.n_parallel, about.n_gpu_layers, about.verbosity = 256, 1, 0, -1
    about.cpuparams.n_threads = about.cpuparams_batch.n_threads = torch.get_num_threads()
    server = xllamacpp.Server(about)

    def tell(prompt: Sequence[int], tokens: int) -> float:
        asked = {"prompt": list(prompt), "n_predict": tokens, "ignore_eos": True, "temperature": 0}
        asked["cache_prompt"] = False  # else the second call has read the prompt already
        started = time.perf_counter()
        result = server.handle_completions(asked)
        seconds = time.perf_counter() - started
        assert result["usage"]["completion_tokens"] == tokens
        return tokens / seconds

    return tell


def _names(tokens: int) -> list[str]:
    """What the tokens of a model that knows no words are called."""
    return [f"t{number}" for number in range(tokens)]
