"""Who is a visitor, and what becomes of those who are not let in."""

from types import SimpleNamespace

import gradio as gr
import pytest

from storylab.errors import StoryLabError
from storylab.limits import Limits
from storylab.ui import admission
from storylab.ui.admission import MCP, SPACE_PROXIES, Admission, Refused, caller_of, on_this_machine, trust_space
from storylab.ui.texts import LANGUAGES, Say


def sent(address: str | None = "203.0.113.9", **headers: str) -> gr.Request:
    """A request as uvicorn hands it over, with the address that it has found."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    client = SimpleNamespace(host=address, port=1) if address else None
    return gr.Request(SimpleNamespace(client=client, headers=names), session_hash="me")


def test_callers_are_told_apart_by_address_and_those_of_mcp_are_one():
    assert caller_of(sent()) == "203.0.113.9"
    assert caller_of(sent("10.0.0.1", x_gradio_user="mcp")) == caller_of(sent("::1", x_gradio_user="mcp")) == MCP
    assert caller_of(sent(None)) == caller_of(None) == "unknown"


@pytest.mark.parametrize(
    ("request_", "here"),
    [
        (sent("127.0.0.1"), True),
        (sent("::1"), True),
        (sent("127.0.0.1", x_forwarded_for="203.0.113.9"), False),
        (sent("127.0.0.1", x_gradio_user="mcp"), False),
        (sent("203.0.113.9"), False),
        (sent("anything"), False),
        (sent(None), False),
        (None, False),
    ],
)
def test_the_machine_itself_is_a_loopback_address_that_nobody_forwards(request_, here):
    assert on_this_machine(request_) == here


def test_a_visitor_who_asks_too_often_is_refused_and_the_machine_itself_only_where_a_limit_was_set():
    usual = Admission(Limits(tellings_a_minute=2))
    for _ in range(5):
        usual.count(sent("127.0.0.1"), "127.0.0.1", 2)
    usual.count(sent(), "them", 2)
    with pytest.raises(Refused, match="Everybody has 2 tellings a minute here; try again in 60 s"):
        usual.count(sent(), "them", 2)
    strict = Admission(Limits.read({"STORYLAB_MAX_TELLINGS_A_MINUTE": "2"}))
    strict.count(sent("127.0.0.1"), "127.0.0.1", 2)
    with pytest.raises(Refused):
        strict.count(sent("127.0.0.1"), "127.0.0.1", 1)


def test_what_is_asked_for_wrongly_is_not_counted_and_leaves_its_place():
    narrow = Admission(Limits(at_once=1, queue=1, tellings_a_minute=1))
    for _ in range(3):
        with pytest.raises(StoryLabError, match="no storyteller"), narrow.admit(sent(), "me", 1) as place:
            assert place.has_turn
            raise StoryLabError("no storyteller of that name")
    with narrow.admit(sent(), "me", 1) as place:
        assert place.has_turn


def test_a_refusal_is_one_sentence_in_every_language():
    refused = Refused("problem_often", most=7, seconds=3)
    assert str(refused) == refused.said(Say()) != refused.said(Say("zh-CN"))
    for language in LANGUAGES:
        for said in (refused.said(Say(language)), admission.full().said(Say(language))):
            assert said.strip() == said and said[-1] in ".。" and "{" not in said
            assert said.count("。") + said.count(". ") <= 1


def test_the_proxies_of_a_space_are_believed_unless_the_deployment_names_others(monkeypatch):
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    monkeypatch.setattr(admission, "get_space", lambda: None)
    trust_space()
    assert "FORWARDED_ALLOW_IPS" not in admission.os.environ
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    monkeypatch.setattr(admission, "get_space", lambda: "owner/name")
    trust_space()
    assert admission.os.environ["FORWARDED_ALLOW_IPS"] == "192.0.2.1"
    monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    trust_space()
    assert admission.os.environ["FORWARDED_ALLOW_IPS"] == SPACE_PROXIES


def test_uvicorn_takes_the_last_address_that_is_no_trusted_proxys():
    from uvicorn.middleware.proxy_headers import _TrustedHosts

    trusted = _TrustedHosts(SPACE_PROXIES)
    assert "10.16.4.5" in trusted and "203.0.113.9" not in trusted
    found = trusted.get_trusted_client_address("198.51.100.7, 203.0.113.9, 10.16.4.5")
    assert found[0] == "203.0.113.9"  # what stands before it, its sender may have made up
