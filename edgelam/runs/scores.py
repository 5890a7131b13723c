# SPDX-License-Identifier: GPL-2.0-only
"""What an experiment measures: its scores, which reports, comparisons and campaigns show, whatever they are.

An experiment declares them as ``SCORES = (Score("latency", "ms", better="lower"), ...)``; the first is the main one.
They are kept in the manifest of each run, so that a run is shown without its experiment. Their values are worked out
from the tables of the run folder (edgelam.runs.results), also of a run that goes on or was killed.
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
"""Behind the best of several values."""
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True)
class Score:
    """One number that says how good a method is, and where it stands in the tables of a run."""

    name: str
    """What it is called: ``latency``; a column of a campaign's results."""
    unit: str = ""
    """Of its values, as tables and axes show it: ``ms``, ``Mb/s``; empty for a plain number."""
    better: Better | None = None
    """Which way is better; None where neither is."""
    table: str = "metrics"
    """The table of the run folder."""
    column: str = ""
    """Its column there; empty: as `name`."""
    take: str = "last"
    """Which of its values count: the last there is, their mean, median, min, max, sum, or a percentile: ``p95``."""
    where: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Of which rows: {column: value}; all unless given."""
    group: tuple[str, ...] | None = None
    """The columns that say what a value is of (a method, a test set), one value for each combination of theirs. None:
    the columns of text, without those in `where` and `over`."""
    over: tuple[str, ...] = ()
    """Columns over which the values of a group are averaged: each combination (a device, a seed) has one by itself."""
    across: str = ""
    """The column that its chart has across; empty: simulated time, or a counter of rounds, steps, ..."""

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
        """Its column in `table`."""
        return self.column or self.name

    @property
    def title(self) -> str:
        """For heads and axes: ``latency (ms, lower is better)``."""
        said = [*filter(None, [self.unit]), *([f"{self.better} is better"] if self.better else [])]
        return f"{self.name} ({', '.join(said)})" if said else self.name

    def best(self, values: Sequence[float], conditions: Sequence[Hashable]) -> list[bool]:
        """Of each value whether it is the best of those under the same condition; NaN is none.

        Nothing is best where no way is better, or where all values are the same.
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
        """What a difference is: ``better``, ``worse`` or ``no difference``; empty where no way is better."""
        if difference == 0:
            return "no difference"
        if self.better is None or math.isnan(difference):
            return ""
        return "better" if (difference > 0) == (self.better == "higher") else "worse"

    def plain(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def check(scores: Any, experiment: str) -> tuple[Score, ...]:
    """`scores` as a tuple, if they are what an experiment may declare. Raises EdgelamError."""
    if not isinstance(scores, tuple | list) or not all(isinstance(score, Score) for score in scores):
        raise EdgelamError(f"the SCORES of experiment {experiment} are {scores!r}; they must be a tuple of Score")
    names = [score.name for score in scores]
    if twice := {name for name in names if names.count(name) > 1}:
        raise EdgelamError(f"the SCORES of experiment {experiment} have {', '.join(sorted(twice))} twice")
    return tuple(scores)


def merged(declared: Iterable[Sequence[Score]]) -> tuple[Score, ...]:
    """Those of several runs, each name once, in the order they come."""
    found: dict[str, Score] = {}
    for scores in declared:
        for score in scores:
            found.setdefault(score.name, score)
    return tuple(found.values())
