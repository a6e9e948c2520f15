"""What every test shares: a quiet environment, set before any library is imported, and files at hand."""

import os

os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
)
os.environ.pop("STORYLAB_CATALOGUE", None)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # the models under test are too small to gain from a second thread

import shutil  # noqa: E402
import subprocess  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

    from storylab.storytellers.storyteller import Storyteller
    from storylab.training.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
SERVED = tuple(f"tests/ui/test_{what}" for what in ("browser", "api", "mcp"))
"""The files whose tests open the page that is served, which takes ten seconds to start and to warm up."""
DATA = Path(os.environ.get("STORYLAB_DATA", ROOT.parent / "shared" / "data"))

# A busy machine is no reason to fail: pytest-timeout catches what hangs. Under CI every run tries the same
# examples.
hypothesis.settings.register_profile("storylab", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("storylab")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """None for a single file, which would wait for a worker to start; else as many as xdist says."""
    return 0 if len(config.args) == 1 and ".py" in config.args[0] else None


def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadFileScheduling":
    """The tests of a file go to one worker, which makes their fixtures once, and those that open the page likewise."""
    from xdist.scheduler import LoadFileScheduling

    class ByWhatIsShared(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "the served page" if nodeid.startswith(SERVED) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False  # the order below, not that of the number of tests
    return ByWhatIsShared(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: no worker is to be left with it in the end."""
    items.sort(key=lambda item: (not item.nodeid.startswith(SERVED), item.get_closest_marker("long") is None))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_csv() -> Path:
    """The small corpus that comes with the project."""
    return ROOT / "train" / "tiny.csv"


@pytest.fixture(scope="session")
def rocstories() -> Path:
    """The folder with ROCStories' train.csv, valid.csv and test.csv."""
    folder = DATA / "rocstories"
    if not (folder / "train.csv").is_file():
        pytest.skip("ROCStories is not at hand: STORYLAB_DATA names the folder with rocstories/")
    return folder


@pytest.fixture(scope="session")
def gpt2_tokenizer() -> Path:
    """The folder with the files of GPT-2's tokenizer."""
    folder = DATA / "gpt2-tokenizer"
    if not (folder / "vocab.json").is_file():
        pytest.skip("GPT-2's tokenizer is not at hand: STORYLAB_DATA names the folder with gpt2-tokenizer/")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium is installed")


@pytest.fixture
def mount(tmp_path) -> "Iterator[Callable[..., Path]]":
    """A function that makes a disk of one megabyte, or with its path gives the disk there other options."""
    disks = []

    def run(*arguments: str) -> None:
        if subprocess.run(["mount", *arguments], capture_output=True).returncode:
            pytest.skip("only root may mount a small disk")

    def make(disk: Path | None = None, options: str = "size=1m") -> Path:
        if disk is not None:
            run("-o", f"remount,{options}", str(disk))
            return disk
        disk = tmp_path / f"disk-{len(disks)}"
        disk.mkdir()
        run("-t", "tmpfs", "-o", options, "tmpfs", str(disk))
        disks.append(disk)
        return disk

    yield make
    for disk in disks:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture(scope="session")
def make_recipe(tiny_csv) -> "Callable[..., Recipe]":
    """A function that makes the recipe of a very small model of a kind, changed as its other arguments say.

    As it stands, the encoder-decoder learns its eight stories by heart in a hundred steps of some 20 ms;
    the encoder learns something.
    """
    from storylab.training.recipe import Recipe

    shape = {"width": 32, "heads": 2, "inner": 64, "positions": 192, "dropout": 0.0}
    kinds = {
        "seq2seq": {
            "framing": "prompt-target",
            "batch_size": 8,
            "epochs": 100,
            "model": shape | {"encoder_layers": 1, "decoder_layers": 1},
        },
        "encoder": {
            "framing": "next-token",
            "prefixes": 0,
            "batch_size": 128,
            "epochs": 8,
            "model": shape | {"layers": 1},
        },
    }

    def make(kind: str, **changes) -> Recipe:
        plain = {
            "name": f"small-{kind}",
            "model_type": kind,
            "stories": str(tiny_csv),
            "vocabulary_size": 700,
            "limit": 8,
            "optimizer": "muon",
            "learning_rate": 1e-2,
            "warmup": 5,
            "schedule": "wsd",
            "precision": "fp32",
            "log_every": 10,
            "evaluate_every": 1000,
            "save_every": 1000,
            "sample": "",
            "keep": "last",
        }
        settings = plain | kinds[kind] | changes
        settings["model"] = kinds[kind]["model"] | changes.get("model", {})
        return Recipe(**settings)

    return make


@pytest.fixture(scope="session")
def small_checkpoints(tmp_path_factory, make_recipe) -> Path:
    """A folder with the checkpoints `small-seq2seq` and `small-encoder`, trained here and now."""
    from storylab.training.run import run

    folder = tmp_path_factory.mktemp("small")
    for kind in ("seq2seq", "encoder"):
        run(make_recipe(kind), checkpoints=folder / "checkpoints", runs=folder / "runs", device="cpu", quiet=True)
    return folder / "checkpoints"


@pytest.fixture(scope="session")
def small_stories(make_recipe) -> list:
    """The eight stories that the small checkpoints have learnt."""
    from storylab.training.data import gather_stories

    return gather_stories(make_recipe("seq2seq"))[0].train


def _open(folder: Path, kind: str) -> "Storyteller":
    from storylab.storytellers.storyteller import Storyteller

    return Storyteller.from_folder(folder.name, folder.name, kind, folder)


@pytest.fixture(scope="session")
def small_seq2seq(small_checkpoints) -> "Storyteller":
    """A storyteller that knows `small_stories` by heart."""
    return _open(small_checkpoints / "small-seq2seq", "seq2seq")


@pytest.fixture(scope="session")
def small_encoder(small_checkpoints) -> "Storyteller":
    """A storyteller that has seen `small_stories`."""
    return _open(small_checkpoints / "small-encoder", "encoder")


@pytest.fixture(params=["seq2seq", "encoder"])
def small(request) -> "Storyteller":
    """Each of the small storytellers."""
    return request.getfixturevalue(f"small_{request.param}")


@pytest.fixture(scope="session", params=["seq2seq", "encoder"])
def committed(request, root) -> "Storyteller":
    """Each of the storytellers whose weights come with the project."""
    folder = root / "checkpoints" / request.param
    assert folder.is_dir(), f"{folder} comes with the project"
    return _open(folder, request.param)
