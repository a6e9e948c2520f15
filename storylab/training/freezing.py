"""Freezing part of a pre-trained model by naming it: `freeze = "embeddings and the first 2 layers"`."""

import re

from torch import nn

from storylab.errors import StoryLabError

_PART = re.compile(r"embeddings|the first (\d+) layers?")


def freeze(model: nn.Module, what: str) -> list[str]:
    """Freeze the embeddings, the first layers, or both; everything else is trained.

    Gradients stop at the lowest trained layer, so that freezing from below saves their time and memory too.
    An output head that shares its weights with the embeddings is frozen with them.

    Args:
        model: A Transformer of transformers with one stack of layers.
        what: "embeddings", "the first N layers", or both with "and" between; empty: nothing.

    Returns:
        The names of the frozen parameters.

    Raises:
        StoryLabError: The words name nothing that can be frozen, or more layers than there are.
    """
    if not what:
        return []
    frozen: list[nn.Module] = []
    for part in what.split(" and "):
        match = _PART.fullmatch(part.strip())
        if not match:
            raise StoryLabError(f'freeze takes "embeddings and the first N layers" or a part of it, not {what!r}')
        if match[1] is None:
            frozen += [module for module in model.modules() if isinstance(module, nn.Embedding)]
        else:
            frozen += _first_layers(model, int(match[1]))
    held = {id(parameter) for module in frozen for parameter in module.parameters()}
    names = []
    for name, parameter in model.named_parameters():
        if id(parameter) in held:
            parameter.requires_grad_(False)
            names.append(name)
    return names


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    """The layers of a model's only or longest stack, from the bottom up, by name.

    Raises:
        StoryLabError: It has none.
    """
    stacks = {name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    if not stacks:
        raise StoryLabError("the model has no stack of layers")
    name, stack = max(stacks.items(), key=lambda item: len(item[1]))
    return {f"{name}.{index}": layer for index, layer in enumerate(stack)}


def _first_layers(model: nn.Module, count: int) -> list[nn.Module]:
    layers = layers_of(model)
    if count >= len(layers):
        raise StoryLabError(
            f"freeze: the first {count} layers leave none to train; the model has {len(layers)}: {', '.join(layers)}"
        )
    return list(layers.values())[:count]
