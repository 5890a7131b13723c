# SPDX-License-Identifier: GPL-2.0-only
"""Claims of a study: said before it is run, and judged by differences that are paired by seed, with 95 % intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.runs.statistics import paired_difference, with_interval


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim, what was measured, and whether it holds."""

    text: str
    measured: str
    verdict: str
    """``holds``, ``does not hold`` or ``undecided``."""


def less(text: str, ours: pd.Series, other: pd.Series, *, scale: float = 1.0, unit: str = "") -> Claim:
    """Claim that numbers are less than others; both have seeds as index. scale: to `unit`, from what the numbers are.

    A number that is always the same as the other is not less. With fewer than two seeds, the claim is undecided.
    """
    difference = paired_difference(ours, other)
    said = with_interval(scale * difference.mean, abs(scale) * difference.interval, sign="+")
    word = difference.verdict("does not hold", "holds")
    return Claim(text, f"{said} {unit}".strip(), {"the same": "does not hold", "no pair": "undecided"}.get(word, word))


def table(claims: Sequence[Claim]) -> TextTable:
    """Return claims as a table for a console."""
    found = TextTable(
        "Claims", "claim", "measured", "verdict", left=3,
        caption="differences are paired by seed, with 95 % intervals; undecided with fewer than two seeds",
    )  # fmt: skip
    for claim in claims:
        found.add_row(claim.text, claim.measured, claim.verdict)
    return found


def csv(claims: Sequence[Claim]) -> bytes:
    """Return claims as a CSV file."""
    return pd.DataFrame([dataclasses.asdict(claim) for claim in claims]).to_csv(index=False).encode()


def every(text: str, right: int, count: int, what: str) -> Claim:
    """Claim that something is so in each of `count` cases."""
    return Claim(text, f"{right} of {count} {what}", "holds" if right == count else "does not hold")
