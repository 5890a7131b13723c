# SPDX-License-Identifier: GPL-2.0-only
"""Claims of a study: said before it is run, and judged by differences that are paired by seed, with 95 % intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.runs.statistics import Difference, paired_difference, with_interval

HOLDS, DOES_NOT_HOLD, UNDECIDED = "holds", "does not hold", "undecided"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim, what was measured, and whether it holds."""

    text: str
    measured: str
    verdict: str
    """``holds``, ``does not hold`` or ``undecided``."""


def verdict(difference: Difference, *, more: bool) -> str:
    """Judge the claim that a difference is above zero (`more`), or below it: the rule of all studies.

    It is undecided with fewer than two pairs, and if the 95 % interval contains zero. What is the same in all of two or
    more pairs is neither more nor less: the claim does not hold.
    """
    if difference.pairs < 2:
        return UNDECIDED
    above, below = (HOLDS, DOES_NOT_HOLD) if more else (DOES_NOT_HOLD, HOLDS)
    return {"the same": DOES_NOT_HOLD}.get(word := difference.verdict(above, below), word)


def less(text: str, ours: pd.Series, other: pd.Series, *, scale: float = 1.0, unit: str = "") -> Claim:
    """Claim that numbers are less than others; both have seeds as index. scale: to `unit`, from what the numbers are.

    What was measured is ours minus the other.
    """
    return _judged(text, paired_difference(ours, other), scale, unit, more=False)


def more(text: str, ours: pd.Series, other: pd.Series, *, scale: float = 1.0, unit: str = "") -> Claim:
    """Claim that numbers are more than others; as `less`."""
    return _judged(text, paired_difference(ours, other), scale, unit, more=True)


def _judged(text: str, difference: Difference, scale: float, unit: str, *, more: bool) -> Claim:
    said = with_interval(scale * difference.mean, abs(scale) * difference.interval, sign="+")
    return Claim(text, f"{said} {unit}".strip(), verdict(difference, more=more))


def every(text: str, right: int, count: int, what: str) -> Claim:
    """Claim that something is so in each of `count` cases: one that is not refutes it, and none leaves it open."""
    word = UNDECIDED if count == 0 else HOLDS if right == count else DOES_NOT_HOLD
    return Claim(text, f"{right} of {count} {what}", word)


def table(claims: Sequence[Claim], title: str = "Claims") -> TextTable:
    """Return claims as a table for a console."""
    found = TextTable(
        title, "claim", "measured", "verdict", left=3,
        caption="differences are paired by seed, with 95 % intervals; undecided with fewer than two seeds",
    )  # fmt: skip
    for claim in claims:
        found.add_row(claim.text, claim.measured, claim.verdict)
    return found


def csv(claims: Sequence[Claim]) -> bytes:
    """Return claims as a CSV file."""
    rows = [dataclasses.asdict(claim) for claim in claims]
    columns = [field.name for field in dataclasses.fields(Claim)]
    return pd.DataFrame(rows, columns=columns).to_csv(index=False).encode()
