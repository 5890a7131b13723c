# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study of allocation; importing this imports no torch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from edgelam.errors import ConfigurationError
from edgelam.federated.allocation.settings import Rule

if TYPE_CHECKING:
    from ..config import Config

Studied = Literal[
    "drift-plus-penalty", "free-decision", "soft-cap", "equal-split", "all-devices", "random-k", "channel-greedy",
    "top-data", "proportional-fair",
]  # fmt: skip
ALL_RULES: tuple[Studied, ...] = (
    "drift-plus-penalty", "free-decision", "soft-cap", "equal-split", "all-devices", "random-k", "channel-greedy",
    "top-data", "proportional-fair",
)  # fmt: skip
FEW_RULES: tuple[Studied, ...] = ("drift-plus-penalty", "soft-cap", "random-k", "proportional-fair")
OURS: Studied = "drift-plus-penalty"
FREE: Studied = "free-decision"
SOFT: Studied = "soft-cap"


@dataclasses.dataclass(frozen=True)
class AllocationStudy:
    """Which rules are compared, with how many seeds, and what is repeated on recorded rounds."""

    rules: tuple[Studied, ...] = ()
    """The rules that are compared, with the budgets and other settings of --allocation; free-decision is
    drift-plus-penalty whose reports and decisions take no time, soft-cap the same with shares that are no caps. Empty:
    no study."""
    num_seeds: int = 1
    """Every rule runs with so many seeds, from `seed` on."""
    repeat_v: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    """Values of V with which drift plus penalty is repeated on the rounds that were recorded over the network."""
    repeat_rounds: int = 500
    """How many rounds are drawn from the recorded ones for each V, at least 4."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name in ("rules", "repeat_v"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ConfigurationError(f"{name} are {given}; each may be given once")
        if self.num_seeds < 1:
            raise ConfigurationError(f"num_seeds is {self.num_seeds}; it must be at least 1")
        if self.repeat_rounds < 4:
            raise ConfigurationError(f"repeat_rounds is {self.repeat_rounds}; it must be at least 4")
        if any(not 0.0 < v < float("inf") for v in self.repeat_v):
            raise ConfigurationError(f"repeat_v are {self.repeat_v}; each must be above 0 and finite")

    def under(self, config: Config, rule: Studied) -> Config:
        """Return the configuration of a run under a rule, without a study. Raises ConfigurationError."""
        chosen: Rule = "drift-plus-penalty" if rule in (FREE, SOFT) else rule  # type: ignore[assignment]
        settings = dataclasses.replace(config.learning.allocation, rule=chosen, charge=rule != FREE, cap=rule != SOFT)
        learning = dataclasses.replace(config.learning, allocation=settings)
        return dataclasses.replace(config, learning=learning, allocations=AllocationStudy())
