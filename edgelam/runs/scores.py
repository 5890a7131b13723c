# SPDX-License-Identifier: GPL-2.0-only
"""The scores of an experiment: what it measures, and what reports, comparisons and campaigns show.

An experiment declares them as ``SCORES = (Score("latency", "ms", better="lower"), ...)``; the first is the main one.
The manifest of each run keeps them, so that a run can be shown without its experiment. Their values are computed from
the tables of the run folder (edgelam.runs.results), also for a run that goes on or was killed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec

from edgelam.errors import ConfigurationError, EdgelamError

MANIFEST = "scores"  # its key
Better = Literal["higher", "lower"]
_TAKES = ("last", "mean", "median", "min", "max", "sum")
BEST = " *"
"""Written after the best of several values."""
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True)
class Score:
    """One number that says how good a method is, and its place in the tables of a run."""

    name: str
    """The name: ``latency``; a column of a campaign's results."""
    unit: str = ""
    """The unit, as tables and axes show it: ``ms``, ``Mb/s``; empty for a plain number."""
    better: Better | None = None
    """The better direction; None if there is none."""
    table: str = "metrics"
    """The table of the run folder."""
    column: str = ""
    """The column of this table; empty: the same as `name`."""
    take: str = "last"
    """Which of the values count: the last one, their mean, median, min, max, sum, or a percentile: ``p95``."""
    where: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """The rows from which it is taken, {column: value}; empty: all rows."""
    group: tuple[str, ...] | None = None
    """The columns that name a value (method, test set); each of their combinations has one value. None: the text
    columns that are not in `where` or `over`."""
    over: tuple[str, ...] = ()
    """Columns over which the values of a group are averaged; each combination (a device, a seed) has one value."""
    across: str = ""
    """The column on the horizontal axis of its chart; empty: simulated time, or a counter of rounds, steps, ..."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        if not self.name:
            raise ConfigurationError("a Score has no name")
        if self.better not in (*get_args(Better), None):
            raise ConfigurationError(f"score {self.name}: better is {self.better!r}; legal: 'higher', 'lower', None")
        if self.take not in _TAKES and not PERCENTILE.fullmatch(self.take):
            raise ConfigurationError(f"score {self.name}: take is {self.take!r}; legal: {', '.join(_TAKES)}, p95")

    @property
    def place(self) -> str:
        """The column in `table`."""
        return self.column or self.name

    @property
    def title(self) -> str:
        """The text for headings and axes: ``latency (ms, lower is better)``."""
        said = [*filter(None, [self.unit]), *([f"{self.better} is better"] if self.better else [])]
        return f"{self.name} ({', '.join(said)})" if said else self.name

    def best(self, values: Sequence[float], conditions: Sequence[Hashable]) -> list[bool]:
        """Return for each value whether it is the best under its condition; NaN is never the best.

        No value is the best if no direction is better, or if all values are equal.
        """
        found = [False] * len(values)
        for condition in dict.fromkeys(conditions):
            places = [i for i, value in enumerate(values) if conditions[i] == condition and not math.isnan(value)]
            if self.better is not None and len({values[i] for i in places}) > 1:
                best = (max if self.better == "higher" else min)(values[i] for i in places)
                for i in places:
                    found[i] = values[i] == best
        return found

    def verdict(self, difference: float) -> str:
        """Return the verdict on a difference: ``better``, ``worse`` or ``no difference``; empty if no way is better."""
        if difference == 0:
            return "no difference"
        if self.better is None or math.isnan(difference):
            return ""
        return "better" if (difference > 0) == (self.better == "higher") else "worse"

    def plain(self) -> dict[str, Any]:
        """Return the score as the manifest keeps it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def check(scores: Any, experiment: str) -> tuple[Score, ...]:
    """Return `scores` as a tuple. Raises EdgelamError if an experiment may not declare them."""
    if not isinstance(scores, tuple | list) or not all(isinstance(score, Score) for score in scores):
        raise EdgelamError(f"the SCORES of experiment {experiment} are {scores!r}; they must be a tuple of Score")
    names = [score.name for score in scores]
    if twice := {name for name in names if names.count(name) > 1}:
        raise EdgelamError(f"the SCORES of experiment {experiment} have {', '.join(sorted(twice))} twice")
    return tuple(scores)


def merged(declared: Iterable[Sequence[Score]]) -> tuple[Score, ...]:
    """Return the scores of several runs, each name once, in the order in which they come."""
    found: dict[str, Score] = {}
    for scores in declared:
        for score in scores:
            found.setdefault(score.name, score)
    return tuple(found.values())
