"""What hangs on the training loop: the log and the progress bar."""

import json
from pathlib import Path

from tqdm import tqdm

from storylab.training.state import write_atomically


class JsonLines:
    """A log of one JSON object a line. A resumed training drops what was logged after its saved state."""

    def __init__(self, path: Path, keep_until: int | None):
        """Open the log; keep the lines up to a step of an earlier run, or none where it is None."""
        kept = []
        if keep_until is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                except ValueError:  # the line that was being written when the process was killed
                    continue
                if record["step"] <= keep_until:
                    kept.append(line + "\n")
        write_atomically(path, lambda temporary: temporary.write_text("".join(kept), encoding="utf-8"))
        self.path = path

    def write(self, record: dict) -> None:
        """Append one record."""
        rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in record.items()}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")


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
