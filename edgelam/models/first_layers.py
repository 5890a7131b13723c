# SPDX-License-Identifier: GPL-2.0-only
"""A backbone with only its first transformer layers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from torch import nn

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from edgelam.models import Backbone


def first_layers(backbone: Backbone, layers: int) -> PreTrainedModel:
    """Return a copy of the backbone that has only its first `layers` transformer layers.

    Raises ConfigurationError if the backbone has fewer, or if its stack of layers is not found.
    """
    stacks = [
        (name, module) for name, module in backbone.model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == backbone.model.config.num_hidden_layers
    ]  # fmt: skip
    if not stacks:
        raise ConfigurationError(f"backbone {backbone.name!r}: its transformer layers are not found")
    name, stack = stacks[0]
    if not 1 <= layers <= len(stack):
        raise ConfigurationError(f"layers {layers} of backbone {backbone.name!r}; legal are 1 to {len(stack)}")
    left_out = {id(module): None for module in stack[layers:]}
    model = copy.deepcopy(backbone.model, left_out)  # the layers that are left out are not copied
    kept = copy.deepcopy(nn.ModuleList(stack[:layers]))
    parent = model.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], kept)
    model.config.num_hidden_layers = layers
    return model
