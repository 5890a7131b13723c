# SPDX-License-Identifier: GPL-2.0-only
"""FedSA-LoRA (arXiv 2410.01463): A is shared and averaged, and each client keeps a B of its own.

A learns what all clients have in common, B what one of them needs, so no model stands for all clients: each is judged
with its own. A is sent up and down, which is half the bytes of FedIT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgelam.learning.aggregation.rule import Aggregation, Tensors, factors, put_factors
from edgelam.learning.averaging import weighted_average

if TYPE_CHECKING:
    from torch import Tensor, nn


class FedSALoRA(Aggregation):
    """Average A; B stays on its client."""

    name = "fedsa-lora"
    personal = True

    def upload(self, model: nn.Module) -> Tensors:
        """Return A."""
        return {name: value for name, value in factors(model).items() if name.endswith(".A")}

    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return the average of A."""
        return weighted_average(uploads, samples)

    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Overwrite A."""
        put_factors(model, download)
