# SPDX-License-Identifier: GPL-2.0-only
"""The base class of rules for aggregating LoRA adapters.

In a round, every client puts what came down into its model (`install`), trains, and sends `upload`. From all uploads,
the server makes what it sends down next (`merge`). Only what is in these dictionaries crosses the network. The adapters
of client k stand for W_k = s_k B_k A_k (s = alpha/rank). Ideally, every client has after a round the frozen weights
plus sum_k p_k W_k, where p_k is its share of the samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch

from edgelam.errors import ConfigurationError
from edgelam.models.lora import lora_layers

if TYPE_CHECKING:
    from torch import Tensor, nn

Tensors = dict[str, "Tensor"]


class Aggregation(ABC):
    """One rule. It has no state of its own: a model and what comes down decide everything."""

    name: ClassVar[str]
    changes_base: ClassVar[bool] = False
    """Whether `install` adds to the frozen weights, so that a client must get every download, once and in order."""
    restarts: ClassVar[bool] = False
    """Whether adapters are new after `install`: then their optimiser's state must be new, too."""
    personal: ClassVar[bool] = False
    """Whether each client keeps a part of its own, so that no model stands for all of them."""

    def prepare(self, model: nn.Module) -> None:
        """Prepare a model before the first round, on every client and wherever the result is evaluated."""
        if self.changes_base:
            for layer in lora_layers(model).values():
                layer.own_base()

    def first(self, model: nn.Module) -> Tensors:
        """Return what comes down before the first round: all clients begin with the adapters of `model`."""
        return self.upload(model)

    @abstractmethod
    def upload(self, model: nn.Module) -> Tensors:
        """Return what a client sends after training: float tensors by name, copies."""

    @abstractmethod
    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return what the server sends to every client.

        samples: the number of samples of each client, its weight. Raises ConfigurationError if the uploads do not fit
        together.
        """

    def part_for(self, download: Mapping[str, Tensor], rank: int) -> Tensors:
        """Return what a client with adapters of that rank gets of what comes down; by default all of it."""
        return dict(download)

    @abstractmethod
    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Put what came down into a model."""


def factors(model: nn.Module) -> Tensors:
    """Return A and B of every adapted layer: NAME.A [rank, in], NAME.B [out, rank], copies."""
    layers = lora_layers(model)
    return {f"{name}.{part}": getattr(layers[name], part.lower()).detach().clone() for name in layers for part in "AB"}


def put_factors(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Overwrite A and B if `weights` has them. Raises ConfigurationError for another shape."""
    with torch.no_grad():
        for name, layer in lora_layers(model).items():
            for part, own in (("A", layer.a), ("B", layer.b)):
                given = weights.get(f"{name}.{part}")
                if given is None:
                    continue
                if given.shape != own.shape:
                    raise ConfigurationError(
                        f"adapter {name}.{part} of shape {tuple(given.shape)} came down, this model's is "
                        f"{tuple(own.shape)}: clients of one rank are legal with this rule; flora and hetlora take "
                        "mixed ranks"
                    )
                own.copy_(given)


def layer_names(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the layers in a dictionary with NAME.A."""
    return [name.removesuffix(".A") for name in weights if name.endswith(".A")]


def shares(samples: Sequence[float], uploads: Sequence[Mapping[str, Tensor]]) -> list[float]:
    """Return sample counts as shares with a sum of 1. Raises ConfigurationError."""
    if len(samples) != len(uploads) or not uploads:
        raise ConfigurationError(f"{len(uploads)} uploads with {len(samples)} sample counts; legal is one each, >= 1")
    if min(samples) < 0 or sum(samples) <= 0:
        raise ConfigurationError(f"sample counts {list(samples)}; none may be negative and their sum must be positive")
    if any(set(upload) != set(uploads[0]) for upload in uploads):
        raise ConfigurationError("the uploads to merge hold different tensors")
    return [count / sum(samples) for count in samples]
