# SPDX-License-Identifier: GPL-2.0-only
"""Against wrong updates; importing this imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from edgelam.errors import ConfigurationError

Rule = Literal["none", "median", "krum", "norm-bound"]


@dataclass(frozen=True)
class RobustSettings:
    """How updates are combined, and which devices send wrong ones."""

    rule: Rule = "none"
    """none: the average weighted by samples; an update that is not finite ends the run. All others leave such updates
    out. median: of each number. krum: the mean of the updates nearest to most others. norm-bound: the mean of updates
    whose L2 norm is at most `norm_bound`; larger ones are scaled down."""
    byzantine: int = 1
    """krum: so many updates may be wrong, at least 0."""
    norm_bound: float | None = None
    """norm-bound: the largest L2 norm; None: the median of the norms of that round."""
    poisoned: int = 0
    """So many devices, the last ones, send wrong updates in every round."""
    poison: Literal["nan", "noise", "sign-flip"] = "sign-flip"
    """What they send. nan: NaN; noise: normal with standard deviation `poison_scale`; sign-flip: minus `poison_scale`
    times their update."""
    poison_scale: float = 10.0

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if self.rule not in get_args(Rule):
            raise ConfigurationError(f"robust rule is {self.rule!r}; legal are {', '.join(get_args(Rule))}")
        for name in ("byzantine", "poisoned"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"robust {name} is {getattr(self, name)}; it must be 0 or more")
        if self.norm_bound is not None and not 0.0 < self.norm_bound < math.inf:
            raise ConfigurationError(f"robust norm_bound is {self.norm_bound}; it must be above 0, or None")
        if not 0.0 < self.poison_scale < math.inf:
            raise ConfigurationError(f"robust poison_scale is {self.poison_scale}; it must be above 0 and finite")

    def check(self, devices: int) -> None:
        """Refuse what so many devices in a round cannot do. Raises ConfigurationError."""
        if self.poisoned > devices:
            raise ConfigurationError(
                f"robust poisoned is {self.poisoned} of {devices} devices; legal are 0 to {devices}"
            )
        if self.rule == "krum" and devices < 2 * self.byzantine + 3:
            raise ConfigurationError(
                f"robust byzantine is {self.byzantine} with krum and {devices} devices in a round: it needs "
                f"2 byzantine + 3 of them; legal are byzantine 0 to {max((devices - 3) // 2, 0)} and at least 3 devices"
            )
