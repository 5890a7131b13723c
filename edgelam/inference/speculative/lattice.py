# SPDX-License-Identifier: GPL-2.0-only
"""Draft distributions in few bits: the likeliest tokens with probabilities that are multiples of 1 / resolution.

The draft samples from the quantised distribution itself, so the target's distribution is kept exactly (arXiv
2507.00605, whose quantiser is a lattice as well). Rounding is by largest remainders: counts are at least 0 and add up
to the resolution.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Lattice:
    """How a distribution is quantised. Raises ConfigurationError for what is not legal."""

    tokens: int = 64
    """Likeliest tokens that are kept."""
    resolution: int = 256
    """Probabilities are multiples of 1 / resolution."""

    def __post_init__(self) -> None:
        """Check."""
        if self.tokens < 1 or not 1 <= self.resolution <= 2**15:
            raise ConfigurationError(
                f"tokens is {self.tokens} and resolution {self.resolution}; legal are 1 or more, and 1 to 32768"
            )

    def quantised(self, probabilities: Tensor) -> Tensor:
        """Return the distribution float64 [V] that is sent and sampled."""
        kept = min(self.tokens, len(probabilities))
        largest, places = torch.sort(probabilities.double(), descending=True, stable=True)
        largest, places = largest[:kept], places[:kept]
        exact = largest / largest.sum() * self.resolution
        counts = exact.floor()
        missing = self.resolution - int(counts.sum())
        order = torch.sort(exact - counts, descending=True, stable=True).indices[:missing]
        counts[order] += 1
        found = torch.zeros(len(probabilities), dtype=torch.float64)
        found[places] = counts / self.resolution
        return found

    def wire_bytes(self, vocabulary: int) -> int:
        """Return the bytes of one distribution: which tokens (a subset), and which counts (a composition), as numbers.

        ceil(log2 C(V, k)) + ceil(log2 C(resolution + k - 1, k - 1)) bits, k = min(tokens, V).
        """
        kept = min(self.tokens, vocabulary)
        subset = math.comb(vocabulary, kept)
        composition = math.comb(self.resolution + kept - 1, kept - 1)
        return -(-((subset - 1).bit_length() + (composition - 1).bit_length()) // 8)
