# SPDX-License-Identifier: GPL-2.0-only
"""FedIT (arXiv 2305.05644): A and B are averaged by themselves.

The result, s mean(B) mean(A), is not the mean of s B A: this is the aggregation bias that the other rules avoid. A and
B are sent up and down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgelam.learning.aggregation.rule import Aggregation, Tensors, factors, put_factors
from edgelam.learning.averaging import weighted_average

if TYPE_CHECKING:
    from torch import Tensor, nn


class FedIT(Aggregation):
    """Average A and B."""

    name = "fedit"

    def upload(self, model: nn.Module) -> Tensors:
        """Return A and B."""
        return factors(model)

    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return the averages of A and B."""
        return weighted_average(uploads, samples)

    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Overwrite A and B."""
        put_factors(model, download)
