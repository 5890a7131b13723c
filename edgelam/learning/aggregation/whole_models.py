# SPDX-License-Identifier: GPL-2.0-only
"""What crosses the network of a model that has adapters and other trained weights.

A rule combines the adapters; of all other trained weights, the server takes the weighted average (FedAvg).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from edgelam.learning.aggregation.rule import Aggregation, Tensors
from edgelam.learning.averaging import weighted_average

if TYPE_CHECKING:
    from torch import nn

Parts = dict[str, Tensors]
"""`adapter`: what the rule sends; `weights`: trained weights that are not adapters, by name."""


def first(model: nn.Module, rule: Aggregation) -> Parts:
    """Return what comes down before the first round; `rule.prepare` has seen the model."""
    return {"adapter": rule.first(model), "weights": _others(model)}


def upload(model: nn.Module, rule: Aggregation) -> Parts:
    """Return what a client sends after training, copies."""
    return {"adapter": rule.upload(model), "weights": _others(model)}


def merge(uploads: Sequence[Mapping[str, Any]], samples: Sequence[float], rule: Aggregation) -> Parts:
    """Return what the server sends to every client; samples: of each client, its weight.

    Raises ConfigurationError if the uploads do not fit together.
    """
    return {
        "adapter": rule.merge([each["adapter"] for each in uploads], samples),
        "weights": weighted_average([each["weights"] for each in uploads], samples),
    }


def install(model: nn.Module, download: Mapping[str, Any], rule: Aggregation) -> None:
    """Put what came down into a model."""
    rule.install(model, download["adapter"])
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in download["weights"].items():
            own[name].copy_(value)


def _others(model: nn.Module) -> Tensors:
    return {
        name: weight.detach().clone() for name, weight in sorted(model.named_parameters())
        if weight.requires_grad and "lora_" not in name
    }  # fmt: skip
