"""One story in the framings: what is shown is what models get, and what they look at."""

import json

import numpy as np
import pytest
import torch

from storylab.cli import main
from storylab.errors import StoryLabError
from storylab.framing import IGNORED, Autoregressive, Misaligned, NextToken, Packed, PromptTarget, encode_stories
from storylab.inspection.framed import FRAMINGS, PACK, PREFIXES, frame
from storylab.inspection.vocabularies import find_vocabulary
from storylab.stories import Story
from storylab.storytellers import load

STORIES = [
    Story(("Mara ran.", "She fell.", "It rained.", "Her brother came.", "They went home.")),
    Story(("The old bus stopped.", "Nobody was there.", "We waited a long time.", "It grew dark.", "We walked.")),
    Story(("A dog barked.", "It was late.", "I woke up.", "The moon was full.", "I could not sleep any more.")),
]
NAMES = ("encoder", "smollm2-finetuned")


def tensor(batch, name):
    """A tensor of a batch, as numbers."""
    (grid,) = (grid for grid in batch.tensors if grid.name == name)
    numbers = torch.tensor([[cell.id for cell in row] for row in grid.rows])
    assert tuple(numbers.shape) == grid.shape and len(grid.axes) == len(grid.shape)
    return numbers


def roles(batch, name):
    (grid,) = (grid for grid in batch.tensors if grid.name == name)
    return [[cell.role for cell in row] for row in grid.rows]


def text_of(batch, name, role, number=0):
    """The text of a row's cells of a role."""
    (grid,) = (grid for grid in batch.tensors if grid.name == name)
    return "".join(cell.text for cell in grid.rows[number] if cell.role == role).strip()


# The tensors


@pytest.mark.parametrize("name", NAMES)
def test_the_tensors_are_those_of_the_framings_that_training_uses(name):
    vocabulary = find_vocabulary(name)
    tokenizer, positions = vocabulary.tokenizer, vocabulary.positions
    encoded = encode_stories(STORIES, tokenizer)
    framings = {
        "next-token": NextToken(encoded[:1], tokenizer, positions, prefixes=PREFIXES),
        "prompt-target": PromptTarget(encoded, tokenizer, positions),
        "autoregressive": Autoregressive(encoded, tokenizer, positions, learn_prompt=False),
        "packed": Packed(encoded, tokenizer, positions, PACK),
        "prompt-misaligned": Misaligned(encoded, tokenizer, positions),
    }
    assert framings.keys() == FRAMINGS.keys()
    for key, framing in framings.items():
        batch = frame(key, STORIES, vocabulary)
        expected = framing.collate(framing.examples(0))
        expected.pop("stories", None)  # says for the loss what the mask of packs says
        assert {grid.name for grid in batch.tensors} == expected.keys()
        for part, values in expected.items():
            if values.ndim == 2:
                assert torch.equal(tensor(batch, part), values), (key, part)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["prompt-target", "autoregressive"])
def test_cells_say_which_part_they_are(name, key):
    batch = frame(key, STORIES, find_vocabulary(name))
    source = "decoder_input_ids" if key == "prompt-target" else "input_ids"
    for number, story in enumerate(STORIES):
        assert text_of(batch, "input_ids", "prompt", number) == story.opening
        assert text_of(batch, source, "target", number) == story.continuation
        assert text_of(batch, "labels", "target", number) == story.continuation
        for part in {"input_ids", source, "labels"}:
            assert roles(batch, part)[number].count("special") == 1  # one start, one end
    for part, hidden in (("labels", "ignored"), ("input_ids", "padding")):
        numbers, seen = tensor(batch, part), np.array(roles(batch, part)) == hidden
        assert seen.any()
        wanted = numbers == IGNORED if part == "labels" else tensor(batch, "attention_mask") == 0
        assert (wanted.numpy() == seen).all()
    read = sum(np.array(roles(batch, part)).size for part in {"input_ids", source})
    padded = sum((np.array(roles(batch, part)) == "padding").sum() for part in {"input_ids", source})
    assert (batch.read, batch.padding) == (read, padded)
    assert batch.labels == int((tensor(batch, "labels") != IGNORED).sum())


def test_prefixes_end_before_the_token_that_they_learn():
    batch = frame("next-token", STORIES, find_vocabulary("encoder"))
    text = " ".join(STORIES[0].sentences)
    for number in range(PREFIXES):
        prefix = " ".join(text_of(batch, "input_ids", role, number) for role in ("prompt", "target")).strip()
        (label,) = (grid.rows[number][0] for grid in batch.tensors if grid.name == "labels")
        assert text.startswith(prefix)
        assert label.role == "special" if prefix == text else text.startswith((prefix + label.text).strip())


def test_stories_of_a_pack_begin_where_positions_do():
    batch = frame("packed", STORIES, find_vocabulary("encoder"))
    (grid,) = (grid for grid in batch.tensors if grid.name == "input_ids")
    begins = [(cell.role, column) for column, cell in enumerate(grid.rows[0]) if cell.begins]
    assert len(begins) == 3 and {role for role, _ in begins} == {"special"}
    assert [int(tensor(batch, "position_ids")[0, column]) for _, column in begins] == [0, 0, 0]
    openings = {story.opening for story in STORIES}
    parts = np.split(np.array([cell.text for cell in grid.rows[0]]), [column for _, column in begins][1:])
    assert {opening for part in parts for opening in openings if opening in "".join(part)} == openings
    assert batch.labels == sum(len(part) for part in parts)  # every position learns


def test_a_story_longer_than_a_pack_is_not_cut():
    long = Story(("It rained.", *["It rained and rained on the old house all day long. " * 5] * 4))
    batch = frame("packed", [long, *STORIES[1:]], find_vocabulary("encoder"))
    assert tensor(batch, "input_ids").shape[1] > PACK
    assert text_of(batch, "input_ids", "special").count("<s>") == 1


def test_the_mistake_puts_the_rest_under_inputs_that_say_nothing_of_it():
    batch = frame("prompt-misaligned", STORIES, find_vocabulary("encoder"))
    assert text_of(batch, "input_ids", "prompt") == STORIES[0].opening
    assert "target" not in roles(batch, "input_ids")[0]
    assert STORIES[0].continuation.endswith(text_of(batch, "labels", "target"))


# Who looks at whom, held against the models themselves


def moved(outputs: torch.Tensor, changed: torch.Tensor) -> list[bool]:
    """Which positions answer otherwise than before."""
    return ((outputs - changed).abs().amax(dim=-1) > 1e-4)[0].tolist()


@pytest.mark.parametrize("key", ["autoregressive", "packed"])
@torch.inference_mode()
def test_a_causal_model_looks_where_the_picture_says(key):
    vocabulary, model = find_vocabulary("gpt2-mini"), load("gpt2-mini").model
    batch = frame(key, STORIES, vocabulary)
    (look,) = batch.looks
    inputs = {"input_ids": tensor(batch, "input_ids")[:1]}
    if key == "packed":
        inputs |= {"position_ids": tensor(batch, "position_ids")[:1]}
        inputs["attention_mask"] = torch.tensor(look.allowed)[None, None]
    else:
        inputs["attention_mask"] = tensor(batch, "attention_mask")[:1]
    before = model(**inputs).logits
    real = [column for column, role in enumerate(roles(batch, "input_ids")[0]) if role != "padding"]
    for column in (0, 7, len(real) // 2, len(real) - 1, before.shape[1] - 1):
        other = inputs["input_ids"].clone()
        other[0, column] = 99
        answers = moved(before, model(**inputs | {"input_ids": other}).logits)
        assert [answers[row] for row in real if row != column] == [
            look.allowed[row][column] for row in real if row != column
        ]


@torch.inference_mode()
def test_an_encoder_decoder_looks_where_the_pictures_say():
    vocabulary, model = find_vocabulary("seq2seq"), load("seq2seq").model
    batch = frame("prompt-target", STORIES, vocabulary)
    looks = {look.name: look.allowed for look in batch.looks}
    names = ("input_ids", "attention_mask", "decoder_input_ids")
    inputs = {name: tensor(batch, name)[:1] for name in names}
    before = model(**inputs).logits
    for part, picture, columns in (("decoder_input_ids", "decoder", (0, 5, 9)), ("input_ids", "cross", (0, 2, -1))):
        for column in columns:
            other = inputs[part].clone()
            other[0, column] = 99
            answers = moved(before, model(**inputs | {part: other}).logits)
            assert answers == [row[column] for row in looks[picture]], (part, column)
    assert not looks["cross"][0][-1]  # padding of the source


@torch.inference_mode()
def test_an_encoder_looks_at_all_but_the_padding():
    vocabulary, model = find_vocabulary("encoder"), load("encoder").model
    batch = frame("next-token", STORIES, vocabulary)
    (look,) = batch.looks
    inputs = {name: tensor(batch, name) for name in ("input_ids", "attention_mask")}
    before = model(**inputs).logits[:1]
    for column, seen in enumerate(look.allowed[0]):
        other = inputs["input_ids"].clone()
        other[0, column] = 99
        assert moved(before, model(**inputs | {"input_ids": other}).logits[:1])[-1] == seen


# What is refused, and the command line


def test_a_story_too_long_for_the_model_is_refused():
    long = Story(("It rained.", *["It rained and rained on the old house all day long. " * 9] * 4))
    with pytest.raises(StoryLabError, match="the model has 256 positions"):
        frame("autoregressive", [long, *STORIES[1:]], find_vocabulary("encoder"))
    with pytest.raises(StoryLabError, match="framing must be one of next-token"):
        frame("sideways", STORIES, find_vocabulary("encoder"))


def test_the_command_prints_the_tensors(capsys):
    assert main(["frame", *STORIES[0].sentences, "--model", "gpt2-mini", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [batch["name"] for batch in printed["framings"]] == list(FRAMINGS)
    assert [piece["id"] for piece in printed["cut"]] == find_vocabulary("gpt2-mini").encode(STORIES[0].text)
    allowed = printed["framings"][2]["looks"][0]["allowed"]
    assert allowed[0] == "1" + "0" * (len(allowed) - 1)
    assert main(["frame", *STORIES[0].sentences, "--model", "gpt2-mini", "--framing", "packed"]) == 0
    assert "·M|ara|·ran|." in capsys.readouterr().out
    assert main(["frame", *STORIES[0].sentences, "--model", "nobody"]) == 2
    assert main(["frame", *["rain " * 60 + "."] * 5, "--model", "encoder"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
