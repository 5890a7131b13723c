# SPDX-License-Identifier: GPL-2.0-only
"""How model updates are compressed; importing this imports no torch."""

from dataclasses import dataclass
from typing import Literal

from edgelam.errors import ConfigurationError


@dataclass(frozen=True)
class CompressionSettings:
    """A compressor and its size."""

    kind: Literal["none", "fp16", "int8", "int4", "top-k", "powersgd"] = "none"
    """none: devices send the weights themselves. The others send the difference to the received weights: fp16 (2 bytes
    per value), int8 and int4 (1 and half a byte per value, and a scale per line), top-k (the largest values), powersgd
    (two thin factors). All but fp16 add their error to the next update."""
    share: float = 0.1
    """top-k: share of the values that are sent, above 0 and at most 1."""
    rank: int = 2
    """powersgd: rank of the factors, at least 1."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 0.0 < self.share <= 1.0:
            raise ConfigurationError(f"compression share is {self.share}; it must be above 0 and at most 1")
        if self.rank < 1:
            raise ConfigurationError(f"compression rank is {self.rank}; it must be at least 1")
