"""A real endpoint on this machine: `transformers serve` with one of the committed storytellers."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from storylab.decoding import first_sentences
from storylab.errors import StoryLabError
from storylab.storytellers.remote.endpoint import Endpoint
from storylab.storytellers.remote.teller import RemoteStoryteller
from storylab.storytellers.storyteller import Storyteller

DOG = "My dog ran away."
ASK = "Tell on."


@pytest.fixture(scope="module")
def whole(tmp_path_factory, root) -> Path:
    """The fine-tuned GPT-2 mini as a folder that stands on its own, with a template for chats."""
    folder, checkpoints = tmp_path_factory.mktemp("serve") / "whole", root / "checkpoints"
    own = checkpoints / "gpt2-mini-finetuned"
    plain = {"base_folder": checkpoints / "gpt2-mini", "engine": "torch", "dtype": "fp32"}
    teller = Storyteller.from_folder("whole", "", "causal", own, **plain)
    teller.model.save_pretrained(folder)
    teller.tokenizer.save_pretrained(folder)
    # What a chat is told goes before what is asked: the model sees the opening alone.
    template = "{{ messages[-1]['content'].split('\\n')[-1] }}"
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def served(whole) -> Iterator[str]:
    """The address of `transformers serve`."""
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(whole), "--port", "0"]
    command += ["--host", "127.0.0.1", "--device", "cpu", "--dtype", "float32", "--log-level", "info"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
            break
    else:
        pytest.fail("".join(said[-20:]))
    threading.Thread(target=server.stderr.read, daemon=True).start()  # else it would stand still once the pipe is full
    yield f"{found[1]}/v1"
    server.kill()
    server.wait()


@pytest.fixture
def far(served, whole) -> Callable[..., RemoteStoryteller]:
    def make(**about) -> RemoteStoryteller:
        about = {"model": str(whole), "server": "transformers", **about}
        return RemoteStoryteller("far", "Far away", Endpoint(served, **about))

    return make


@pytest.fixture(scope="module")
def likeliest(whole) -> str:
    """What transformers' own `generate` makes of the opening."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(whole), AutoTokenizer.from_pretrained(whole)
    prompt = tokenizer(DOG, return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**prompt, do_sample=False, max_new_tokens=100)[0, prompt["input_ids"].shape[1] :]
    return first_sentences(tokenizer.decode(ids, skip_special_tokens=True).strip(), 4)[0]


@pytest.mark.parametrize("instruction", ["", ASK], ids=["text", "chat"])
def test_greedily_it_tells_what_generate_tells(far, likeliest, instruction):
    *pieces, telling = far(instruction=instruction).stream(DOG, {"strategy": "greedy"}, seed=0)
    assert telling.text == likeliest and len(telling.story) >= 2
    assert "".join(piece.text for piece in pieces).strip().startswith(telling.text)
    assert len(pieces) > 5, "it came at once and not piece by piece"
    assert telling.tokens >= len(pieces)


def test_a_seed_tells_its_story_again_and_another_seed_another(far):
    telling = far().tell(DOG, seed=1)
    assert telling.finished and telling.ended_by == "end" and telling.story, telling
    assert far().tell(DOG, seed=1).text == telling.text
    assert far().tell(DOG, seed=2).text != telling.text, "it does not sample"


def test_settings_arrive_there(far, likeliest):
    narrow = far().tell(DOG, {"top_k": 1, "temperature": 5}, seed=3)
    assert narrow.text == likeliest, "only the likeliest token was left to draw"
    assert far().tell(DOG, {"temperature": 5, "top_p": 1, "max_new_tokens": 20}, seed=3).text != likeliest
    short = far().tell(DOG, {"max_new_tokens": 3})
    assert (short.ended_by, short.tokens) == ("tokens", 3)


def test_after_a_stop_it_tells_on_for_others(far):
    stop = threading.Event()
    stream = far().stream(DOG, {"max_new_tokens": 512, "sentences": 10}, seed=1, stop=stop)
    next(stream)
    stop.set()
    *_, telling = stream
    assert telling.ended_by == "stopped"
    assert far().tell(DOG, {"max_new_tokens": 2}).tokens == 2


def test_a_model_that_is_not_there_is_said_so(far):
    with pytest.raises(StoryLabError, match=r"HTTP status 400: Server is pinned to .*; requested 'another'"):
        far(model="another").tell(DOG)
