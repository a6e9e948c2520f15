"""The command lines: whatever is typed, one line on stderr and a status; nothing is written and no model is loaded."""

import os
import re

from hypothesis import strategies as st
from nonsense import BROKEN, PATHS, cases, is_one_line, texts

from storylab import cli
from storylab.decoding import OPTIONS
from storylab.training import cli as training

NUMERALS = ("nan", "inf", "-1", "1e999", "9" * 5000, "0x10", "1_000_000", "", "-", "١")
words = st.one_of(texts, st.sampled_from(NUMERALS), st.sampled_from(("stories.csv", "report.json")))
files = words.filter(lambda word: not word.startswith("hub:"))  # which opens a library of seconds
flags = st.sampled_from(["--seed", "--limit", "--json", "--preset", "--device", "--dtype", "--nonsense"])
options = st.sampled_from([f"--{name.replace('_', '-')}" for name in OPTIONS])
MODEL = ["--model", "nobody"]
commands = st.one_of(
    st.lists(words.filter(lambda word: word not in ("models", "trainings", "exhibits")), max_size=4),
    st.builds(lambda opening: ["tell", opening, *MODEL], words),
    st.builds(lambda model: ["tell", "My dog ran away.", "--model", model], words),
    st.builds(lambda name, value: ["tell", "My dog ran away.", *MODEL, name, value], st.one_of(options, flags), words),
    st.builds(lambda data: ["score", *MODEL, "--data", data], files),
    st.builds(lambda data: ["cloze", *MODEL, "--data", data], files),
    st.builds(lambda names, data: ["evaluate", "--models", names, "--data", data], words, files),
    st.builds(lambda name: ["download", name], words),
    st.builds(lambda first, second: ["trainings", "--compare", first, second], words, words),
    st.builds(lambda text, place: ["branch", "My dog.", *MODEL, "--text", text, "--position", place], words, words),
)


def status_of(main, arguments: list[str], capsys) -> int:
    """The exit status, once what was said is found to be one line behind a usage line at most."""
    try:
        status = main(arguments)
    except SystemExit as error:  # argparse's
        status = error.code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    if status:
        ours = re.search(r"^(storylab|train): (?!error: )", told)  # argparse repeats what was typed as it stands
        assert is_one_line(told.rstrip("\n")) if ours else ": error: " in told or "usage" in told
    return status


@cases(150, arguments=commands)
def test_a_command_of_nonsense_is_refused(folder, capsys, arguments):
    before = os.listdir(folder)
    assert status_of(cli.main, arguments, capsys) == 2
    assert os.listdir(folder) == before


names = st.one_of(
    texts.filter(lambda text: not text.startswith("-")),
    st.sampled_from([*PATHS, *BROKEN, "x" * 5000, "tiny/../tiny", "train/tiny.toml", "/dev/zero.toml"]),
)
changes = st.one_of(
    texts, st.builds("{}={}".format, st.sampled_from(("seed", "batch_size", "name", "model.x", "")), words)
)


@cases(80, name=names, change=changes)
def test_a_training_of_nonsense_is_refused(folder, capsys, root, name, change):
    def main(arguments: list[str]) -> int:
        return training.main(arguments, root / "train")

    before = sorted(os.listdir(root / "checkpoints"))
    assert status_of(main, [name, f"--set={change}", "--stories", "nowhere.csv"], capsys) == 2
    assert sorted(os.listdir(root / "checkpoints")) == before and os.listdir(folder) == []
