# SPDX-License-Identifier: GPL-2.0-only
"""A draft model for SmolLM2: its first layers with low-rank adapters, and an exit, distilled from the whole model.

The exit is a final norm of its own and a low-rank residual map before the token table, which is the whole model's:

    logits = (n + n V U) table^T,   n = norm(hidden states after the first layers) * gain

All of it is the target's own at first, so a draft that was not trained is the target that stops early: the control.

Shape suffixes: T tokens, D width of the hidden states, R rank.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.models.cuts.window import find_stack, with_layers
from edgelam.random_streams import torch_generator

LAYERS = 8
RANK, EXIT_RANK = 8, 64
SCALE = 2.0
"""Of the adapters' product, as alpha / rank of LoRA."""
DISTILLED = Path(__file__).with_name("smollm2-draft.safetensors")
"""What `edgelam models train smollm2-draft` has made, in 16-bit floats."""


class Draft(nn.Module):
    """What a draft has beside the target: adapters, the gain of its norm, and the residual map."""

    def __init__(self, target: Any, *, layers: int = LAYERS, seed: int = 0) -> None:
        """target: a LlamaModel of transformers. Raises ConfigurationError if it has fewer layers."""
        super().__init__()
        total = int(target.config.num_hidden_layers)
        if not 1 <= layers <= total:
            raise ConfigurationError(f"layers {layers} of a draft; legal are 1 to {total}, those of its target")
        self.layers = layers
        generator = torch_generator(seed)
        self.a, self.b = nn.ParameterDict(), nn.ParameterDict()
        for name, linear in _linear(target, layers):
            outputs, inputs = linear.weight.shape
            self.a[_key(name)] = nn.Parameter(torch.randn(RANK, inputs, generator=generator) / inputs**0.5)
            self.b[_key(name)] = nn.Parameter(torch.zeros(outputs, RANK))
        width = int(target.config.hidden_size)
        self.gain = nn.Parameter(target.norm.weight.detach().clone())
        self.down_DR = nn.Parameter(torch.randn(width, EXIT_RANK, generator=generator) / width**0.5)
        self.up_RD = nn.Parameter(torch.zeros(EXIT_RANK, width))

    def adapted(self, target: Any) -> Any:
        """Return a LlamaModel to be trained: its adapters and norm are this draft's parameters, and all other weights
        are the target's."""
        part = first_layers(target, self.layers)
        for name, linear in _linear(target, self.layers):
            part.set_submodule(name, _Adapted(linear, self.a[_key(name)], self.b[_key(name)]))
        part.norm.weight = self.gain
        return part

    def features(self, hidden_TD: Tensor) -> Tensor:
        """Return what is compared with the rows of the token table, of hidden states behind the norm."""
        return hidden_TD + hidden_TD @ self.down_DR @ self.up_RD

    @torch.no_grad()
    def model(self, target: Any) -> Any:
        """Return a LlamaModel that has the adapters merged, and shares all other weights with the target."""
        part = first_layers(target, self.layers)
        for name, linear in _linear(target, self.layers):
            merged = linear.weight + SCALE * self.b[_key(name)] @ self.a[_key(name)]
            part.get_submodule(name).weight = nn.Parameter(merged, requires_grad=False)
        part.norm.weight = nn.Parameter(self.gain.detach().clone(), requires_grad=False)
        return part


class _Adapted(nn.Module):
    """A frozen linear map with an adapter."""

    def __init__(self, linear: nn.Linear, a: nn.Parameter, b: nn.Parameter) -> None:
        super().__init__()
        self.linear, self.a, self.b = linear, a, b

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + SCALE * F.linear(F.linear(x, self.a), self.b)


def distilled(target: Any) -> Draft:
    """Return the draft that comes with edgelam. target: SmolLM2's LlamaModel.

    Raises ConfigurationError if it is not a draft of this target.
    """
    draft = Draft(target)
    try:
        draft.load_state_dict({name: value.float() for name, value in load_file(DISTILLED).items()})
    except RuntimeError as error:
        raise ConfigurationError(f"{DISTILLED} holds no draft of this model ({str(error).splitlines()[0]})") from None
    return draft.requires_grad_(False).eval()


def first_layers(target: Any, layers: int) -> Any:
    """Return a model of the target's first layers and its norm, which shares all weights with it."""
    return with_layers(target, find_stack(target, int(target.config.num_hidden_layers)), 0, layers)


def _linear(target: Any, layers: int) -> list[tuple[str, nn.Linear]]:
    """Return names and modules of all linear maps of the first layers."""
    return [
        (name, module) for name, module in target.named_modules()
        if isinstance(module, nn.Linear) and name.startswith("layers.") and int(name.split(".")[1]) < layers
    ]  # fmt: skip


def _key(name: str) -> str:
    return name.replace(".", "_")
