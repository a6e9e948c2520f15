"""Fine-tuning a base: what is stored, that it comes back, and what the report's mistake does.

The bases have random weights and the stories are those of train/tiny.csv, so that what a model knows is what it
learnt here.
"""

import json
import re
import shutil
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from storylab.errors import StoryLabError
from storylab.evaluation.score import score
from storylab.framing import Autoregressive, encode_stories
from storylab.storytellers import load
from storylab.storytellers.storyteller import Storyteller
from storylab.tokenizers import encode, load_tokenizer, train_vocabulary
from storylab.training.base import read_base, weights_hash
from storylab.training.data import gather_stories
from storylab.training.loop import Alone, validation_loss
from storylab.training.run import run

pytestmark = pytest.mark.long

PARTIAL = {
    "README.md",
    "base.json",
    "config.json",
    "generation_config.json",
    "log.jsonl",
    "recipe.toml",
    "tokenizer.json",
    "tokenizer_config.json",
    "trained.safetensors",
}
WHOLE = PARTIAL - {"base.json", "trained.safetensors"} | {"model.safetensors"}
WAYS = {
    "frozen": {"freeze": "embeddings and the first 1 layer"},
    "lora": {"lora_rank": 4, "learning_rate": 1e-2},
    "full": {},
}
MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")  # of a layer of GPT-2


def train(recipe, folder, base, **options):
    """Train upon a base, whatever name the recipe gives it."""
    places = {"checkpoints": folder / "checkpoints", "runs": folder / "runs"}
    return run(recipe, **places, device="cpu", quiet=True, find_base=lambda name: base, **options)


def opened(folder, base=None) -> Storyteller:
    """A checkpoint as a storyteller, over its base where it has one."""
    on = base if read_base(folder) else None
    return Storyteller.from_folder(folder.name, folder.name, "causal", folder, base_folder=on)


def read_log(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def losses(folder) -> list[float]:
    return [line["loss"] for line in read_log(folder) if "loss" in line]


@torch.no_grad()
def logits(model) -> torch.Tensor:
    tokens = torch.randint(10, 8000, (2, 40), generator=torch.Generator().manual_seed(3))
    return model.eval()(tokens).logits


def apart(one, other) -> float:
    """How far the logits of two models are from each other, at most."""
    return (logits(one) - logits(other)).abs().max().item()


def bare(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def last_state(folder, name: str) -> dict[str, torch.Tensor]:
    """The trained parameters as they were when a training ended, in fp32."""
    return torch.load(folder / "runs" / name / "state.pt", weights_only=True)["model"]


def with_parameters(base, parameters: dict[str, torch.Tensor]):
    """A base with some of its parameters put in, rounded to bf16 as checkpoints store them."""
    model = bare(base)
    with torch.no_grad():
        for name, value in parameters.items():
            model.get_parameter(name).copy_(value.to(torch.bfloat16))
    return model


def merged(base, additions: dict[str, torch.Tensor], turned: bool) -> dict[str, torch.Tensor]:
    """Matrices W + 2 B A, from the definition (Hu et al. 2021, with alpha = 2 r); GPT-2's are stored turned.

    Both factors are rounded to bf16, as checkpoints store them.
    """
    model, found = bare(base), {}
    rounded = {name: factor.to(torch.bfloat16).float() for name, factor in additions.items()}
    for name, a in rounded.items():
        if ".lora_A." in name:
            change = 2 * rounded[name.replace(".lora_A.", ".lora_B.")] @ a  # (out, in)
            weight = name.removeprefix("base_model.model.").partition(".lora_A.")[0] + ".weight"
            found[weight] = model.get_parameter(weight).detach() + (change.T if turned else change)
    return found


def aligned_loss(storyteller, stories, learn_prompt: bool = False) -> float:
    """Nats a token of sentences 2 to 5 and the end, each label under the token before it."""
    tokenizer = storyteller.tokenizer
    framing = Autoregressive(encode_stories(stories, tokenizer), tokenizer, 128, learn_prompt)
    return validation_loss(storyteller.model, framing, 4, Alone(torch.device("cpu")))


@pytest.fixture(scope="module")
def places(tmp_path_factory, finetuning, base):
    """A folder with a training upon `base` in each of the ways."""
    folder = tmp_path_factory.mktemp("finetuned")
    for name, changes in WAYS.items():
        train(finetuning(name=name, **changes), folder, base)
    return folder


@pytest.fixture(scope="module")
def checkpoints(places):
    return places / "checkpoints"


# What is stored


@pytest.mark.parametrize("way", ["frozen", "lora"])
def test_over_a_base_only_what_was_trained_is_stored(checkpoints, base, way):
    folder = checkpoints / way
    assert {path.name for path in folder.iterdir()} == PARTIAL
    tensors = load_file(folder / "trained.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    if way == "frozen":
        above = ("transformer.h.1.", "transformer.h.2.", "transformer.ln_f.")
        expected = {name for name, _ in bare(base).named_parameters() if name.startswith(above)}
    else:
        matrices = [f"transformer.h.{layer}.{matrix}.weight" for layer in range(3) for matrix in MATRICES]
        expected = {f"{matrix}.lora_{factor}" for matrix in matrices for factor in "ab"}
        assert all(min(tensor.shape) == 4 for tensor in tensors.values())
    assert set(tensors) == expected and len(expected) == {"frozen": 26, "lora": 24}[way]
    told = read_base(folder)
    assert (told.name, told.sha256, told.tensors) == ("tiny", weights_hash(base), sorted(expected))


def test_where_everything_was_trained_everything_is_stored(checkpoints):
    assert {path.name for path in (checkpoints / "full").iterdir()} == WHOLE
    tensors = load_file(checkpoints / "full" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}


@pytest.mark.parametrize("way", WAYS)
def test_the_card_names_the_base_and_how_much_of_it_was_trained(checkpoints, base, way):
    card = (checkpoints / way / "README.md").read_text(encoding="utf-8")
    parameters = sum(parameter.numel() for parameter in bare(base).parameters())
    name = "model.safetensors" if way == "full" else "trained.safetensors"
    trained = sum(tensor.numel() for tensor in load_file(checkpoints / way / name).values())
    assert f"{parameters:,} parameters" in card
    assert f"Its base is `tiny`; {trained:,} of them were trained." in card


def test_a_base_in_a_folder_is_found_again_by_its_place(finetuning, base, tmp_path):
    folder = run(
        finetuning(base=str(base), epochs=0.1, **WAYS["frozen"]),
        checkpoints=tmp_path / "checkpoints",
        runs=tmp_path / "runs",
        device="cpu",
        quiet=True,
    )
    assert read_base(folder).name == str(base)
    assert torch.equal(logits(load(str(folder)).model), logits(opened(folder, base).model))


# That it comes back


@pytest.mark.parametrize("way", ["frozen", "full"])
def test_what_is_opened_is_the_trained_model(places, checkpoints, base, way):
    stored = opened(checkpoints / way, base).model
    trained = last_state(places, way)
    assert len(trained) == {"frozen": 26, "full": 40}[way]
    assert torch.equal(logits(stored), logits(with_parameters(base, trained)))
    assert apart(stored, bare(base)) > 0.1


def test_low_rank_additions_are_merged(places, checkpoints, base):
    additions = last_state(places, "lora")
    assert len(additions) == 2 * 12 and {min(a.shape) for a in additions.values()} == {4}
    expected = merged(base, additions, turned=True)
    stored = opened(checkpoints / "lora", base).model
    for name, parameter in stored.named_parameters():
        known = expected[name] if name in expected else bare(base).get_parameter(name)
        torch.testing.assert_close(parameter, known, rtol=1e-5, atol=1e-6)
    assert apart(stored, bare(base)) > 0.1


@pytest.mark.parametrize("way", WAYS)
def test_stories_are_learnt_in_every_way(checkpoints, way):
    found = losses(checkpoints / way)
    assert len(found) == 4 and found[-1] < found[0] - 0.2


@pytest.mark.parametrize("way", WAYS)
def test_the_card_says_how_good_the_stored_weights_are(checkpoints, base, finetuning, way):
    splits, _ = gather_stories(finetuning())
    card = (checkpoints / way / "README.md").read_text(encoding="utf-8")
    for name, stories in (("validation", splits.validation), ("test", splits.test)):
        (stated,) = re.findall(rf"\| {name} stories \| ([\d.]+) \|", card)
        assert float(stated) == pytest.approx(score(opened(checkpoints / way, base), stories).perplexity_per_word, 1e-5)


def test_the_card_measures_whole_stories_though_packs_may_cut_them(finetuning, base, tmp_path):
    recipe = finetuning(pack_length=24, epochs=0.1)
    folder = train(recipe, tmp_path, base)
    card = (folder / "README.md").read_text(encoding="utf-8")
    (stated,) = re.findall(r"\| validation stories \| ([\d.]+) \|", card)
    expected = score(opened(folder), gather_stories(recipe)[0].validation).perplexity_per_word
    assert float(stated) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("way", ["frozen", "lora"])
def test_a_llama_is_finetuned_alike(finetuning, llama_base, tmp_path, way):
    folder = train(finetuning(name=way, epochs=1, **WAYS[way]), tmp_path, llama_base)
    stored = opened(folder, llama_base).model
    trained = last_state(tmp_path, way)
    if way == "frozen":
        assert not any("embed" in name or "head" in name or ".layers.0." in name for name in trained)
        assert torch.equal(logits(stored), logits(with_parameters(llama_base, trained)))
    else:
        assert len(trained) == 2 * 3 * 7  # query, key, value, output, gate, up, down
        for name, expected in merged(llama_base, trained, turned=False).items():
            torch.testing.assert_close(stored.get_parameter(name), expected, rtol=1e-5, atol=1e-6)
    assert apart(stored, bare(llama_base)) > 0.03


def test_low_rank_additions_learn_in_bf16_with_samples_on_the_way(finetuning, base, tmp_path):
    recipe = finetuning(name="lora", precision="bf16", sample="Nora found a kite.", **WAYS["lora"])
    folder = train(recipe, tmp_path, base)
    assert sum("sample" in line for line in read_log(folder)) == 1
    assert losses(folder)[-1] < losses(folder)[0] - 0.2
    assert apart(opened(folder, base).model, bare(base)) > 0.1


def test_the_best_weights_are_kept_of_what_is_trained(finetuning, base, tmp_path):
    recipe = finetuning(keep="best", evaluate_every=2, limit=1, epochs=20, learning_rate=0.03, **WAYS["frozen"])
    folder = train(recipe, tmp_path, base)
    measured = {line["step"]: line["validation_loss"] for line in read_log(folder) if "validation_loss" in line}
    best = min(measured, key=measured.get)
    assert best < max(measured)  # so fast, it soon knows this story and no other
    storyteller = opened(folder, base)
    found = aligned_loss(storyteller, gather_stories(recipe)[0].validation)
    assert found == pytest.approx(measured[best], rel=2e-3)  # stored in bf16
    assert abs(found - measured[best]) < abs(found - measured[max(measured)])


def test_accumulating_gradients_is_a_larger_batch_of_packs(finetuning, base, tmp_path):
    # All packs make one step, in one pass or in as many as there are.
    plain = {"limit": 6, "pack_length": 100, "epochs": 4, **WAYS["frozen"]}
    whole = train(finetuning(name="whole", batch_size=16, **plain), tmp_path, base)
    parts = train(finetuning(name="parts", batch_size=1, accumulation=16, **plain), tmp_path, base)
    assert len(losses(whole)) == 4
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)
    assert losses(whole)[-1] < losses(whole)[0] - 0.2
    once, often = last_state(tmp_path, "whole"), last_state(tmp_path, "parts")
    for name in once:
        torch.testing.assert_close(often[name], once[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("learn_prompt", [True, False])
@pytest.mark.parametrize("framing", ["packed", "autoregressive"])
def test_the_log_counts_tokens_that_were_read_learnt_or_not(
    finetuning, base, vocabulary, tmp_path, framing, learn_prompt
):
    recipe = finetuning(framing=framing, learn_prompt=learn_prompt, epochs=1, batch_size=16, limit=4)
    (line,) = (line for line in read_log(train(recipe, tmp_path, base)) if "tokens" in line)
    tokenizer = load_tokenizer(vocabulary)
    assert line["tokens"] == sum(1 + len(encode(tokenizer, s.text)) for s in gather_stories(recipe)[0].train)


# Going on


def still(finetuning, **changes):
    """A recipe of one step that moves nothing: what it stores is what it started from."""
    plain = {"name": "still", "epochs": 0.1, "learning_rate": 1e-12, "weight_decay": 0.0}
    return finetuning(**plain | changes)


def test_init_from_goes_on_where_the_trained_tensors_stand(finetuning, base, checkpoints, tmp_path):
    source = checkpoints / "frozen"
    recipe = still(finetuning, init_from=str(source), batch_size=16, **WAYS["frozen"])
    folder = train(recipe, tmp_path, base)
    before, after = (load_file(path / "trained.safetensors") for path in (source, folder))
    assert set(after) == set(before) and all(torch.equal(after[name], before[name]) for name in before)
    stories = gather_stories(recipe)[0].train
    expected = aligned_loss(opened(source, base), stories, learn_prompt=True)
    first, *_ = losses(folder)[len(losses(source)) :]  # the log goes on, too
    assert first == pytest.approx(expected, rel=1e-4)
    assert first < losses(source)[0] - 0.3
    assert "frozen" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("started", "way"),
    [
        ("lora", "lora"),
        ("frozen", "full"),
        ("frozen", "lora"),
        ("lora", "frozen"),
        ("full", "frozen"),
        ("full", "lora"),
    ],
)
def test_a_checkpoint_that_goes_on_from_another_holds_all_that_either_learnt(
    finetuning, base, checkpoints, tmp_path, started, way
):
    changes = WAYS[way] | {"learning_rate": 1e-12}
    folder = train(still(finetuning, init_from=str(checkpoints / started), **changes), tmp_path, base)
    source = opened(checkpoints / started, base).model
    lost, learnt = apart(opened(folder, base).model, source), apart(source, bare(base))
    # The base is in fp32: what is frozen in it may be rounded on the way, which moves logits by some thousandths.
    assert lost < 0.02 < 0.1 < learnt


def test_freezing_more_than_before_loses_nothing(finetuning, base, checkpoints, tmp_path):
    recipe = still(finetuning, init_from=str(checkpoints / "frozen"), freeze="embeddings and the first 2 layers")
    stored = opened(train(recipe, tmp_path, base), base).model
    lost = apart(stored, opened(checkpoints / "frozen", base).model)
    assert lost < 0.02


def refusal(recipe, folder, base, **options) -> str:
    """The one line with which a training is refused, before any."""
    steps = []
    with pytest.raises(StoryLabError) as refused:
        train(recipe, folder, base, callbacks=(steps.append,), **options)
    assert "\n" not in str(refused.value)
    assert not steps and not (folder / "checkpoints").exists()
    return str(refused.value)


def test_trained_tensors_of_another_base_are_refused_with_both_hashes(
    finetuning, base, other_base, checkpoints, tmp_path
):
    recipe = finetuning(init_from=str(checkpoints / "frozen"), **WAYS["frozen"])
    message = refusal(recipe, tmp_path, other_base)
    assert weights_hash(base) in message and weights_hash(other_base) in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("shape", "way"), [({"n_embd": 32}, "frozen"), ({"n_layer": 4}, "full"), ({"kind": "llama"}, "frozen")], ids=str
)
def test_weights_of_another_shape_than_the_bases_are_refused(finetuning, make_base, base, tmp_path, shape, way):
    other = make_base(**{"seed": 2} | shape)
    message = refusal(finetuning(init_from=str(other), **WAYS[way]), tmp_path, base)
    assert "init_from" in message and "tuned" in message


def test_weights_that_count_their_tokens_otherwise_are_refused(finetuning, base, checkpoints, tmp_path):
    other = shutil.copytree(checkpoints / "full", tmp_path / "other")
    train_vocabulary(["another text with other words"] * 3, 300, threads=1).save_pretrained(other)
    assert "another vocabulary" in refusal(finetuning(init_from=str(other)), tmp_path, base)


class Interrupted(Exception):
    pass


def break_off(recipe, folder, base, step: int) -> None:
    def raise_at(record) -> None:
        if record["step"] == step:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(recipe, folder, base, callbacks=(raise_at,))


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_training_goes_on_to_the_very_same_weights(finetuning, base, places, checkpoints, tmp_path, way):
    recipe = finetuning(name=way, save_every=2, **WAYS[way])
    break_off(recipe, tmp_path, base, 3)
    saved = last_state(tmp_path, way)
    assert set(saved) == set(last_state(places, way))  # what is trained, and nothing of the base
    steps = []
    train(recipe, tmp_path, base, resume=True, callbacks=(lambda record: steps.append(record["step"]),))
    assert min(steps) == 3
    name = "model.safetensors" if way == "full" else "trained.safetensors"
    resumed = tmp_path / "checkpoints" / way
    assert (resumed / name).read_bytes() == (checkpoints / way / name).read_bytes()
    assert losses(resumed) == losses(checkpoints / way)


@pytest.mark.parametrize("way", WAYS)
def test_a_state_is_refused_upon_another_base(finetuning, other_base, places, tmp_path, way):
    shutil.copytree(places / "runs", tmp_path / "runs")
    message = refusal(finetuning(name=way, **WAYS[way]), tmp_path, other_base, resume=True)
    assert str(tmp_path / "runs" / way / "state.pt") in message


@pytest.mark.parametrize("change", [{"freeze": "embeddings"}, {"freeze": "", "lora_rank": 4}, {"freeze": ""}], ids=str)
def test_a_state_is_refused_where_something_else_is_frozen(finetuning, base, places, tmp_path, change):
    shutil.copytree(places / "runs", tmp_path / "runs")
    recipe = finetuning(**{"name": "frozen"} | WAYS["frozen"] | change)
    assert "another recipe" in refusal(recipe, tmp_path, base, resume=True)


# What is refused


@pytest.mark.parametrize(
    ("freeze", "named"),
    [("the first 3 layers", "transformer.h.2"), ("everything", "everything"), ("the first layer", "embeddings and")],
)
def test_what_can_not_be_frozen_is_refused_before_training(finetuning, base, tmp_path, freeze, named):
    assert named in refusal(finetuning(freeze=freeze), tmp_path, base)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("what", ["gone", "no weights", "no vocabulary", "damaged", "a pickle", "no config"])
def test_a_base_that_can_not_be_opened_is_refused(finetuning, base, tmp_path, what):
    folder = tmp_path / "damaged-base"
    if what != "gone":
        shutil.copytree(base, folder)
    weights = folder / "model.safetensors"
    if what in ("no weights", "a pickle"):
        weights.unlink()
    if what == "a pickle":
        torch.save({}, folder / "pytorch_model.bin")
    elif what == "damaged":
        weights.write_bytes(base.joinpath("model.safetensors").read_bytes()[:5000])
    elif what == "no vocabulary":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).unlink()
    elif what == "no config":
        (folder / "config.json").unlink()
    message = refusal(finetuning(), tmp_path, folder)
    assert "tiny" in message or "damaged-base" in message
    assert not (tmp_path / "runs").exists()


# The report's first fine-tuning, and its repair


@pytest.fixture(scope="module")
def prompted(tmp_path_factory, finetuning, base):
    """Two trainings that differ in nothing but where the labels stand: `aligned` and `misaligned`."""
    folder = tmp_path_factory.mktemp("prompted")
    plain = {"limit": 4, "epochs": 40, "optimizer": "muon", "learning_rate": 1e-2, "warmup": 5, "schedule": "wsd"}
    kinds = {
        "aligned": {"framing": "autoregressive", "learn_prompt": False},
        "misaligned": {"framing": "prompt-misaligned"},
    }
    for name, changes in kinds.items():
        train(finetuning(name=name, **plain, **changes), folder, base)
    return folder / "checkpoints"


@pytest.fixture(scope="module")
def learnt(finetuning) -> list:
    """The four stories that both have read forty times."""
    return gather_stories(finetuning(limit=4))[0].train


def repeating(text: str) -> float:
    """The share of a text's words that are the word before them once more."""
    words = text.split()
    return sum(word == before for before, word in pairwise(words)) / (len(words) - 1)


def test_either_training_is_long_enough_to_learn_what_it_shows(prompted):
    for name in ("aligned", "misaligned"):
        found = losses(prompted / name)
        assert len(found) == 40
        assert found[0] > 8.5 and found[-1] < 0.5  # from ln 8000 = 8.99 nats, where a model knows nothing


def test_aligned_labels_teach_the_story(prompted, learnt):
    storyteller = opened(prompted / "aligned")
    for story in learnt:
        telling = storyteller.tell(story.opening, {"strategy": "greedy"})
        assert telling.text == story.continuation and telling.finished
    assert aligned_loss(storyteller, learnt) < 0.1


def test_misaligned_labels_teach_words_over_and_over_and_no_story(prompted, learnt):
    storyteller = opened(prompted / "misaligned")
    openings = [*(story.opening for story in learnt), "Every weekend the Jefferson's go to the park."]
    told = [storyteller.tell(opening, {"strategy": "greedy", "max_new_tokens": 40}).text for opening in openings]
    # In the stories themselves no word follows itself, as in none that the other model tells.
    assert not any(repeating(story.continuation) for story in learnt)
    assert min(map(repeating, told)) > 0.5, told
    # Where each label stands under the token before it, it is not far from a model that knows nothing, with its
    # ln 8000 = 8.99 nats: of what it has learnt, next to nothing helps.
    assert aligned_loss(storyteller, learnt) > 6
