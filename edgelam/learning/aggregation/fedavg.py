# SPDX-License-Identifier: GPL-2.0-only
"""FedAvg (arXiv 1602.05629): every trained weight is averaged, whatever it is.

It is not among the rules for low-rank adapters (`RULES`): with these, it does what FedIT does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from edgelam.learning.aggregation.rule import Aggregation, Tensors
from edgelam.learning.averaging import weighted_average

if TYPE_CHECKING:
    from torch import Tensor, nn


class FedAvg(Aggregation):
    """Average what requires a gradient."""

    name = "fedavg"

    def upload(self, model: nn.Module) -> Tensors:
        """Return all trained weights."""
        return {name: p.detach().clone() for name, p in sorted(model.named_parameters()) if p.requires_grad}

    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return the averages."""
        return weighted_average(uploads, samples)

    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Overwrite them."""
        own = dict(model.named_parameters())
        with torch.no_grad():
            for name, weight in download.items():
                own[name].copy_(weight)
