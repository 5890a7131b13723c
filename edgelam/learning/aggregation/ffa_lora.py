# SPDX-License-Identifier: GPL-2.0-only
"""FFA-LoRA (arXiv 2403.12313): A stays as it was drawn, and only B is trained and averaged.

With one A for all, mean(B) A is the mean of B A. So the rule is exact, with half the bytes and half the trainable
weights. B is sent up and down. All clients have the same A, drawn from the common seed; it is never sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgelam.learning.aggregation.rule import Aggregation, Tensors, factors, put_factors
from edgelam.learning.averaging import weighted_average
from edgelam.models.lora import lora_layers

if TYPE_CHECKING:
    from torch import Tensor, nn


class FFALoRA(Aggregation):
    """Freeze A, and average B."""

    name = "ffa-lora"

    def prepare(self, model: nn.Module) -> None:
        """Freeze A."""
        for layer in lora_layers(model).values():
            layer.a.requires_grad_(False)

    def upload(self, model: nn.Module) -> Tensors:
        """Return B."""
        return {name: value for name, value in factors(model).items() if name.endswith(".B")}

    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return the average of B."""
        return weighted_average(uploads, samples)

    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Overwrite B."""
        put_factors(model, download)
