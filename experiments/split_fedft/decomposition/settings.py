# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study of decomposition; importing this imports no torch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from ..config import Config

ADAPTIVE = "adaptive-"
FIXED = "blocks-"
SMALL: dict[str, dict[str, object]] = {
    "int8": {"activations": ("int8",)}, "int4": {"activations": ("int4",)},
    "int8-top-k": {"activations": ("int8",), "jacobian_share": 0.25},
    "half-tokens": {"blocks": (2,), "token_share": 0.5},
}  # fmt: skip
OBJECTIVES = ("time", "energy", "bytes", "arithmetic", "accuracy", "privacy")


@dataclasses.dataclass(frozen=True)
class DecompositionStudy:
    """Which ways to cut the model are compared, with how many seeds."""

    ways: tuple[str, ...] = ()
    """blocks-N: every device runs N blocks. adaptive-OBJECTIVE: chosen for each device among all cuts. int8, int4,
    int8-top-k: as --decomposition says, with such activations (and a quarter of each Jacobian); half-tokens: two
    blocks, behind which half of the tokens go on. Empty: no study."""
    num_seeds: int = 1
    """Every way runs with so many seeds, from `seed` on."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if len(set(self.ways)) < len(self.ways):
            raise ConfigurationError(f"ways are {self.ways}; each may be given once")
        for way in self.ways:
            number, objective = way.removeprefix(FIXED), way.removeprefix(ADAPTIVE)
            if way not in SMALL and not (way.startswith(FIXED) and number.isdecimal()) and not (
                way.startswith(ADAPTIVE) and objective in OBJECTIVES
            ):  # fmt: skip
                raise ConfigurationError(
                    f"way {way!r} is not known; legal are {FIXED}0, {FIXED}1, ..., {', '.join(SMALL)}, and {ADAPTIVE} "
                    f"with one of {', '.join(OBJECTIVES)}"
                )
        if self.num_seeds < 1:
            raise ConfigurationError(f"num_seeds is {self.num_seeds}; it must be at least 1")

    def under(self, config: Config, way: str) -> Config:
        """Return the configuration of a run with one way, without a study. Raises ConfigurationError."""
        own = config.learning.decomposition
        if way.startswith(FIXED):
            own = dataclasses.replace(own, rule="fixed", blocks=(int(way.removeprefix(FIXED)),))
        elif way.startswith(ADAPTIVE):
            objective = way.removeprefix(ADAPTIVE)
            own = dataclasses.replace(own, rule="adaptive", all_blocks=True, objective=objective)  # type: ignore[arg-type]
        else:
            own = dataclasses.replace(own, rule="fixed", **SMALL[way])  # type: ignore[arg-type]
        learning = dataclasses.replace(config.learning, decomposition=own)
        return dataclasses.replace(config, learning=learning, decompositions=DecompositionStudy())
