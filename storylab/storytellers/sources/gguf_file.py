"""Turn a GGUF file into a checkpoint folder: `python -m storylab.storytellers.sources.gguf_file FILE FOLDER`.

It runs in a process of its own: it can be killed when somebody cancels, and transformers, which changes torch's
functions while it loads a model, disturbs no storyteller that tells meanwhile.
"""

import sys
from pathlib import Path

from storylab.errors import StoryLabError

PLAIN = frozenset({"default", "gpt-2"})
"""Pre-tokenizers that split text as GPT-2's does."""


def convert(file: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF file as transformers' files.

    The weights become float16. What a block of four-bit numbers stands for (a scale times 0 to 15, plus an offset)
    needs more bits than sixteen, so something is rounded; float16's eleven significant bits lose 0.02% of a
    weight on average, bfloat16's eight 0.14%, in a file of the same size. Both are far below the few percent that
    the quantisation has cost already, and half of float32's room.

    Raises:
        StoryLabError: The file's tokenizer is of a make that this would get wrong.
        Exception: transformers can't read the file.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    tokenizer = _tokenizer(file)  # first: it takes a second, the weights take ten
    place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name, "local_files_only": True}
    config = AutoConfig.from_pretrained(**place)
    model = AutoModelForCausalLM.from_pretrained(
        **place, config=config, dtype=torch.float16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(file: Path):
    """The tokenizer that the file describes, splitting text as its merges were learnt."""
    from tokenizers import pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.integrations import gguf

    architecture, described, settings = gguf.get_gguf_tokenizer(str(file))
    backend, _ = gguf.convert_gguf_tokenizer(architecture, described)
    split = described.get("pre_tokenizer_type", "default")
    if split == "smollm":  # transformers takes it for GPT-2's, which joins a digit to the blanks before it
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif split not in PLAIN and split not in gguf.gguf_tokenizer_mapping.GGUF_PRE_TOKENIZER_SPLITS:
        raise StoryLabError(f"its tokenizer splits text in a way that is not known here: {split}")
    return PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False, **settings)


def main() -> int:
    """Convert what the command line names; an error is one line on stderr."""
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # gguf, numpy, torch and transformers each have their own
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print(lines[0] if lines else type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
