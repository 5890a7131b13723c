# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study paper."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError

Method = Literal["exact", "greedy", "random"]


@dataclasses.dataclass(frozen=True)
class PaperSettings:
    """The setting of arXiv 2601.19563, for a short window. Seeds are those of the study serving."""

    methods: tuple[Method, ...] = ("exact", "greedy", "random")
    """Solvers that place services."""
    loads: tuple[float, ...] = (1.0, 1.5, 2.0)
    """Factors of the arrival rates."""
    window_s: float = 0.2
    """For how long requests come, simulated seconds."""
    requests_per_ms: float = 0.15
    """Of each graph at load 1; the paper has 0.15 to 1.5."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        for name in ("window_s", "requests_per_ms"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        if not self.loads or not all(0 < load < math.inf for load in self.loads):
            raise ConfigurationError(f"loads are {self.loads!r}; at least one, each above 0 and finite")
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ConfigurationError(f"methods are {self.methods!r}; at least one, each once")
