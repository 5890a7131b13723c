# SPDX-License-Identifier: GPL-2.0-only
"""What each figure must show, as numbers: each case says what it found and whether it is right."""

import dataclasses
from typing import Any

import numpy as np

Frame = Any  # a pandas table with several levels, which its type stubs do not follow


@dataclasses.dataclass(frozen=True)
class Check:
    """One statement about a run and whether it holds."""

    case: str
    what: str
    found: str
    holds: bool | None
    """None: the run is too small to tell."""

    @property
    def verdict(self) -> str:
        """Return ``yes``, ``NO`` or ``undecided``."""
        return "undecided" if self.holds is None else "yes" if self.holds else "NO"


def jain(values: np.ndarray) -> float:
    """Jain's index of fairness, 1/n to 1: (sum x)^2 / (n sum x^2). 1 for all zeros: nobody is better off."""
    squares = float(np.square(values).sum())
    return float(values.sum()) ** 2 / (len(values) * squares) if squares > 0 else 1.0
