"""A model on the Hub: fetched once, found again without network, and never taken for whole when it isn't."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

import pytest
from local_hub import COMMIT, REPOSITORY, Hub, eventually, sha256

from storylab.errors import StoryLabError
from storylab.storytellers.sources import Cancelled, parse_source
from storylab.tokenizers import load_tokenizer

TEXT = f"hub:{REPOSITORY}"
FETCH = f"from storylab.storytellers.sources import parse_source; print(parse_source({TEXT!r}).fetch())"
PARAMETERS = 438_144  # 41,344 in embeddings, twice 198,272 in a layer, 256 in the last norm
NEEDED = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}


@pytest.fixture
def source(hub):
    return parse_source(TEXT)


def large(hub: Hub) -> bytes:
    return hub.files["model.safetensors"]


def left_over(source) -> list[str]:
    """What a download left half done."""
    return [path.name for path in source.storage.rglob("*.incomplete")]


def assert_whole(hub: Hub, source) -> None:
    assert source.look().state == "ready"
    assert (source.folder / "model.safetensors").read_bytes() == large(hub)
    assert left_over(source) == []


def test_what_is_fetched_opens_without_network(hub, source):
    from transformers import AutoModelForCausalLM

    assert source.look().state == "downloadable"
    assert hub.requests == []  # looking asks nobody
    steps = []
    folder = source.fetch(lambda done, total: steps.append((done, total)))
    assert folder == source.folder
    assert {path.name for path in folder.iterdir()} == NEEDED  # no pickle, no code
    weight = sum(len(hub.files[name]) for name in NEEDED)
    assert steps[-1] == (weight, weight)
    assert steps == sorted(steps)
    hub.silent = True
    state = parse_source(TEXT).look()
    assert (state.state, state.kind, state.parameters) == ("ready", "causal", PARAMETERS)
    asked = len(hub.requests)
    assert source.fetch() == folder
    assert len(hub.requests) == asked
    report = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, output_loading_info=True)[1]
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert load_tokenizer(folder).decode(load_tokenizer(folder).encode("They go.")) == "They go."


def test_it_lies_where_other_programs_look_for_it(hub, source):
    from huggingface_hub import constants, scan_cache_dir, try_to_load_from_cache

    source.fetch()
    found = try_to_load_from_cache(REPOSITORY, "model.safetensors", cache_dir=constants.HF_HUB_CACHE)
    assert found == str(source.folder / "model.safetensors")
    (cached,) = scan_cache_dir(constants.HF_HUB_CACHE).repos
    assert cached.repo_id == REPOSITORY
    assert {revision.commit_hash: set(revision.refs) for revision in cached.revisions} == {COMMIT: {"main"}}


def test_what_another_program_fetched_is_ready(hub, source):
    from huggingface_hub import constants, hf_hub_download

    for name in NEEDED:
        hf_hub_download(REPOSITORY, name, cache_dir=constants.HF_HUB_CACHE)
    hub.requests.clear()
    assert source.look().state == "ready"
    assert source.fetch().name == COMMIT
    assert hub.requests == []


def test_a_cache_that_another_program_filled_in_part_is_completed(hub, source):
    from huggingface_hub import constants, hf_hub_download

    for name in ("config.json", "tokenizer.json"):
        hf_hub_download(REPOSITORY, name, cache_dir=constants.HF_HUB_CACHE)
    state = source.look()
    assert state.state == "downloadable"
    assert "model.safetensors is missing" in state.reason
    hub.requests.clear()
    source.fetch()
    assert_whole(hub, source)
    assert hub.sent("tokenizer.json") == []


def test_a_pinned_model_under_its_early_name_is_ready(hub):
    """`openai-community/gpt2` was `gpt2` for years, and is in many caches under that name."""
    pinned = parse_source(f"{TEXT}@{COMMIT}")
    pinned.fetch()
    pinned.storage.rename(pinned.storage.with_name("models--tiny-gpt2"))
    assert pinned.look().state == "ready"
    assert parse_source(TEXT).look().state == "downloadable"  # who asks for no commit wants the owner's


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_connection_cut_in_the_middle_is_taken_up_again(hub, source, ranges):
    hub.cut, hub.ranges = [500_000, 700_000], ranges
    source.fetch()
    assert_whole(hub, source)
    assert hub.sent() == ["", "bytes=500000-", "bytes=1200000-" if ranges else "bytes=700000-"]


def test_a_download_that_broke_off_is_gone_on_with(hub, source):
    hub.cut = [400_000] + [0] * 8
    with pytest.raises(StoryLabError, match=r"model\.safetensors of .* broke off after 400,000 bytes of 2 MB"):
        source.fetch()
    assert source.look().state == "unreachable"
    assert len(left_over(source)) == 1
    hub.cut.clear()
    hub.requests.clear()
    source.fetch()
    assert hub.sent() == ["bytes=400000-"]
    assert_whole(hub, source)


def test_a_download_that_was_killed_is_gone_on_with(hub, source, start):
    hub.pause = 0.02
    child = start(FETCH)
    eventually(lambda: any(path.stat().st_size > 200_000 for path in source.storage.rglob("*.incomplete")))
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert source.look().state == "downloadable"
    hub.pause = 0.0
    hub.requests.clear()
    source.fetch()
    assert int(hub.sent()[0].removeprefix("bytes=").rstrip("-")) > 200_000
    assert_whole(hub, source)


def test_another_hash_than_the_hub_states_is_refused(hub, source):
    hub.corrupt = True
    with pytest.raises(StoryLabError, match=r"model\.safetensors .* another checksum"):
        source.fetch()
    state = source.look()
    assert state.state == "unreachable"
    assert "another checksum" in state.reason
    assert left_over(source) == []
    assert not list(source.storage.rglob("model.safetensors"))
    hub.corrupt = False
    source.fetch()
    assert_whole(hub, source)


def test_damage_in_the_cache_is_seen_and_mended(hub, source):
    source.fetch()
    blob = source.storage / "blobs" / sha256(large(hub))
    os.truncate(blob, 500_000)
    state = source.look()
    assert state.state == "downloadable"
    assert "is damaged" in state.reason
    source.fetch()
    assert_whole(hub, source)


def test_a_mirror_that_lists_no_checksums_is_asked_file_by_file(hub, source):
    hub.plain_list = hub.corrupt = True
    with pytest.raises(StoryLabError, match="another checksum"):
        source.fetch()
    hub.corrupt = False
    source.fetch()
    assert_whole(hub, source)


@dataclass
class Refusal:
    status: int
    code: str
    told: str


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(404, "RepoNotFound", "is not on the Hub"),
        Refusal(404, "", "is not on the Hub"),
        Refusal(404, "RevisionNotFound", "has no revision main"),
        Refusal(401, "RepoNotFound", "is not on the Hub, or it is private"),
        Refusal(403, "GatedRepo", "terms have to be accepted"),
        Refusal(503, "", "the Hub answered 503"),
    ],
    ids=lambda refusal: f"{refusal.status} {refusal.code}",
)
def test_what_the_hub_refuses_is_told_in_one_sentence(hub, source, refusal):
    hub.status, hub.code = refusal.status, refusal.code
    with pytest.raises(StoryLabError, match=refusal.told) as caught:
        source.fetch()
    assert TEXT in str(caught.value)
    assert "\n" not in str(caught.value)
    assert source.look().reason == str(caught.value)


def test_a_file_that_is_refused_is_told_in_one_sentence(hub, source):
    hub.file_status = 403  # a gated model: anybody may see the list
    with pytest.raises(StoryLabError, match="terms have to be accepted"):
        source.fetch()
    assert left_over(source) == []


def test_a_page_that_is_no_hub_is_told_in_one_sentence(hub, source):
    hub.page = b"<html>Welcome to the hotel's network</html>"
    with pytest.raises(StoryLabError, match="not the Hub's protocol"):
        source.fetch()


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ({"model.safetensors"}, r"no model\.safetensors: only pytorch_model\.bin, which is not opened"),
        ({"model.safetensors", "pytorch_model.bin"}, "no weights at all"),
        ({"tokenizer.json"}, "no tokenizer"),
        ({"config.json"}, r"no config\.json"),
    ],
)
def test_a_model_that_can_not_be_used_is_not_fetched(hub, source, missing, told):
    for name in missing:
        del hub.files[name]
    with pytest.raises(StoryLabError, match=told):
        source.fetch()
    assert hub.sent("") == [""]  # the list and nothing else


def test_weights_in_several_files(hub, source):
    weights = hub.files.pop("model.safetensors")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    hub.files |= dict.fromkeys(names, weights)
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
    source.fetch()
    assert source.look().parameters == 2 * PARAMETERS
    (source.folder / names[1]).unlink()
    assert f"{names[1]} is missing" in source.look().reason


def test_trained_tensors_of_a_fine_tuned_storyteller(hub, source):
    hub.files["trained.safetensors"] = hub.files.pop("model.safetensors")
    hub.files["base.json"] = b'{"name": "gpt2", "sha256": "00", "tensors": ["a"]}'
    source.fetch()
    state = source.look()
    assert (state.state, state.base) == ("ready", "gpt2")


def test_offline_is_respected(hub, source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StoryLabError, match="HF_HUB_OFFLINE"):
        source.fetch()
    assert hub.requests == []


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "closed"])
def test_a_hub_that_can_not_be_reached_is_found_out_in_three_seconds(hub, source, silent, monkeypatch):
    import storylab.storytellers.sources.listing  # noqa: F401  importing takes its time on a busy machine

    hub.silent = silent
    if not silent:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        source = parse_source(TEXT)
    began = time.monotonic()
    with pytest.raises(StoryLabError, match="can't be reached"):
        source.fetch()
    assert time.monotonic() - began < 3
    state = parse_source(TEXT).look()
    assert state.state == "unreachable"
    assert "can't be reached" in state.reason


def test_a_failure_is_forgotten_once_fetching_succeeds(hub, source):
    hub.status = 500
    with pytest.raises(StoryLabError):
        source.fetch()
    hub.status = 200
    source.fetch()
    assert source.look().state == "ready"
    shutil.rmtree(source.storage)
    assert source.look().state == "downloadable"


def test_cancelling_takes_a_moment_and_leaves_nothing(hub, source):
    hub.pause = 3.0  # a connection that has as good as died
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        source.fetch(cancel=cancel)
    assert time.monotonic() - began < 2.5
    assert left_over(source) == []
    assert source.look().state == "downloadable"  # not unreachable: nothing went wrong


def test_two_threads_do_the_work_once(hub, source):
    hub.pause = 0.005
    folders, threads = [], []
    for _ in range(2):
        threads.append(threading.Thread(target=lambda: folders.append(parse_source(TEXT).fetch())))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert folders == [source.folder] * 2
    assert len(hub.sent()) == 1
    assert_whole(hub, source)


def test_two_processes_do_the_work_once(hub, source, start):
    hub.pause = 0.02
    children = [start(FETCH), start(FETCH)]
    for child in children:
        output, errors = child.communicate(timeout=120)
        assert output.strip() == str(source.folder), errors
    assert len(hub.sent()) == 1
    assert_whole(hub, source)


def test_who_waits_for_another_can_cancel(hub, source):
    hub.pause = 0.05
    first = threading.Thread(target=source.fetch)
    first.start()
    eventually(lambda: left_over(source))
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        parse_source(TEXT).fetch(cancel=cancel)
    first.join()
    assert_whole(hub, source)


def test_a_file_that_may_not_grow_is_told_in_one_sentence(hub, source, start):
    """A limit on the size of files fails as a full disk does: in the middle of writing."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
    child = start(
        f"{limit}from storylab.errors import StoryLabError\ntry:\n    {FETCH}\nexcept StoryLabError as e: print(e)"
    )
    output, errors = child.communicate(timeout=120)
    assert output.startswith(f"{TEXT} can't be stored: File too large"), errors
    assert left_over(source) == []
    assert source.look().state == "downloadable"


@pytest.fixture
def full_disk(hub):
    """A disk of one megabyte in the cache's place."""
    from huggingface_hub import constants

    os.makedirs(constants.HF_HUB_CACHE)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", constants.HF_HUB_CACHE], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield
    subprocess.run(["umount", "-l", constants.HF_HUB_CACHE], check=True)


@pytest.mark.usefixtures("full_disk")
def test_a_disk_without_room_is_told_before_the_download(hub, source):
    with pytest.raises(StoryLabError, match=r"needs 2 MB in .* are free"):
        source.fetch()
    assert hub.sent() == []
    assert source.look().state == "unreachable"


@pytest.mark.usefixtures("full_disk")
def test_a_disk_that_fills_up_meanwhile_is_told_in_one_sentence(hub, source, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 0, 10**12))
    with pytest.raises(StoryLabError, match="can't be stored: No space left on device"):
        source.fetch()
    assert left_over(source) == []
    assert source.look().state == "unreachable"


def refuse(*arguments):
    raise OSError("no links here")


@pytest.mark.parametrize("hard_links", [True, False])
def test_files_take_their_place_where_links_do_not_work(hub, source, monkeypatch, hard_links):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_SYMLINKS", True)
    if not hard_links:
        monkeypatch.setattr(os, "link", refuse)
    hub.files["special_tokens_map.json"] = hub.files["generation_config.json"]  # one checksum, two names
    source.fetch()
    assert {path.name for path in source.folder.iterdir()} == NEEDED | {"special_tokens_map.json"}
    assert not any(path.is_symlink() for path in source.folder.iterdir())
    assert_whole(hub, source)


def test_a_token_goes_to_the_hub_and_no_further(hub, source, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    source.fetch()
    assert hub.told_who == {"api", "someone"}  # and not "cdn", on another host
