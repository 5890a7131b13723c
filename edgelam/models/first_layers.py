# SPDX-License-Identifier: GPL-2.0-only
"""A backbone with only its first transformer layers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError
from edgelam.models.cuts.window import find_stack, with_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from edgelam.models import Backbone


def first_layers(backbone: Backbone, layers: int) -> PreTrainedModel:
    """Return a copy of the backbone that has only its first `layers` transformer layers.

    Raises ConfigurationError if the backbone has fewer, or if its stack of layers is not found.
    """
    model: Any = backbone.model
    total = int(model.config.num_hidden_layers)
    try:
        stack = find_stack(model, total)
    except ConfigurationError as error:
        raise ConfigurationError(f"backbone {backbone.name!r}: {error}") from None
    if not 1 <= layers <= total:
        raise ConfigurationError(f"layers {layers} of backbone {backbone.name!r}; legal are 1 to {total}")
    return copy.deepcopy(with_layers(model, stack, 0, layers))  # with weights of its own
