import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from storylab.errors import StoryLabError
from storylab.framing import Autoregressive, NextToken, PromptTarget, encode_stories
from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller
from storylab.storytellers import load
from storylab.tokenizers import encode
from storylab.training.loop import Alone, summed_loss, validation_loss
from storylab.training.run import run

CPU = Alone(torch.device("cpu"))


@pytest.fixture
def train(tmp_path):
    """A function that trains a recipe in a folder of its own; returns the folder and the log's lines."""

    def train(recipe, **options) -> tuple:
        folder = run(
            recipe,
            checkpoints=tmp_path / "checkpoints",
            runs=tmp_path / "runs",
            device="cpu",
            quiet=True,
            **options,
        )
        return folder, read_log(folder)

    return train


def read_log(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def losses(log) -> dict[int, float]:
    """The training losses of a log by step."""
    return {line["step"]: line["loss"] for line in log if "loss" in line}


def validations(log) -> dict[int, float]:
    """The validation losses of a log by step."""
    return {line["step"]: line["validation_loss"] for line in log if "validation_loss" in line}


def plain_losses(storyteller, stories) -> list[tuple[float, int]]:
    """Loss in nats and labels of each story: no batch, no padding, no framing of the project."""
    model, tokenizer = storyteller.model, storyteller.tokenizer
    found = []
    for story in stories:
        known = encode(tokenizer, story.opening)
        told = [*encode(tokenizer, story.text)[len(known) :], 2]  # 2 is </s>
        total = 0.0
        for position, label in enumerate(told):
            if model.config.is_encoder_decoder:
                source, target = torch.tensor([[*known, 2]]), torch.tensor([[1, *told[:position]]])
                logits = model(input_ids=source, decoder_input_ids=target).logits[0, -1]
            else:
                logits = model(input_ids=torch.tensor([[1, *known, *told[:position]]])).logits[0, -1]
            total -= float(logits.log_softmax(dim=-1)[label])
        found.append((total, len(told)))
    return found


def framing_of(storyteller, stories):
    kind = PromptTarget if storyteller.model.config.is_encoder_decoder else NextToken
    return kind(encode_stories(stories, storyteller.tokenizer), storyteller.tokenizer, 192)


@pytest.mark.parametrize("kind", ["seq2seq", "encoder"])
def test_a_model_that_overfits_one_story_repeats_it_word_for_word(train, make_recipe, small_checkpoints, kind):
    vocabulary = str(small_checkpoints / "small-seq2seq")
    recipe = make_recipe(kind, limit=1, epochs=100, matrix_learning_rate=0.1, vocabulary=vocabulary)
    seen = []
    folder, log = train(recipe, callbacks=(seen.append,))
    assert losses(log)[100] < 0.05  # the report's sanity check, which took 30,000 steps there
    from storylab.training.data import gather_stories

    (story,) = gather_stories(recipe)[0].train
    telling = load(str(folder)).tell(story.opening, {"strategy": "greedy"})
    assert telling.text == story.continuation
    assert telling.finished and telling.story == list(story.sentences[1:])
    assert [line["step"] for line in seen if "loss" in line] == list(range(10, 101, 10))


def test_accumulating_gradients_is_a_larger_batch(train, make_recipe):
    # 16 stories make one batch of 16 or two of 8: the same stories a step, though of other lengths a pass.
    plain = {"limit": 16, "epochs": 8, "log_every": 1, "evaluate_every": 4, "optimizer": "adamw"}
    _, whole = train(make_recipe("seq2seq", name="whole", batch_size=16, **plain))
    _, halves = train(make_recipe("seq2seq", name="halves", batch_size=8, accumulation=2, **plain))
    assert len(losses(whole)) == 8
    assert losses(halves) == pytest.approx(losses(whole), abs=1e-5)
    assert validations(halves) == pytest.approx(validations(whole), abs=1e-5)
    assert losses(whole)[8] < losses(whole)[1] - 0.05  # something was learnt


def test_a_step_left_with_fewer_passes_counts_as_a_step(train, make_recipe):
    # 3 passes of at most 3 stories, two a step: 2 steps an epoch.
    recipe = make_recipe("seq2seq", batch_size=3, accumulation=2, epochs=2, log_every=1)
    _, log = train(recipe)
    assert sorted(losses(log)) == [1, 2, 3, 4]


def test_label_smoothing_changes_the_training_loss_alone(train, make_recipe, small_checkpoints, small_seq2seq):
    # A learning rate of next to nothing, so that both losses are those of the weights it starts from.
    still = {
        "init_from": str(small_checkpoints / "small-seq2seq"),
        "vocabulary": str(small_checkpoints / "small-seq2seq"),
        "epochs": 1,
        "optimizer": "adamw",
        "learning_rate": 1e-12,
        "log_every": 1,
    }
    _, plain = train(make_recipe("seq2seq", name="plain", **still))
    _, smooth = train(make_recipe("seq2seq", name="smooth", label_smoothing=0.2, **still))
    assert validations(smooth) == pytest.approx(validations(plain), abs=1e-5)
    # By the definition: 0.8 of the label's loss, 0.2 of the mean loss over the vocabulary.
    from storylab.training.data import gather_stories

    stories = gather_stories(make_recipe("seq2seq"))[0].train
    batch = framing_of(small_seq2seq, stories).collate([[i] for i in range(8)])
    labels = batch.pop("labels")
    with torch.no_grad():
        scores = small_seq2seq.model(**batch).logits.log_softmax(dim=-1)[labels != -100]  # (labels, vocabulary)
    label_loss = -scores.gather(1, labels[labels != -100][:, None]).mean()
    assert losses(plain)[1] == pytest.approx(float(label_loss), abs=1e-4)
    assert losses(smooth)[1] == pytest.approx(float(0.8 * label_loss - 0.2 * scores.mean()), rel=1e-4)


def test_the_validation_loss_is_that_of_a_plain_loop(small, small_stories):
    stories = small_stories[:3]
    framing = framing_of(small, stories)
    with torch.no_grad():
        found = plain_losses(small, stories)
    expected = sum(loss for loss, _ in found) / sum(labels for _, labels in found)
    for batch_size in (1, 2, 64):
        assert validation_loss(small.model, framing, batch_size, CPU) == pytest.approx(expected, rel=1e-5)
    small.model.eval()


def test_validation_is_without_dropout_and_training_goes_on_with_it(small_seq2seq, small_stories):
    model = Seq2SeqStoryteller(Seq2SeqConfig(vocab_size=700, width=32, heads=2, inner=64, dropout=0.5))
    torch.nn.init.normal_(model.decoder.layers[0].feed_forward.contract.weight)  # zero at first: nothing to drop
    framing = PromptTarget(encode_stories(small_stories, small_seq2seq.tokenizer), small_seq2seq.tokenizer, 192)
    model.train()
    first = validation_loss(model, framing, 8, CPU)
    assert validation_loss(model, framing, 8, CPU) == first
    assert model.training
    batch = framing.collate(framing.examples(0))
    assert summed_loss(model, batch).item() != summed_loss(model, batch).item()


def test_a_prompt_that_is_learnt_is_no_part_of_the_validation_loss(train, make_recipe, small_checkpoints):
    # The causal first stage of the encoder learns sentence 1 too; its validation must compare with the second's.
    recipe = make_recipe(
        "encoder",
        framing="autoregressive",
        model={"causal": True},
        vocabulary=str(small_checkpoints / "small-encoder"),
        batch_size=8,
        epochs=3,
        evaluate_every=3,
    )
    folder, log = train(recipe)
    from storylab.training.data import gather_stories

    storyteller = load(str(folder))
    encoded = encode_stories(gather_stories(recipe)[0].validation, storyteller.tokenizer)
    framing = Autoregressive(encoded, storyteller.tokenizer, 192, learn_prompt=False)
    # Stored in bf16, hence the tolerance.
    assert validations(log)[3] == pytest.approx(validation_loss(storyteller.model, framing, 8, CPU), rel=2e-3)


def test_training_stops_when_validation_has_not_improved_for_long(train, make_recipe):
    recipe = make_recipe("seq2seq", evaluate_every=5, patience=3, keep="best")
    folder, log = train(recipe)
    measured = validations(log)
    best = min(measured, key=measured.get)
    last = max(line["step"] for line in log)
    assert last == best + 15 < 100  # by heart after a hundred steps, and ever worse on what it has not seen
    assert [line["step"] for line in log if line.get("best")][-1] == best
    # The weights kept are those of the best validation, up to the rounding to bf16.
    storyteller = load(str(folder))
    from storylab.training.data import gather_stories

    framing = framing_of(storyteller, gather_stories(recipe)[0].validation)
    kept = validation_loss(storyteller.model, framing, 8, CPU)
    assert kept == pytest.approx(measured[best], rel=2e-3)
    assert abs(kept - measured[best]) < abs(kept - measured[last])
    assert f"step {best}" in (folder / "README.md").read_text(encoding="utf-8").replace("\n", " ")


def test_keep_last_keeps_the_last_weights(train, make_recipe):
    recipe = make_recipe("seq2seq", evaluate_every=25)
    folder, log = train(recipe)
    storyteller = load(str(folder))
    from storylab.training.data import gather_stories

    framing = framing_of(storyteller, gather_stories(recipe)[0].validation)
    assert validation_loss(storyteller.model, framing, 8, CPU) == pytest.approx(validations(log)[100], rel=2e-3)
    assert validations(log)[100] > min(validations(log).values())


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("epochs", [1, 10])  # after its only step, only the validation loss can tell
def test_a_training_that_diverges_says_so(train, make_recipe, epochs, keep, tmp_path):
    recipe = make_recipe("seq2seq", learning_rate=1e30, optimizer="adamw", warmup=0, epochs=epochs, keep=keep)
    with pytest.raises(StoryLabError, match="learning rate") as refused:
        train(recipe)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "checkpoints").exists()


def test_should_stop_ends_training_with_a_checkpoint(train, make_recipe):
    seen = []

    def should_stop() -> bool:
        seen.append(1)
        return len(seen) == 7

    folder, log = train(make_recipe("seq2seq"), should_stop=should_stop)
    assert len(seen) == 7
    assert max(losses(log)) == max(validations(log)) == 7
    assert (folder / "model.safetensors").is_file()


def test_the_log_says_where_training_stands(train, make_recipe, small_seq2seq, small_stories, small_checkpoints):
    recipe = make_recipe(
        "seq2seq",
        vocabulary=str(small_checkpoints / "small-seq2seq"),
        epochs=4,
        log_every=2,
        evaluate_every=4,
        sample="Nora found a kite.",
        warmup=8,
    )
    _, log = train(recipe)
    first, second, validation, sample = log
    # An epoch is one step of all 8 stories: their source and its end, their target and its end.
    tokens = sum(len(encode(small_seq2seq.tokenizer, story.text)) + 2 for story in small_stories)
    assert (first["step"], second["step"], first["steps"]) == (2, 4, 4)
    assert (first["tokens"], second["tokens"]) == (2 * tokens, 4 * tokens)
    assert (first["learning_rate"], second["learning_rate"]) == pytest.approx((1e-2 * 2 / 8, 1e-2 * 4 / 8))
    assert first["tokens_per_second"] > 0 and second["seconds"] >= first["seconds"] >= 0
    assert validation["step"] == 4 and validation["best"] is True
    words, labels = 0, 0
    from storylab.training.data import gather_stories

    for story in gather_stories(recipe)[0].validation:
        words += len(story.continuation.split()) + 1
        labels += len(encode(small_seq2seq.tokenizer, story.text)) + 1
        labels -= len(encode(small_seq2seq.tokenizer, story.opening))
    per_word = math.exp(validation["validation_loss"] * labels / words)
    assert validation["perplexity_per_word"] == pytest.approx(per_word, rel=1e-3)
    assert sample["step"] == 4 and isinstance(sample["sample"], str)


def test_a_sample_on_the_way_changes_nothing(train, make_recipe):
    plain = {"epochs": 12, "evaluate_every": 4, "log_every": 1, "model": {"dropout": 0.2}}
    _, without = train(make_recipe("seq2seq", name="without", **plain))
    _, sampled = train(make_recipe("seq2seq", name="sampled", sample="Nora found a kite.", **plain))
    assert losses(sampled) == losses(without)
    assert sum("sample" in line for line in sampled) == 3


def test_init_from_goes_on_where_the_weights_stand(train, make_recipe, small_checkpoints):
    source = str(small_checkpoints / "small-seq2seq")
    _, log = train(make_recipe("seq2seq", name="more", init_from=source, epochs=2, log_every=1, warmup=0))
    assert losses(log)[1] < 0.1  # the stories are known by heart already


def test_trainings_of_either_precision_follow_one_another_in_a_process(train, make_recipe):
    for precision in ("fp32", "bf16", "fp32"):
        _, log = train(make_recipe("seq2seq", precision=precision, epochs=2, log_every=1, limit=2))
        assert math.isfinite(losses(log)[2])


def test_real_tokens_counts_no_padding(small_stories, small_seq2seq):
    tokenizer = small_seq2seq.tokenizer
    encoded = encode_stories(small_stories, tokenizer)
    texts = sum(len(encode(tokenizer, story.text)) for story in small_stories)
    rows = np.arange(8)[:, None]
    assert PromptTarget(encoded, tokenizer, 192).real_tokens(rows) == texts + 2 * 8
    assert Autoregressive(encoded, tokenizer, 192).real_tokens(rows) == texts + 8


def test_summed_loss_leaves_out_padding_and_prompt(small_stories, small_seq2seq):
    tokenizer = small_seq2seq.tokenizer
    torch.manual_seed(0)
    model = EncoderStoryteller(
        EncoderConfig(vocab_size=700, width=16, heads=2, layers=1, inner=32, causal=True, dropout=0.0)
    )
    framing = Autoregressive(encode_stories(small_stories, tokenizer), tokenizer, 192, learn_prompt=False)
    together = summed_loss(model, framing.collate([[i] for i in range(8)])).item()
    alone = sum(summed_loss(model, framing.collate([[i]])).item() for i in range(8))
    assert together == pytest.approx(alone, rel=1e-5)
    batch = framing.collate([[0]])
    known = len(encode(tokenizer, small_stories[0].opening))
    scores = model(input_ids=batch["input_ids"]).logits[0, known:]
    expected = F.cross_entropy(scores, batch["labels"][0, known:], reduction="sum").item()
    assert summed_loss(model, batch).item() == pytest.approx(expected, rel=1e-5)
