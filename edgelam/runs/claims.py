# SPDX-License-Identifier: GPL-2.0-only
"""A claim about results, with what was measured and what follows."""

import dataclasses
from collections.abc import Sequence

import pandas as pd


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim, what was measured, and whether it holds."""

    text: str
    measured: str
    verdict: str
    """``holds``, ``does not hold`` or ``undecided``."""


def csv(claims: Sequence[Claim]) -> bytes:
    """Return claims as a CSV file."""
    return pd.DataFrame([dataclasses.asdict(claim) for claim in claims]).to_csv(index=False).encode()
