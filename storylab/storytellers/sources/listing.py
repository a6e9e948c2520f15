"""Ask the Hub which files of a model are needed, and what their checksums are."""

import re
import threading
from collections.abc import Callable, Collection
from typing import TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RevisionNotFoundError
from huggingface_hub.hf_api import ModelInfo, RepoSibling

from storylab.errors import StoryLabError
from storylab.storytellers.sources.delivery import RemoteFile, request_headers
from storylab.storytellers.sources.fetching import Cancelled, read_ahead
from storylab.storytellers.sources.snapshots import WEIGHTS, WEIGHTS_INDEX, has_tokenizer
from storylab.storytellers.sources.transfer import refusal
from storylab.training.base import BASE, TRAINED

Answer = TypeVar("Answer")
PATIENCE = 2.5  # seconds for the Hub's first answer, name look-up included; a page that says nothing for 3 seems dead
_NAMES = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    BASE,
}
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf")
_ETAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def file_url(repository: str, commit: str, name: str) -> str:
    """Where the Hub has a file."""
    return f"{constants.ENDPOINT}/{repository}/resolve/{quote(commit, safe='')}/{quote(name)}"


def list_files(text: str, repository: str, revision: str, cancel: threading.Event) -> tuple[str, list[RemoteFile]]:
    """The commit that a revision stands for, and those of its files that a storyteller needs.

    Args:
        text: The source as the catalogue spells it, for messages.
        repository: OWNER/NAME.
        revision: Commit, tag or branch.
        cancel: Ends the wait when set.

    Raises:
        Cancelled: `cancel` was set.
        StoryLabError: The Hub can't be reached, or has no such model, or not one that can be used here.
    """
    if constants.is_offline_mode():
        raise StoryLabError(f"{text} is not fetched: HF_HUB_OFFLINE keeps programs from using the Hub")
    api = HfApi(endpoint=constants.ENDPOINT, library_name="storylab")

    def ask() -> ModelInfo:
        return api.model_info(repository, revision=revision, files_metadata=True, timeout=PATIENCE)

    info = _answer(text, revision, ask, cancel)
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    if not re.fullmatch(r"[0-9a-f]{40}", info.sha or "") or (len(revision) == 40 and info.sha != revision):
        raise StoryLabError(f"{text} can't be fetched: the Hub doesn't say which commit {revision} is")
    files = []
    for name in _needed(text, siblings):
        described = _described(siblings[name])
        if described is None:  # by a mirror that leaves sizes and checksums out of its list
            url = file_url(repository, info.sha, name)
            described = _answer(text, revision, lambda url=url, name=name: _head(url, name), cancel)
        files.append(described)
    return info.sha, files


def _needed(text: str, names: Collection[str]) -> list[str]:
    """The names of the files to fetch: no pickles, no code."""
    weights = [TRAINED] if {TRAINED, BASE} <= set(names) else _whole_weights(text, names)  # fine-tuned here, or not
    if "config.json" not in names:
        raise StoryLabError(f"{text} has no config.json")
    if not has_tokenizer(names):
        raise StoryLabError(f"{text} has no tokenizer")
    return sorted(name for name in names if name in _NAMES or ("/" not in name and name.endswith(".model"))) + weights


def _whole_weights(text: str, names: Collection[str]) -> list[str]:
    shards = [name for name in names if _SHARD.fullmatch(name)] if WEIGHTS_INDEX in names else []
    weights = [WEIGHTS] if WEIGHTS in names else [WEIGHTS_INDEX, *shards] if shards else []
    if not weights:
        others = sorted(name for name in names if name.endswith(_OTHER_WEIGHTS))
        found = f"only {others[0]}, which is not opened" if others else "no weights at all"
        raise StoryLabError(f"{text} has no {WEIGHTS}: {found}")
    return weights


def _described(sibling: RepoSibling) -> RemoteFile | None:
    size, etag = sibling.size, sibling.blob_id
    if sibling.lfs is not None:
        size, etag = sibling.lfs.size, sibling.lfs.sha256
    try:
        return _checked(sibling.rfilename, size, etag)
    except ValueError:
        return None


def _head(url: str, name: str) -> RemoteFile:
    metadata = get_hf_file_metadata(url, headers=request_headers(), timeout=PATIENCE)
    return _checked(name, metadata.size, metadata.etag)


def _checked(name: str, size: int | None, etag: str | None) -> RemoteFile:
    """A file whose checksum can be part of a path."""
    if size is None or not _ETAG.fullmatch(etag or ""):
        raise ValueError(f"no size or checksum for {name}")
    return RemoteFile(name, size, etag)


def _answer(text: str, revision: str, ask: Callable[[], Answer], cancel: threading.Event) -> Answer:
    """The Hub's answer to a question, in time."""
    host = urlsplit(constants.ENDPOINT).netloc or constants.ENDPOINT
    try:
        return next(read_ahead(lambda: iter([ask()]), cancel, PATIENCE))
    except (Cancelled, StoryLabError):
        raise
    except RevisionNotFoundError:
        raise StoryLabError(f"{text} has no revision {revision} on the Hub") from None
    except GatedRepoError:
        raise StoryLabError(f"{text} {refusal(403)}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        # Who doesn't say who they are is told 401 about private models and about those that don't exist.
        also = "is not on the Hub, or it " if status == 401 else ""
        raise StoryLabError(f"{text} {also}{refusal(status)}") from None
    except (httpx2.RequestError, httpx2.InvalidURL, OSError) as error:
        reason = "no answer in time" if isinstance(error, (TimeoutError, httpx2.TimeoutException)) else str(error)
        reason = reason.splitlines()[0] if reason else type(error).__name__
        raise StoryLabError(f"{text} can't be fetched: the Hub at {host} can't be reached ({reason})") from None
    except Exception:  # a page of a hotel's network for instance, with 200 OK
        raise StoryLabError(f"{text} can't be fetched: what {host} answers is not the Hub's protocol") from None
