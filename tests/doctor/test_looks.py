"""The doctor's single looks, each held against a machine, a folder or a package made for it."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from storylab import cgroup
from storylab.doctor import inside, machine, packages, reach, surroundings
from storylab.doctor.finding import FAULT, NOTE, OK, size
from storylab.engines import names
from storylab.storytellers import catalog
from storylab.watching.settings import LOGS

GRANTED = ("STORYLAB_ENGINE", "STORYLAB_DTYPE", "STORYLAB_LOG", "STORYLAB_METRICS_PORT", "GRADIO_SERVER_PORT")


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in (*GRANTED, "GRADIO_SERVER_NAME", "HF_HUB_OFFLINE", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


# Control groups


def test_groups_of_version_2_bound_those_inside_them(tmp_path):
    write(
        tmp_path,
        {
            "own": "0::/outer/inner\n",
            "outer/cpu.max": "150000 100000\n",
            "outer/inner/cpu.max": "max 100000\n",
            "outer/memory.max": "max\n",
            "outer/inner/memory.max": "1000000\n",
            "outer/inner/memory.current": "900000\n",
            "outer/inner/memory.stat": "anon 5\ninactive_file 300000\n",
        },
    )
    assert cgroup.processors(tmp_path, tmp_path / "own") == 1.5
    assert cgroup.memory(tmp_path, tmp_path / "own") == (1_000_000, 600_000)


def test_groups_of_version_1_are_read_too(tmp_path):
    write(
        tmp_path,
        {
            "own": "4:memory:/box\n2:cpuacct,cpu:/box\n",
            "cpu/box/cpu.cfs_quota_us": "50000\n",
            "cpu/box/cpu.cfs_period_us": "100000\n",
            "memory/box/memory.limit_in_bytes": "2000\n",
            "memory/box/memory.usage_in_bytes": "500\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert cgroup.processors(tmp_path, tmp_path / "own") == 0.5
    assert cgroup.memory(tmp_path, tmp_path / "own") == (2000, 500)


@pytest.mark.parametrize("files", [{}, {"cpu.max": "nonsense", "memory.max": ""}, {"cpu.max": "max", "own": "\x00"}])
def test_where_there_are_none_nothing_is_bound(tmp_path, files):
    write(tmp_path, files)
    assert cgroup.processors(tmp_path, tmp_path / "own") is None
    assert cgroup.memory(tmp_path, tmp_path / "own") is None


# The machine


@pytest.mark.parametrize(
    ("flags", "variables", "level", "said"),
    [
        ("flags : fpu avx2 avx512f avx512_vnni", {}, OK, "AVX2, AVX-512, VNNI; ONNX Runtime tells in int8"),
        ("flags : fpu avx2", {"STORYLAB_DTYPE": "fp32"}, OK, "AVX2; ONNX Runtime tells in fp32"),
        ("Features : asimd", {}, OK, "NEON; ONNX Runtime tells in fp32"),
        ("flags : fpu avx2", {"STORYLAB_DTYPE": "bf16"}, NOTE, "bf16 is emulated, and slow; torch tells in bf16"),
        ("Features : asimd asimddp bf16", {"STORYLAB_DTYPE": "bf16"}, OK, "VNNI, bf16, NEON; torch tells in bf16"),
        ("Features : asimd", {"STORYLAB_ENGINE": "torch"}, OK, "NEON; torch tells in fp32"),
        ("flags : fpu sse2", {}, NOTE, "neither AVX2 nor NEON"),
    ],
)
def test_a_processor_says_what_tells_by_what(tmp_path, monkeypatch, flags, variables, level, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    write(tmp_path, {"cpuinfo": f"processor : 0\n{flags}\n"})
    finding = machine.processor(tmp_path / "cpuinfo")
    assert finding.level == level and said in finding.text


@pytest.mark.parametrize(
    ("cores", "granted", "taken", "level", "advice"),
    [
        (8, None, 8, OK, ""),
        (8, 2.0, 8, NOTE, "set OMP_NUM_THREADS=2"),
        (8, 0.5, 1, OK, ""),
        (8, None, 1, NOTE, "unset OMP_NUM_THREADS"),
        (2, None, 1, OK, ""),
    ],
)
def test_threads_are_held_against_what_is_granted(monkeypatch, cores, granted, taken, level, advice):
    monkeypatch.setattr(machine, "_cores", lambda: cores)
    monkeypatch.setattr(cgroup, "processors", lambda: granted)
    finding = machine.threads({"torch": {"threads": taken}})
    assert (finding.level, finding.advice) == (level, advice)


@pytest.mark.parametrize(
    ("free", "limit", "level"), [(8e9, None, OK), (8e9, (1e9, 2e8), NOTE), (5e8, None, NOTE), (3e8, None, FAULT)]
)
def test_memory_is_what_is_free_of_what_is_granted(tmp_path, monkeypatch, free, limit, level):
    write(tmp_path, {"meminfo": f"MemTotal: 99 kB\nMemAvailable: {int(free / 1024)} kB\n"})
    monkeypatch.setattr(cgroup, "memory", lambda: limit)
    assert machine.memory(tmp_path / "meminfo").level == level


def test_a_card_that_torch_sees_is_named():
    card = {"name": "A card", "memory": 80e9, "bf16": True}
    finding = machine.devices({"torch": {"cuda": [card], "cuda_build": "12.8"}})
    assert finding.level == OK and finding.text.startswith("A card (80 GB)")


# Packages


def test_versions_are_held_against_the_pins(tmp_path, monkeypatch):
    here = {"torch": "2.13.0+cpu", "numpy": "1.0", "mcp": "1"}
    monkeypatch.setattr(packages, "_installed", here.get)
    write(tmp_path, {"all.txt": "# a comment\ntorch==2.13.0\nmcp[cli]==1\n"})
    assert [finding.level for finding in packages.versions(tmp_path / "all.txt")] == [OK]
    write(tmp_path, {"some.txt": "torch==2.13.0\nnumpy==2.4.6\npydantic==2\npeft==1\n"})
    needed, beside, other = packages.versions(tmp_path / "some.txt")
    assert needed.level == FAULT and needed.text.endswith(": pydantic") and "'pydantic==2'" in needed.advice
    assert beside.level == NOTE and "peft (training" in beside.text
    assert other.level == NOTE and "numpy 1.0 instead of 2.4.6" in other.text
    assert packages.versions(tmp_path / "none.txt")[0].level == NOTE


def test_a_package_that_has_lost_a_file_is_found(tmp_path, monkeypatch):
    about = "Metadata-Version: 2.1\nName: lossy\nVersion: 1\n"
    write(
        tmp_path,
        {
            "lossy-1.dist-info/METADATA": about,
            "lossy-1.dist-info/RECORD": "lossy/here.py,,\nlossy/gone.py,,\nlossy/gone.txt,,\n",
            "lossy/here.py": "",
            "pins.txt": "lossy==1\n",
        },
    )
    monkeypatch.syspath_prepend(tmp_path)
    (finding,) = packages.files(tmp_path / "pins.txt")
    assert finding.level == FAULT and "lossy has lost 1 of its files, lossy/gone.py" in finding.text
    (tmp_path / "lossy" / "gone.py").touch()
    assert packages.files(tmp_path / "pins.txt") == []


def test_packages_that_only_some_need_are_required_at_all():
    required = {packages._plain(name) for name in packages._pins(packages.REQUIREMENTS)}
    assert set(packages.BESIDE) <= required and len(required) > 20


def test_the_least_python_is_the_one_that_the_project_asks_for(root):
    assert f'requires-python = ">={".".join(map(str, packages.LEAST_PYTHON))}"' in (root / "pyproject.toml").read_text()


# Storytellers and folders


def test_a_damaged_storyteller_is_a_fault_with_what_to_do(root, tmp_path, monkeypatch):
    folder = tmp_path / "damaged"
    write(folder, {name: (root / "checkpoints" / "seq2seq" / name).read_text() for name in ("config.json",)})
    write(folder, {"model.safetensors": "version https://git-lfs.github.com/spec/v1\n"})
    entries = [catalog.Entry("damaged", "Damaged", "seq2seq", str(folder)), *catalog.listed()]
    monkeypatch.setattr(catalog, "catalogue", lambda: entries)
    found = {finding.name: finding for finding in inside.storytellers()}
    assert found["damaged"].level == FAULT and found["damaged"].advice.startswith("git lfs pull")
    assert found["seq2seq"].level == OK and found["seq2seq"].details["published"] is True
    write(folder, {"model.safetensors": "cut short"})
    found = {finding.name: finding for finding in inside.storytellers()}
    assert "safetensors" in found["damaged"].text and found["damaged"].advice == f"bring {folder} back, or remove it"


def test_weights_other_than_those_measured_are_told(monkeypatch):
    monkeypatch.setattr(inside, "_measured", lambda: {"seq2seq": {"sha256": "0" * 64}})
    found = {finding.name: finding for finding in inside.storytellers()}
    assert found["seq2seq"].level == OK and "others than docs/results.json measured" in found["seq2seq"].text
    assert found["encoder"].details["published"] is None


def test_folders_that_cannot_be_made_hinder_no_telling(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name in ("STORYLAB_CACHE", "STORYLAB_VOTES", "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "new" / "folder"))
    found = {finding.name: finding for finding in inside.folders()}
    assert {finding.level for finding in found.values()} == {OK} and not (tmp_path / "new").exists()
    assert found["StoryLab's cache"].details["folder"] == str(tmp_path / "new" / "folder")
    monkeypatch.setattr(inside.tempfile, "TemporaryFile", _read_only)
    found = {finding.name: finding for finding in inside.folders()}
    assert {finding.level for finding in found.values()} == {NOTE}
    assert "Read-only file system" in found["votes"].text and "STORYLAB_VOTES" in found["votes"].advice


def _read_only(**_):
    raise OSError(30, "Read-only file system")


# Reach


def test_a_port_that_is_taken_is_told(monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
        monkeypatch.setenv("STORYLAB_METRICS_PORT", "http")
        page, metrics = reach.ports()
        assert page.level == NOTE and f"127.0.0.1:{port} can't be had" in page.text
        assert metrics.level == FAULT and "STORYLAB_METRICS_PORT" in metrics.text
    assert reach.ports()[0].level == OK


class _Answer(BaseHTTPRequestHandler):
    status = 200

    def do_HEAD(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("status", "level"), [(200, OK), (404, OK), (503, NOTE)])
def test_hosts_are_asked_and_no_password_is_shown(monkeypatch, status, level):
    monkeypatch.setattr(_Answer, "status", status)
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("HF_ENDPOINT", "PIP_INDEX_URL"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}/simple")
        assert [finding.level for finding in reach.network()] == [level, level]
        monkeypatch.setenv("PIP_INDEX_URL", "http://name:secret@127.0.0.1:1/simple")
        hub, pypi = reach.network()
        server.shutdown()
    assert (hub.level, pypi.level) == (level, NOTE) and "127.0.0.1 can't be reached" in pypi.text
    assert "secret" not in str(pypi)


# Settings


def test_the_words_that_settings_may_be_are_those_of_the_package():
    choices = surroundings.CHOICES
    assert choices[names.VARIABLE] == names.NAMES and choices[names.DTYPE_VARIABLE] == names.DTYPES
    assert choices["STORYLAB_LOG"] == LOGS


def test_settings_that_mean_nothing_are_a_fault(monkeypatch):
    assert surroundings.settings().level == OK
    monkeypatch.setenv("STORYLAB_DTYPE", "int9")
    finding = surroundings.settings()
    assert finding.level == FAULT and "'int9'" in finding.text and "auto, fp32, bf16, int8" in finding.advice


@pytest.mark.parametrize(("count", "said"), [(12, "12 bytes"), (98_362_432, "98.4 MB"), (2.5e9, "2.5 GB")])
def test_sizes_are_said_as_people_say_them(count, said):
    assert size(count) == said
