"""What a class and a public site need, worked out from docs/speed.json: the tables of docs/scale.md.

Every figure is the record's or stands below as an assumption; a table's second column shows the arithmetic.
"""

import math
from pathlib import Path

from benchmarks import record
from benchmarks.rows import Row
from storylab.markdown import table
from storylab.training.recipe import read_recipe

PAGE = record.DOCS / "scale.md"
CORES = 2
"""Of the machine that the record was made on; a process of the page gets as many."""
BUSY = 0.7
"""Share of the time that cores may be busy at the peak; beyond it, the wait grows faster than the load."""
PUPILS, PAUSE, PATIENCE = 200, 120, 30
"""A class: how many, seconds from one press of Tell to the next, and the wait that is borne when all press at once."""
DAY, PEAK = 1_000_000, 3
"""A public site: tellings a day, and the busiest minutes against the mean."""
TOKENS = 50
"""Tokens of a telling, its end among them: people's own four sentences have that many in train/tiny.csv."""
VOTES, VOTE_BYTES = 100, 205
"""Tellings for each vote, and what a vote takes in the SQLite file, its index included."""
GPU_BANDWIDTH, GPU_TEXTS = 3.35e12, 32
"""Bytes a second that one H100 (SXM) reads by its maker's data sheet, and texts that share a step."""
LARGE = 7e9
"""Parameters of a model that no processor tells at leisure, two bytes each."""
NODES = 4
"""Machines that train together."""
NETS = {"1 Gbit/s": 1.25e8, "10 Gbit/s": 1.25e9}
"""Bytes a second between them."""

HEAD = [["what", "how", "figure"], ["---", "---", "---:"]]


def tables() -> dict[str, str]:
    """The tables by the names of their places."""
    figures = Figures(record.read(record.DOCS))
    return {
        "measured": measured(figures),
        "class": classroom(figures),
        "public": public(figures),
        "elsewhere": elsewhere(),
        "training": training(figures),
    }


class Figures:
    """What was measured, by what it is asked for."""

    def __init__(self, rows: dict[str, list]):
        """Of the record's rows."""
        self._rows = rows
        self.four = self._median("decoding", "four storytellers at once", "onnx, fp32")  # seconds for four tellings
        self.telling = self.four * CORES / 4  # core-seconds
        self.memory = self._median("memory", "memory with four storytellers loaded", "python app.py, fp32")  # MiB
        self.memory_int8 = self._median("memory", "memory with four storytellers loaded", "python app.py, int8")
        self.int8 = self._seconds("one story", "onnx, int8") / self._seconds("one story", "onnx, fp32")
        self.batch = self._seconds("32 openings", "onnx, fp32") / self._seconds("one story", "onnx, fp32")
        self.training = self._median("training", "training gpt2-mini", "ours, Muon")  # tokens a second

    def _median(self, part: str, what: str, ours: str) -> float:
        row: Row = next(row for row in self._rows[part] if (row.what, row.ours) == (what, ours))
        return row.our_figure.median

    def _seconds(self, how: str, ours: str) -> float:
        """Of a token of each bundled storyteller, one after the other."""
        rates = (row for row in self._rows["decoding"] if row.what.endswith(f", {how}") and row.ours == ours)
        return sum(1 / row.our_figure.median for row in rates)


def processes(seconds_of_cores: float) -> int:
    """Processes of the page that give so many core-seconds a second, with room to spare."""
    return math.ceil(seconds_of_cores / BUSY / CORES)


def measured(f: Figures) -> str:
    """What the rest is made of."""
    return table(
        [
            *HEAD,
            ["four storytellers tell at once, two cores", "docs/speed.md, Telling", f"{f.four:.2f} s"],
            ["a telling", f"{f.four:.2f} s x {CORES} cores / 4", f"{f.telling:.2f} core-seconds"],
            ["the same in 8 bits", "a token of each storyteller, int8 / fp32", f"x {f.int8:.2f}"],
            ["the same 32 at a time", "a token of each storyteller, together / alone", f"x {f.batch:.2f}"],
            ["a page with the four, fp32", "docs/speed.md, memory", f"{f.memory:,.0f} MiB"],
            ["a page with the four, int8", "docs/speed.md, memory", f"{f.memory_int8:,.0f} MiB"],
            ["training `gpt2-mini`", "docs/speed.md, Training", f"{f.training:,.0f} tokens/s"],
        ]
    )


def classroom(f: Figures) -> str:
    """A class, one press of Tell being four tellings."""
    at_once, presses = PUPILS * f.four, PUPILS / PAUSE
    quick = math.ceil(at_once / PATIENCE)
    steady = processes(presses * 4 * f.telling)
    return table(
        [
            *HEAD,
            ["all press at once, one process", f"{PUPILS} x {f.four:.2f} s", f"{at_once:.0f} s for the last"],
            [
                f"processes for the last within {PATIENCE} s",
                f"{at_once:.1f} s / {PATIENCE} s",
                f"{quick}, {quick * CORES} cores",
            ],
            [
                "the same in 8 bits",
                f"{at_once:.1f} s x {f.int8:.2f} / {PATIENCE} s",
                _processes(at_once * f.int8 / PATIENCE),
            ],
            [f"each presses every {PAUSE} s", f"{PUPILS} / {PAUSE} s", f"{presses:.2f} presses/s"],
            [
                "processes for that",
                f"{presses:.2f} x 4 x {f.telling:.2f} core-seconds / {BUSY} / {CORES} cores",
                f"{steady}, {steady * CORES} cores",
            ],
            [
                "all at once, with these",
                f"{at_once:.0f} s / {steady}",
                f"{at_once / steady:.0f} s for the last",
            ],
            ["memory of these", f"{steady} x {f.memory:,.0f} MiB", _gigabytes(steady * f.memory)],
        ]
    )


def _processes(count: float) -> str:
    return f"{math.ceil(count)}, {math.ceil(count) * CORES} cores"


def _gigabytes(mebibytes: float) -> str:
    return f"{mebibytes / 1024:.1f} GiB"


def public(f: Figures) -> str:
    """A site that is open to all."""
    mean = DAY / 86_400
    peak = mean * PEAK
    work = peak * f.telling
    count, count_int8 = processes(work), processes(work * f.int8)
    votes = DAY / VOTES
    return table(
        [
            *HEAD,
            ["mean", f"{DAY:,} / 86,400 s", f"{mean:.1f} tellings/s"],
            ["peak", f"{mean:.1f} x {PEAK}", f"{peak:.1f} tellings/s"],
            ["work at the peak", f"{peak:.1f} x {f.telling:.2f} core-seconds", f"{work:.1f} cores busy"],
            ["processes", f"{work:.1f} / {BUSY} / {CORES} cores", f"{count}, {count * CORES} cores"],
            ["memory", f"{count} x {f.memory:,.0f} MiB", _gigabytes(count * f.memory)],
            ["processes in 8 bits", f"{work:.1f} x {f.int8:.2f} / {BUSY} / {CORES}", _processes(count_int8)],
            ["memory in 8 bits", f"{count_int8} x {f.memory_int8:,.0f} MiB", _gigabytes(count_int8 * f.memory_int8)],
            ["votes", f"{DAY:,} / {VOTES}", f"{votes:,.0f} a day"],
            [
                "disk for votes",
                f"{votes:,.0f} x {VOTE_BYTES} bytes x 365",
                f"{votes * VOTE_BYTES * 365 / 1e9:.2f} GB a year",
            ],
        ]
    )


def elsewhere() -> str:
    """The same tellings by a large model on a GPU."""
    peak = DAY / 86_400 * PEAK * TOKENS
    steps = GPU_BANDWIDTH / (2 * LARGE)
    most = steps * GPU_TEXTS
    return table(
        [
            *HEAD,
            ["tokens at the peak", f"{DAY:,} / 86,400 s x {PEAK} x {TOKENS}", f"{peak:,.0f} tokens/s"],
            [
                "steps of a model of 7 billion parameters",
                f"{GPU_BANDWIDTH / 1e12:.2f} TB/s / {2 * LARGE / 1e9:.0f} GB",
                f"{steps:.0f} a second at most",
            ],
            [f"tokens, {GPU_TEXTS} texts a step", f"{steps:.0f} x {GPU_TEXTS}", f"{most:,.0f} tokens/s at most"],
            ["share of that bound", f"{peak:,.0f} / {most:,.0f}", f"{100 * peak / most:.0f}%"],
        ]
    )


def training(f: Figures) -> str:
    """One step of `gpt2-mini` on one machine and on several."""
    recipe = read_recipe(Path(record.DOCS).parent / "train" / "gpt2-mini.toml")
    tokens = recipe.batch_size * recipe.accumulation * recipe.pack_length
    alone, size = tokens / f.training, 13.8e6 * 4
    sent = size * 2 * (NODES - 1) / NODES
    whole = 15.4e6
    rows = [
        *HEAD,
        ["a step, one machine", f"{tokens:,} tokens / {f.training:,.0f} tokens/s", f"{alone:.2f} s"],
        [
            "the recipe, one machine",
            f"{whole / 1e6:.1f} million tokens / {f.training:,.0f}",
            f"{whole / f.training / 3600:.1f} h",
        ],
        [f"a step's share of {NODES} machines", f"{alone:.2f} s / {NODES}", f"{alone / NODES:.2f} s"],
        ["gradients that each sends", f"13.8 million x 4 bytes x 2 x {NODES - 1}/{NODES}", f"{sent / 1e6:.0f} MB"],
    ]
    for name, rate in NETS.items():
        step = alone / NODES + sent / rate
        rows.append(
            [
                f"a step over {name}",
                f"{alone / NODES:.2f} s + {sent / rate:.2f} s",
                f"{step:.2f} s, {alone / step:.1f} times as fast",
            ]
        )
    return table(rows)
