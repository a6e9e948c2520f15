"""A catalogue of the user's own, what of it is refused, and where a storyteller without weights is refused."""

import subprocess
import sys

import pytest
from fake_endpoint import told

from storylab.cli import main
from storylab.decoding import Settings
from storylab.errors import StoryLabError
from storylab.storytellers import catalog, describe, load
from storylab.storytellers.registry import find_base
from storylab.storytellers.remote.reach import breaker_of
from storylab.storytellers.stand_in import stand_in
from storylab.storytellers.together import tell_together
from storylab.ui import warm_up

DOG = "My dog ran away."


def row(name: str = "far") -> dict:
    return next(row for row in describe() if row["name"] == name)


def test_the_users_entries_come_after_the_projects(own, fake):
    own(more='[[storyteller]]\nname = "copy"\ntitle = "Copy"\nkind = "encoder"\nsource = "checkpoints/encoder"\n')
    names = [entry.name for entry in catalog.catalogue()]
    assert names[:2] == ["encoder", "seq2seq"] and {"far", "copy"} <= set(names)
    assert row() == {
        "name": "far",
        "title": "Far away",
        "kind": "remote",
        "base": "",
        "parameters": None,
        "state": "ready",
        "reason": "",
        "source": fake.url,
        "download_bytes": 0,
    }
    assert row("copy")["state"] == "ready"
    assert load("far").tell(DOG, seed=1).model == "far"


def test_listing_and_warming_up_ask_nobody(own, fake, monkeypatch, tmp_path, capsys):
    own()
    (tmp_path / "empty.toml").write_text("storyteller = []\n", encoding="utf-8")
    monkeypatch.setattr(catalog, "CATALOGUE", tmp_path / "empty.toml")
    monkeypatch.setattr(catalog, "CHECKPOINTS", tmp_path / "none")
    monkeypatch.setattr(warm_up, "PAUSE", 0)
    assert [row["name"] for row in describe()] == ["far"]
    warm_up.warm_up().join(60)
    assert main(["models"]) == 0 and "far" in capsys.readouterr().out
    assert not fake.looked and not fake.asked


def test_a_probe_that_is_asked_for_says_who_is_there(own, fake, capsys):
    own()
    assert main(["models", "--probe"]) == 0
    assert len(fake.looked) == 1 and not fake.asked
    own(source="http://127.0.0.1:9/v1")  # nobody is there: the port is reserved for what discards
    assert row()["state"] == "ready"
    assert main(["models", "--probe"]) == 0
    assert row()["state"] == "unreachable" and row()["reason"].startswith("its endpoint ")
    assert "unreachable" in capsys.readouterr().out


def test_an_endpoint_that_failed_is_listed_so_and_nobody_stands_in(own, fake):
    other = '[[storyteller]]\nname = "other"\ntitle = "Other"\nkind = "remote"\nsource = "http://127.0.0.1:9/v1"\n'
    own(more=other + 'endpoint = { model = "m" }\n')
    breaker_of(fake.url).open("is not there")
    assert (row()["state"], row()["reason"]) == ("unreachable", "its endpoint is not there")
    assert row("other")["state"] == "ready"
    assert stand_in("far", describe()) is None and stand_in("other", describe()) == "other"


def _bad(source="http://127.0.0.1:1/v1", endpoint='{ model = "m" }', kind="remote", name="far") -> str:
    head = f'[[storyteller]]\nname = "{name}"\ntitle = "T"\nkind = "{kind}"\nsource = "{source}"\n'
    return head + (f"endpoint = {endpoint}\n" if endpoint else "")


BAD = {
    "no TOML": "[[storyteller]",
    "no list": "storyteller = 3",
    "a name that is taken": _bad(name="seq2seq"),
    "twice the same": _bad() + _bad(),
    "no model": _bad(endpoint="{ }"),
    "no table": _bad(endpoint='"m"'),
    "nothing": _bad(endpoint=""),
    "empty model": _bad(endpoint='{ model = " " }'),
    "odd model": _bad(endpoint="{ model = 3 }"),
    "unknown field": _bad(endpoint='{ model = "m", url = "http://127.0.0.1:1/v1" }'),
    "a secret": _bad(endpoint='{ model = "m", key = "sk-s3cret" }'),
    "unknown server": _bad(endpoint='{ model = "m", server = "x" }'),
    "no patience": _bad(endpoint='{ model = "m", patience = 0 }'),
    "endless patience": _bad(endpoint='{ model = "m", patience = inf }'),
    "odd patience": _bad(endpoint='{ model = "m", patience = nan }'),
    "true patience": _bad(endpoint='{ model = "m", patience = true }'),
    "a password": _bad("http://me:s3cret@127.0.0.1/v1"),
    "a query": _bad("http://127.0.0.1/v1?key=s3cret"),
    "a fragment": _bad("http://127.0.0.1/v1#s3cret"),
    "no host": _bad("http:///v1"),
    "odd port": _bad("http://127.0.0.1:99999/v1"),
    "no version": _bad("http://127.0.0.1:8000"),
    "blanks": _bad("http://127.0.0.1:80 00/v1"),
    "another scheme": _bad("ftp://127.0.0.1/v1"),
    "weights": _bad("checkpoints/encoder"),
    "another kind": _bad(kind="causal"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_catalogue_is_one_clear_sentence(tmp_path, monkeypatch, name):
    path = tmp_path / "mine.toml"
    path.write_text(BAD[name], encoding="utf-8")
    monkeypatch.setenv(catalog.OWN, str(path))
    with pytest.raises(StoryLabError) as refused:
        describe()
    message = str(refused.value)
    assert message.startswith("mine.toml can't be read: ") and "\n" not in message and "s3cret" not in message


def test_a_catalogue_that_is_not_there_is_said_to_be(monkeypatch, tmp_path):
    monkeypatch.setenv(catalog.OWN, str(tmp_path / "none.toml"))
    with pytest.raises(StoryLabError, match=r"none\.toml can't be read"):
        describe()


@pytest.mark.parametrize(
    "command",
    [
        ["tokens", DOG, "It ran."],
        ["branch", DOG, "It ran.", "--at", "1"],
        ["next", DOG],
        ["strategies", DOG],
        ["sweep"],
        ["score", "--data", "train/tiny.csv"],
        ["tell", DOG, "--engine", "onnx"],
        ["tell", DOG, "--dtype", "int8"],
        ["tell", DOG, "--device", "cuda"],
        ["tell", DOG, "--preset", "beam"],
        ["tell", DOG, "--top-k", "5"],
    ],
    ids=lambda command: " ".join(command[:1] + command[2:]),
)
def test_what_needs_weights_is_refused_in_one_sentence(own, fake, capsys, command, root, monkeypatch):
    own()
    monkeypatch.chdir(root)
    assert main([*command, "--model", "far"]) == 2
    out, errors = capsys.readouterr()
    assert not out and errors.startswith("storylab: far ") and errors.count("\n") == 1
    assert not fake.asked and not fake.looked


def test_there_is_nothing_to_download_tell_in_batches_or_start_from(own, fake, capsys):
    own()
    assert main(["download", "far"]) == 2 and "nothing to download" in capsys.readouterr().err
    with pytest.raises(StoryLabError, match="far only tells"):
        next(tell_together(load("far"), [DOG], Settings(), [1]))
    with pytest.raises(StoryLabError, match="can't be a base"):
        find_base("far")
    assert not fake.asked


def test_tell_from_a_shell(own, fake, capsys):
    own()
    fake.answers = [told([" It", " ran", "."])]
    assert main(["tell", DOG, "--model", "far", "--seed", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"{DOG} It ran.\n[far, seed 1, ended by end, ")


def test_a_storyteller_elsewhere_needs_no_torch(own, root):
    own()
    code = (
        "import sys; from storylab import load; print(load('far').tell('A dog ran.').text);"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
    assert "We met." in done.stdout
