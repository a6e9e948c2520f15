"""The model that a recipe trains: a new one of its shape, or one whose weights it starts from."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.pytorch_utils import Conv1D

from storylab.errors import StoryLabError
from storylab.models import EncoderConfig, EncoderStoryteller, Seq2SeqConfig, Seq2SeqStoryteller
from storylab.models.loading import load_model
from storylab.training.base import read_base
from storylab.training.freezing import freeze
from storylab.training.partial import LEFT, RIGHT, add_product, lay_over
from storylab.training.recipe import Recipe

ARCHITECTURES = {
    "encoder": (EncoderConfig, EncoderStoryteller),
    "seq2seq": (Seq2SeqConfig, Seq2SeqStoryteller),
    "gpt2": (GPT2Config, GPT2LMHeadModel),
}

FIXED = {
    "gpt2": {
        "activation_function": "gelu_pytorch_tanh",  # GPT-2's own GELU, computed in one pass over memory
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
}
"""What a new model's config has beside the recipe's shape, which goes before it."""


def check_shape(recipe: Recipe) -> None:
    """Refuse a shape that no model can have, before stories are read.

    Raises:
        StoryLabError: An unknown setting, a wrong type or range, or a width that the heads don't divide.
    """
    if recipe.model_type == "causal":
        return  # the base's
    config = ARCHITECTURES[recipe.model_type][0]()
    for key, value in recipe.model.items():
        if key not in vars(config) or key in ("vocab_size", "transformers_version") or key.endswith("_id"):
            raise StoryLabError(f"recipe {recipe.name}: a {recipe.model_type} has no setting {key!r}")
        default = getattr(config, key)
        whole = type(default) is int and type(value) is int and value >= 1
        share = type(default) is float and type(value) in (int, float) and 0 <= value < 1
        if not (whole or share or (type(default) is bool and type(value) is bool)):
            needed = {int: "a whole number from 1 on", float: "a number from 0 to below 1", bool: "true or false"}
            what = needed.get(type(default), "left as it is")
            raise StoryLabError(f"recipe {recipe.name}: model.{key} must be {what}, not {value!r}")
        setattr(config, key, value)
    width, heads = config.hidden_size, config.num_attention_heads
    if width % heads:
        raise StoryLabError(f"recipe {recipe.name}: a width of {width} can't be divided into {heads} heads")


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, base_folder: Path | None = None) -> PreTrainedModel:
    """The model to train, in fp32: new, or with the weights of `init_from` or of the base, frozen where asked.

    Args:
        recipe: Its shape or base.
        tokenizer: Gives a new model its vocabulary and special tokens.
        base_folder: Where the recipe's base lies.

    Raises:
        StoryLabError: The weights to start from can't be read or don't fit the recipe.
    """
    torch.manual_seed(recipe.seed)
    if recipe.model_type == "causal":
        return _build_on_base(recipe, base_folder)
    config_class, model_class = ARCHITECTURES[recipe.model_type]
    if recipe.init_from:
        return _load(recipe, recipe.init_from, model_class, config_class.model_type, recipe.model)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    shape = FIXED.get(recipe.model_type, {}) | recipe.model
    return model_class(config_class(vocab_size=len(tokenizer), **ids, **shape))


def _build_on_base(recipe: Recipe, base_folder: Path) -> PreTrainedModel:
    started = Path(recipe.init_from) if recipe.init_from else None
    model = _load(recipe, base_folder, AutoModelForCausalLM)
    if started and read_base(started):
        lay_over(model, base_folder, started)
    elif started:
        base, model = model, _load(recipe, started, AutoModelForCausalLM)
        if _shapes(base) != _shapes(model):
            raise StoryLabError(f"recipe {recipe.name}: init_from {recipe.init_from} has another shape than its base")
    if recipe.framing == "packed" and model.config._attn_implementation != "sdpa":
        # Others read a mask of packs in ways of their own, or not at all.
        kind = model.config.model_type
        raise StoryLabError(f"recipe {recipe.name}: a {kind} can't keep packed stories apart: use autoregressive")
    freeze(model, recipe.freeze)
    if recipe.lora_rank:
        from peft import LoraConfig, get_peft_model  # slow to import, and few need it

        settings = LoraConfig(
            r=recipe.lora_rank,
            lora_alpha=2 * recipe.lora_rank,
            target_modules="all-linear",
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, settings)
    return model


def _shapes(model: PreTrainedModel) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in model.named_parameters()}


@torch.no_grad()
def finish(model: PreTrainedModel, base_folder: Path | None) -> tuple[PreTrainedModel, dict[str, Tensor]]:
    """A trained model as it comes back from where it is stored, and what of it has to be stored.

    Args:
        model: In fp32; it is changed in place. What of it is stored is rounded to bf16, and computed with in fp32.
        base_folder: Where its base lies; None where it has none.

    Returns:
        The model, low-rank additions merged, and the tensors to store in bf16, as `save_trained` takes them: the
        parameters that differ from the base's (all, where there is no base), of low-rank additions the factors.
    """
    additions, model = take_additions(model)
    base = dict(load_model(AutoModelForCausalLM, base_folder).named_parameters()) if base_folder else {}
    tensors = {}
    for name, parameter in model.named_parameters():
        addition = additions.get(name)
        same = name in base and torch.equal(parameter.cpu(), base[name])
        if addition:
            add_product(parameter, *addition)
        if same and addition:
            tensors |= {name + end: factor for end, factor in zip((LEFT, RIGHT), addition, strict=True)}
        elif not same:
            tensors[name] = parameter.to(torch.bfloat16)
            parameter.copy_(tensors[name])
    return model, tensors


def take_additions(model: PreTrainedModel) -> tuple[dict[str, tuple[Tensor, Tensor]], PreTrainedModel]:
    """The low-rank additions of a model, and the model without them.

    Returns:
        For each parameter with one, the factors left (rows, rank) and right (rank, columns) in bf16, peft's scale in
        the left one; then the bare model.
    """
    additions: dict[str, tuple[Tensor, Tensor]] = {}
    if not hasattr(model, "unload"):
        return additions, model
    for name, module in model.get_base_model().named_modules():
        if hasattr(module, "lora_A"):
            (adapter,) = module.lora_A
            left = module.lora_B[adapter].weight.detach() * module.scaling[adapter]
            right = module.lora_A[adapter].weight.detach()
            if module.fan_in_fan_out:  # GPT-2's matrices are stored turned
                left, right = right.T, left.T
            additions[f"{name}.weight"] = (left.to(torch.bfloat16), right.to(torch.bfloat16))
    return additions, model.unload()


def _load(recipe: Recipe, folder: str | Path, model_class, model_type: str = "", shape=None) -> PreTrainedModel:
    try:
        if model_type:
            _need_type(folder, model_type)
        return load_model(model_class, folder, **(shape or {}))
    except StoryLabError as error:
        key = "init_from" if str(folder) == recipe.init_from else "base"
        raise StoryLabError(f"recipe {recipe.name}: {key} {getattr(recipe, key)}: {error}") from None


def _need_type(folder: str | Path, model_type: str) -> None:
    try:
        found = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
    except (OSError, ValueError) as error:
        raise StoryLabError(str(error).strip().splitlines()[0]) from None
    if found != model_type:
        raise StoryLabError(f"it holds a {found}, not a {model_type}")
