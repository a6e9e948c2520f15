"""What every test shares: a quiet environment, set before any library is imported, and files at hand."""

import os

os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # the models under test are too small to gain from a second thread

import shutil  # noqa: E402
from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("STORYLAB_DATA", ROOT.parent / "shared" / "data"))

# A busy machine is no reason to fail: pytest-timeout catches what hangs. Under CI every run tries the same
# examples.
hypothesis.settings.register_profile("storylab", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("storylab")


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
