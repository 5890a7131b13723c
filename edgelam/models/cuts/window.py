# SPDX-License-Identifier: GPL-2.0-only
"""Some consecutive layers of a transformer of transformers, run by the model's own code.

The model's own `forward` makes masks, positions and whatever else its layers need from its arguments; only the hidden
states that enter the first layer and leave the last one are exchanged. So this holds for every architecture that passes
hidden states from layer to layer in a `ModuleList`.

Shape suffixes: B batch, L length, H width of the hidden states.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from edgelam.errors import ConfigurationError


def find_stack(model: nn.Module, layers: int) -> str:
    """Return the name of the first `ModuleList` of `layers` modules. Raises ConfigurationError if there is none."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return name
    raise ConfigurationError(f"{type(model).__name__}: its {layers} transformer layers are not found")


def with_layers(model: Any, stack: str, first: int, last: int) -> Any:
    """Return a copy of a model that has only layers `first` to `last` - 1, and shares all weights and buffers with it.

    The layers are numbered from 0, as their keys and values are in a cache. stack: from `find_stack`.
    """
    layers = model.get_submodule(stack)
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    shared |= {id(layer): None for i, layer in enumerate(layers) if not first <= i < last}  # these are not copied
    part = copy.deepcopy(model, shared)
    kept = nn.ModuleList(part.get_submodule(stack)[first:last])
    for i, layer in enumerate(kept):
        for module in layer.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = i  # type: ignore[assignment]
    part.set_submodule(stack, kept)
    config = part.config
    total = len(layers)
    for name, value in list(config.to_dict().items()):
        if isinstance(value, list) and len(value) == total:  # such as layer_types: one for each layer
            setattr(config, name, value[first:last])
    for name in ("num_hidden_layers", "decoder_layers"):
        if getattr(config, name, None) == total:
            setattr(config, name, last - first)
    return part


class Window:
    """Layers `first` to `last` - 1 of a model: hidden states in, hidden states out."""

    def __init__(self, model: Any, stack: str, first: int, last: int) -> None:
        """Copy these layers; weights are shared. stack: from `find_stack`."""
        total = len(model.get_submodule(stack))
        self.model = with_layers(model, stack, first, last)
        self.enters, self.leaves = first > 0, last < total
        self._in: Tensor | None = None
        self._out: Tensor | None = None
        layers = self.model.get_submodule(stack)
        if self.enters:
            layers[0].register_forward_pre_hook(self._enter, with_kwargs=True)
        if self.leaves:
            layers[-1].register_forward_hook(self._leave)

    def __call__(self, hidden_BLH: Tensor | None, **arguments: Any) -> Tensor:
        """Return the hidden states [B, L, H] after the last layer (of the whole model's end, if it is its last one).

        hidden_BLH: before the first layer; None if this is the model's first one, which gets `arguments` alone.
        arguments: of the model's `forward`.
        """
        self._in = hidden_BLH
        try:
            output = self.model(**arguments)
            result = self._out if self.leaves else output.last_hidden_state
        finally:
            self._in = self._out = None
        assert result is not None
        return result

    def _enter(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        if args:
            return (self._in, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self._in}

    def _leave(self, _: nn.Module, args: Any, output: Any) -> None:
        self._out = output[0] if isinstance(output, tuple) else output
