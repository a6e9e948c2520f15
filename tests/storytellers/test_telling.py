"""Telling: the same seed the same text, streaming, stopping, and how a telling ends."""

import json
import subprocess
import sys
import threading
import time

import pytest
import torch

from storylab.decoding import Settings
from storylab.decoding.beams import BeamSearch
from storylab.decoding.sampling import Choice
from storylab.errors import StoryLabError
from storylab.storytellers import Piece, Telling
from storylab.tokenizers import encode

pytestmark = pytest.mark.long

OPENING = "Nora found an old blue kite behind her grandmother's couch."
LONG = {"temperature": 5, "top_p": 1, "sentences": 10, "max_new_tokens": 512}
ENDS = {"end", "sentences", "tokens", "stopped"}


def pieces_of(storyteller, *arguments, **options) -> tuple[list[Piece], Telling]:
    *pieces, telling = storyteller.stream(*arguments, **options)
    assert all(isinstance(piece, Piece) for piece in pieces) and isinstance(telling, Telling)
    return pieces, telling


def all_ids(storyteller, opening: str) -> list[int]:
    return storyteller.kind.prompt(opening)["input_ids"][0].tolist()


# --- the same seed, the same text


def test_twenty_runs_while_others_tell_give_one_text(small, small_encoder, small_seq2seq):
    over = threading.Event()

    def chatter(storyteller, seed: int) -> None:
        while not over.is_set():
            storyteller.tell("The rain would not stop.", {"temperature": 2.0, "max_new_tokens": 10}, seed)
            torch.rand(3)  # and somebody draws from the global stream

    busy = [(small_encoder, 1), (small_seq2seq, 2), (small_seq2seq, 3)]
    threads = [threading.Thread(target=chatter, args=arguments) for arguments in busy]
    expected = small.tell(OPENING, {"temperature": 1.5, "max_new_tokens": 20}, seed=7)
    for thread in threads:
        thread.start()
    try:
        told = [small.tell(OPENING, {"temperature": 1.5, "max_new_tokens": 20}, seed=7) for _ in range(20)]
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert {telling.text for telling in told} == {expected.text}


def test_four_threads_tell_what_one_tells(small):
    alone = [small.tell(OPENING, {"temperature": 1.5, "max_new_tokens": 25}, seed).text for seed in range(8)]
    found = {}

    def tell(first: int) -> None:
        for seed in range(first, 8, 4):
            found[seed] = small.tell(OPENING, {"temperature": 1.5, "max_new_tokens": 25}, seed).text

    threads = [threading.Thread(target=tell, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(8)] == alone


def test_many_threads_may_begin_at_once(small):
    # Tokenizers of the library can't be borrowed by two threads at a time.
    faults = []

    def begin() -> None:
        try:
            for _ in range(15):
                small.tell(OPENING, {"max_new_tokens": 1}, seed=1)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_restart_tells_the_same(small_seq2seq, small_checkpoints, root):
    told = small_seq2seq.tell(OPENING, {"temperature": 1.5}, seed=11)
    folder = str(small_checkpoints / "small-seq2seq")
    command = [sys.executable, "-m", "storylab", "tell", OPENING, "--model", folder]
    ended = subprocess.run(
        [*command, "--temperature", "1.5", "--seed", "11", "--json"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout)["text"] == told.text
    assert ended.stderr == ""


def test_other_seeds_tell_other_stories_and_a_seed_left_out_is_reported(small):
    settings = {"temperature": 4, "top_p": 1, "max_new_tokens": 25}  # a model that knows its stories by heart
    assert len({small.tell(OPENING, settings, seed).text for seed in range(6)}) >= 5
    drawn = small.tell(OPENING, settings)
    assert small.tell(OPENING, settings, drawn.seed).text == drawn.text
    assert len({small.tell(OPENING, {"max_new_tokens": 1}).seed for _ in range(4)}) > 1


# --- pieces and their probabilities


@pytest.mark.parametrize("settings", [{}, {"strategy": "greedy"}, {"strategy": "beam"}, {"temperature": 1.5}])
def test_the_pieces_make_the_text(small, settings):
    for seed in range(3):
        pieces, telling = pieces_of(small, OPENING, {"max_new_tokens": 40} | settings, seed)
        streamed = "".join(piece.text for piece in pieces).strip()
        if telling.ended_by == "sentences":
            assert streamed.startswith(telling.text)
        else:
            assert streamed == telling.text
        assert telling.tokens - len(pieces) in ((1,) if telling.ended_by == "sentences" else (0,))


def test_the_pieces_make_the_text_even_where_characters_come_in_bytes(small_seq2seq):
    # Nearly uniform over 700 tokens, 256 of which are bytes: broken characters among whole ones.
    for seed in range(12):
        pieces, telling = pieces_of(
            small_seq2seq, OPENING, LONG | {"max_new_tokens": 60, "top_p": 1, "temperature": 5}, seed
        )
        if telling.ended_by != "sentences":
            told = small_seq2seq.tokenizer.decode([piece.token for piece in pieces])
            assert "".join(piece.text for piece in pieces).strip() == telling.text
            # What is broken is spelt otherwise by the library, a run of bytes at a time.
            assert told.strip().startswith(telling.text.split("\ufffd")[0][:-4])


def test_a_character_of_several_bytes_appears_when_it_is_whole(small_seq2seq, monkeypatch):
    ids = encode(small_seq2seq.tokenizer, "I saw a 🙂 and é.")
    assert len(ids) > len("I saw a 🙂 and é.") - 8
    monkeypatch.setattr(small_seq2seq, "_choices", lambda *_: (Choice(token, -1.0) for token in [*ids, 2]))
    pieces, telling = pieces_of(small_seq2seq, OPENING)
    assert telling.text == "I saw a 🙂 and é."
    assert not any("\ufffd" in piece.text for piece in pieces)
    assert any(piece.text.endswith("🙂") for piece in pieces)
    assert [piece.token for piece in pieces] == ids


@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_log_probabilities_are_those_of_a_teacher_forced_pass(small, strategy):
    settings = {"strategy": strategy, "temperature": 1.4, "repetition_penalty": 1.2, "max_new_tokens": 30}
    pieces, _ = pieces_of(small, OPENING, settings, seed=3)
    tokens = [piece.token for piece in pieces]
    prompt = all_ids(small, OPENING)
    with torch.no_grad():
        if small.model.config.is_encoder_decoder:
            target = torch.tensor([[1, *tokens]])
            logits = small.model(input_ids=torch.tensor([prompt]), decoder_input_ids=target).logits[0]
        else:
            prefixes = [torch.tensor([[*prompt, *tokens[:k]]]) for k in range(len(tokens))]
            logits = torch.stack([small.model(input_ids=prefix).logits[0, -1] for prefix in prefixes])
    expected = logits.log_softmax(dim=-1)
    for position, piece in enumerate(pieces):
        assert piece.log_probability == pytest.approx(float(expected[position, piece.token]), abs=1e-4)


# --- how a telling ends


def test_a_story_learnt_by_heart_ends_by_its_own_end_token(small_seq2seq, small_stories):
    for story in small_stories:
        telling = small_seq2seq.tell(story.opening, {"strategy": "greedy"})
        assert telling.text == story.continuation
        assert (telling.ended_by, telling.finished) == ("end", True)
        assert telling.story == list(story.sentences[1:])
        assert telling.tokens == len(encode(small_seq2seq.tokenizer, story.text)) - len(
            encode(small_seq2seq.tokenizer, story.opening)
        )


def test_a_story_is_cut_where_a_sentence_too_many_begins(small_seq2seq, small_stories):
    story = small_stories[0]
    for sentences in (1, 2, 3):
        telling = small_seq2seq.tell(story.opening, {"strategy": "greedy", "sentences": sentences})
        assert telling.text == " ".join(story.sentences[1 : 1 + sentences])
        assert (telling.ended_by, telling.finished) == ("sentences", False)
        assert len(telling.story) == sentences


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_a_telling_ends_at_the_token_limit(small, strategy, limit):
    pieces, telling = pieces_of(small, OPENING, {"strategy": strategy, "max_new_tokens": limit}, seed=1)
    assert (telling.tokens, len(pieces)) == (limit, limit)
    assert (telling.ended_by, telling.finished) == ("tokens", False)


@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_a_telling_ends_where_the_positions_do(small, strategy):
    settings = LONG | {"strategy": strategy, "num_beams": 2}
    for seed in range(3 if strategy == "sample" else 1):
        _, telling = pieces_of(small, OPENING, settings, seed)
        assert telling.ended_by in ENDS
        assert telling.tokens <= 192  # the positions of these models


def test_every_position_is_used_and_none_beyond(small):
    # Here nothing but the positions ends it: neither sentences nor the end token are looked at.
    told = list(small._choices(small.begin(OPENING, Settings(**LONG), 1)))
    known = 1 if small.model.config.is_encoder_decoder else len(all_ids(small, OPENING))
    assert len(told) == 192 - known + 1  # the token at the last position predicts one more


@pytest.mark.parametrize("strategy", ["sample", "greedy"])
def test_no_token_comes_after_stop(small, strategy):
    stop, came = threading.Event(), []
    for piece in small.stream(OPENING, {"strategy": strategy, "sentences": 10}, 1, stop):
        came.append(piece)
        if len(came) == 5:
            stop.set()
    *pieces, telling = came
    assert len(pieces) == 5
    assert (telling.ended_by, telling.finished, telling.tokens) == ("stopped", False, 5)
    assert telling.text == "".join(piece.text for piece in pieces).strip()


@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_stopped_before_it_begins_it_tells_nothing(small, strategy):
    stop = threading.Event()
    stop.set()
    started = time.perf_counter()
    pieces, telling = pieces_of(small, OPENING, {"strategy": strategy}, 1, stop)
    assert pieces == [] and (telling.text, telling.story, telling.tokens) == ("", [], 0)
    assert telling.ended_by == "stopped"
    assert time.perf_counter() - started < 5  # generous: a busy machine


def test_stop_ends_a_beam_search_under_way(small_seq2seq, monkeypatch):
    stop, steps = threading.Event(), []
    step = BeamSearch.step

    def count(search, logits):
        steps.append(1)
        if len(steps) == 6:
            stop.set()
        return step(search, logits)

    monkeypatch.setattr(BeamSearch, "step", count)
    pieces, telling = pieces_of(small_seq2seq, OPENING, {"strategy": "beam"}, 1, stop)
    assert telling.ended_by == "stopped" and pieces == []
    assert len(steps) == 6  # nothing is searched after it


@pytest.mark.parametrize("kind", ["seq2seq", "encoder"])
def test_stop_from_another_thread_frees_the_processor_within_100_ms(request, kind):
    storyteller = request.getfixturevalue(f"small_{kind}")
    stop, began, ended = threading.Event(), threading.Event(), []

    def tell() -> None:
        for _ in storyteller.stream(OPENING, LONG | {"temperature": 1.0}, 4, stop):
            began.set()
        ended.append(time.perf_counter())

    waits = []
    for _ in range(5):  # the best of five: what else runs here is not its fault
        stop.clear(), began.clear()
        thread = threading.Thread(target=tell)
        thread.start()
        began.wait()
        stop.set()
        asked = time.perf_counter()
        thread.join()
        waits.append(ended.pop() - asked)
    assert min(waits) < 0.1


@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_closing_the_iterator_ends_the_telling(small, strategy, monkeypatch):
    stream = small.stream(OPENING, {"strategy": strategy}, 1)
    next(stream), next(stream)
    passes = []
    monkeypatch.setattr(small.model, "forward", lambda *_, **__: passes.append(1))
    stream.close()
    assert passes == [] and list(stream) == []


# --- what is told


def test_greedy_is_what_generate_gives(small):
    for opening in (OPENING, "It rained.", "Tariq climbed onto bus nine"):
        pieces, telling = pieces_of(small, opening, {"strategy": "greedy", "sentences": 10, "max_new_tokens": 40})
        prompt = opening if opening.endswith(".") else opening + "."
        ids = small.model.generate(
            torch.tensor([all_ids(small, prompt)]),
            do_sample=False,
            max_new_tokens=40,
            suppress_tokens=[0, 1, 3],
        )[0]
        new = ids[1:] if small.model.config.is_encoder_decoder else ids[len(all_ids(small, prompt)) :]
        expected = new.tolist()
        told = [piece.token for piece in pieces]
        assert told == [token for token in expected if token != 2][: len(told)]
        assert (2 in expected) == telling.finished
        if telling.ended_by != "sentences":
            assert telling.text == small.tokenizer.decode(new, skip_special_tokens=True).strip()


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("penalties", [{}, {"no_repeat_ngram_size": 2, "repetition_penalty": 1.3}])
def test_beam_search_is_what_generate_gives(small, beams, penalties):
    settings = {"strategy": "beam", "num_beams": beams, "sentences": 10, "max_new_tokens": 24} | penalties
    pieces, telling = pieces_of(small, "It rained on the old bus.", settings)
    prompt = all_ids(small, "It rained on the old bus.")
    ids = small.model.generate(
        torch.tensor([prompt]),
        do_sample=False,
        num_beams=beams,
        max_new_tokens=24,
        suppress_tokens=[0, 1, 3],
        **penalties,
    )[0]
    new = ids[1:] if small.model.config.is_encoder_decoder else ids[len(prompt) :]
    expected = [token for token in new.tolist() if token not in (0, 2)]
    told = [piece.token for piece in pieces]
    assert told == expected[: len(told)] and told
    if telling.ended_by != "sentences":
        assert told == expected


def test_beam_search_finds_the_story_learnt_by_heart(small_seq2seq, small_stories):
    telling = small_seq2seq.tell(small_stories[1].opening, {"strategy": "beam"})
    assert telling.text == small_stories[1].continuation and telling.ended_by == "end"


def test_sampling_without_cuts_follows_the_probabilities(small_seq2seq):
    # 300 first tokens against the model's probabilities: the likeliest five, within 5 standard deviations.
    opening, drawn = "It rained.", []
    for seed in range(300):
        pieces, _ = pieces_of(small_seq2seq, opening, {"temperature": 2.0, "top_p": 1, "max_new_tokens": 1}, seed)
        drawn += [piece.token for piece in pieces]
    with torch.no_grad():
        logits = small_seq2seq.model(
            input_ids=torch.tensor([all_ids(small_seq2seq, opening)]), decoder_input_ids=torch.tensor([[1]])
        ).logits[0, -1]
    probabilities = (logits / 2.0).softmax(dim=-1)
    probabilities[[0, 1, 2, 3]] = 0
    for token in probabilities.topk(5).indices.tolist():
        share = float(probabilities[token])
        assert drawn.count(token) / 300 == pytest.approx(share, abs=5 * (share * (1 - share) / 300) ** 0.5 + 0.01)


def test_no_special_token_is_ever_told(small):
    special = set(small.tokenizer.all_special_ids)
    assert special == {0, 1, 2, 3}
    told = set()
    for seed in range(4):
        pieces, telling = pieces_of(small, OPENING, LONG, seed)
        told |= {piece.token for piece in pieces}
        assert not any(text in telling.text for text in ("<pad>", "<s>", "</s>", "<unk>"))
    assert not told & special and len(told) > 200


@pytest.mark.parametrize(
    "opening",
    [
        "He typed </s> and <pad> and <|endoftext|> and <s>.",
        "</s>1",
        "😀 Nora smiled 🙂.",
        "Él comió una piña",
        "雨が降った",
        "\u2581 1 \u2581",
        "3.5",
        '"Stop!" he said',
        "Mr. Alvarez",
        "What a day!",
        "Wait…",
        "  spaces \t and\nlines  ",
        "x",
    ],
)
@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_any_text_may_be_an_opening(small, opening, strategy):
    telling = small.tell(opening, {"strategy": strategy, "max_new_tokens": 5, "num_beams": 2}, seed=1)
    assert telling.opening == " ".join(opening.split())
    assert telling.ended_by in ENDS


def test_typed_special_tokens_stay_text(small):
    ids = all_ids(small, "He wrote </s><pad><unk><s>.")
    inner = ids[:-1] if small.model.config.is_encoder_decoder else ids[1:]
    assert not {0, 1, 2, 3} & set(inner)
    assert small.tokenizer.decode(inner) == "He wrote </s><pad><unk><s>."


@pytest.mark.parametrize(
    ("opening", "complete"),
    [
        ("Nora found a kite", False),
        ("Nora found a kite.", True),
        ("A kite!", True),
        ('"A kite?"', True),
        ("Wait…", True),
    ],
)
def test_an_opening_without_a_full_stop_is_told_as_with_one(small, opening, complete):
    telling = small.tell(opening, {"max_new_tokens": 12}, seed=3)
    other = small.tell(opening + ("" if complete else "."), {"max_new_tokens": 12}, seed=3)
    assert telling.text == other.text
    assert telling.opening == opening  # as it was given


@pytest.mark.parametrize("opening", ["一" * 300, "1" * 300], ids=lambda text: text[:2])
@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_an_opening_too_long_for_the_positions_is_refused_or_told(small, opening, strategy):
    # 300 characters may be 1,200 bytes, and each byte a token.
    try:
        telling = small.tell(opening, {"strategy": strategy, "max_new_tokens": 3, "num_beams": 2}, seed=1)
    except StoryLabError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
    else:
        assert telling.ended_by in ENDS


@pytest.mark.parametrize("opening", ["", "   ", "...", "x" * 301, "a\ud800", "a\0b", None, 5, ["Nora."]])
def test_an_opening_that_is_none_is_refused(small_seq2seq, opening):
    with pytest.raises(StoryLabError):
        small_seq2seq.tell(opening)


@pytest.mark.parametrize(
    "settings",
    [
        {"temprature": 1},
        {"temperature": 0},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"num_beams": 0, "strategy": "beam"},
        {"strategy": "guess"},
        {"max_new_tokens": 0},
        {"sentences": 0},
        [],
        "default",
    ],
)
def test_settings_that_are_none_are_refused(small_seq2seq, settings):
    with pytest.raises(StoryLabError):
        small_seq2seq.tell(OPENING, settings)
    with pytest.raises(StoryLabError):
        next(small_seq2seq.stream(OPENING, settings))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True, float("nan")])
def test_a_seed_that_is_none_is_refused(small_seq2seq, seed):
    with pytest.raises(StoryLabError):
        small_seq2seq.tell(OPENING, seed=seed)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_seeds_at_the_edge_are_told(small_seq2seq, seed):
    assert small_seq2seq.tell(OPENING, {"max_new_tokens": 3}, seed).seed == seed


@pytest.mark.parametrize("preset", ["default", "careful", "wild", "pure", "typical", "fresh", "greedy", "beam"])
def test_every_preset_tells(small, preset):
    telling = small.tell(OPENING, {"preset": preset, "max_new_tokens": 8}, seed=1)
    assert 0 < telling.tokens <= 8 or telling.finished


def test_a_telling_says_all_that_the_contract_names(small):
    settings = Settings(temperature=1.1, max_new_tokens=12)
    telling = small.tell("  Nora found  a kite. ", settings, seed=9)
    found = telling.to_dict()
    assert list(found) == [
        "model", "opening", "story", "text", "finished", "ended_by", "seed", "settings", "tokens", "seconds",
        "seconds_to_first_token", "tokens_per_second", "pathologies",
    ]  # fmt: skip
    assert json.loads(json.dumps(found)) == found
    assert found["model"] == small.name and found["opening"] == "Nora found a kite."
    assert found["settings"] == settings.to_dict() and found["seed"] == 9
    assert " ".join(found["story"]).split() == found["text"].split()
    assert found["text"] == found["text"].strip()
    assert 0 < found["seconds_to_first_token"] <= found["seconds"]
    assert found["tokens_per_second"] == pytest.approx(found["tokens"] / found["seconds"], rel=0.05, abs=0.2)
    assert all(set(pathology) == {"code", "message"} for pathology in found["pathologies"])
    for name, value in found.items():
        assert getattr(telling, name) == value


def test_pathologies_are_found_in_what_is_told(small):
    telling = small.tell(OPENING, {"strategy": "greedy", "max_new_tokens": 2})
    assert {"cut_off", "too_few_sentences"} & {pathology["code"] for pathology in telling.pathologies}


def test_bad_weights_are_said_to_be_bad(small_checkpoints):
    from storylab.storytellers.storyteller import Storyteller

    broken = Storyteller.from_folder("x", "x", "seq2seq", small_checkpoints / "small-seq2seq")
    broken.model.tokens.weight.fill_(float("nan"))
    for strategy in ("greedy", "sample"):
        with pytest.raises(StoryLabError, match="weights may be damaged"):
            broken.tell(OPENING, {"strategy": strategy})


# --- the storytellers that come with the project


def test_what_comes_with_the_project_tells(committed):
    telling = committed.tell("Every weekend the Jefferson's go to the park.", seed=1)
    assert telling.ended_by in ENDS and telling.tokens > 5
    assert committed.tell("Every weekend the Jefferson's go to the park.", seed=1).text == telling.text
    assert sum(parameter.numel() for parameter in committed.model.parameters()) > 2e6


def test_four_sentences_are_what_the_encoder_decoder_tells(root):
    from storylab.storytellers import load

    storyteller = load(str(root / "checkpoints" / "seq2seq"))
    openings = [
        "Every weekend the Jefferson's go to the park.",
        "David noticed he had put on a lot of weight recently.",
    ]
    told = [storyteller.tell(opening, seed=seed) for opening in openings for seed in range(3)]
    whole = [telling for telling in told if telling.ended_by == "end" and len(telling.story) == 4]
    assert len(whole) >= 5  # of six; the aim is 95% of 200
    assert all(any(c.isalnum() for c in sentence) for telling in told for sentence in telling.story)
