"""What hangs on the training loop: the log, the progress bar, and a story now and then."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from storylab.errors import StoryLabError
from storylab.files import storing, write_text
from storylab.tokenizers import encode, start_token


class JsonLines:
    """A log of one JSON object a line. A resumed training drops what was logged after its saved state."""

    def __init__(self, path: Path, keep_until: int | None):
        """Open the log; keep the lines up to a step of an earlier run, or none where it is None.

        Raises:
            StoryLabError: It can't be written, now or later.
        """
        kept = []
        if keep_until is not None and path.exists():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            kept = [line + "\n" for line in lines if _step_of(line) <= keep_until]
        write_text(path, "".join(kept))
        self.path = path

    def __call__(self, record: dict) -> None:
        """Append one record, unless it only asks for saving."""
        if "save" in record:
            return
        rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in record.items()}
        with storing(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")


def _step_of(line: str) -> float:
    """The step that a line of the log is about; infinite for one that a sudden end cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf


class ProgressBar:
    """Steps done, time left, loss and tokens a second, on the terminal."""

    def __init__(self, name: str, steps: int, done: int):
        self.bar = tqdm(total=steps, initial=done, desc=name, unit="step", dynamic_ncols=True)
        self.shown: dict[str, str] = {}

    def __call__(self, record: dict) -> None:
        """Show a record's figures."""
        if "loss" in record:
            self.shown |= {"loss": f"{record['loss']:.3f}", "tokens/s": f"{record['tokens_per_second']:,}"}
        if "validation_loss" in record:
            self.shown |= {"per word": f"{record['perplexity_per_word']:.1f}"}
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update(record["step"] - self.bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self.bar.close()


class Sampler:
    """After each validation, what the model makes of an opening by now; put into the log as `sample`."""

    def __init__(self, model: PreTrainedModel, tokenizer, opening: str, log: Callable[[dict], None]):
        """Prepare the opening for the model; `log` takes the record with the sample."""
        self.model, self.tokenizer, self.log = model, tokenizer, log
        ids = encode(tokenizer, opening)
        self.reads_source = model.config.is_encoder_decoder
        ids = [*ids, tokenizer.eos_token_id] if self.reads_source else [start_token(tokenizer), *ids]
        self.prompt = torch.tensor([ids], device=model.device)  # (1, length)
        room = model.config.max_position_embeddings - (1 if self.reads_source else len(ids))
        if min(room, model.config.max_position_embeddings - len(ids)) < 1:
            raise StoryLabError(f"the recipe's sample has {len(ids)} tokens, too many for the model's positions")
        self.room = min(80, room)

    def __call__(self, record: dict) -> None:
        """Sample at temperature 0.8 and top-p 0.9, always with the same luck."""
        if "validation_loss" not in record:
            return
        self.model.eval()
        torch.manual_seed(0)  # the loop seeds every step anew, so this changes nothing there
        told = self.model.generate(
            self.prompt, do_sample=True, temperature=0.8, top_p=0.9, top_k=0, max_new_tokens=self.room
        )
        self.model.train()
        new = told[0] if self.reads_source else told[0, self.prompt.shape[1] :]
        text = self.tokenizer.decode(new, skip_special_tokens=True)
        self.log({"step": record["step"], "sample": text})
