# SPDX-License-Identifier: GPL-2.0-only
"""Means over seeds with 95 % intervals, and differences of runs that share their random numbers."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from edgelam.errors import ConfigurationError
from edgelam.runs.scores import Score
from edgelam.text import suggest

Key = tuple[Any, ...]


def half_interval(values: pd.Series) -> float:
    """Return half the width of the 95 % interval of the mean (Student's t); NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return math.nan
    from scipy.stats import t

    return float(t.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count))


def with_interval(mean: float, interval: float, *, sign: str = "", between: str = " +- ") -> str:
    """Return half an interval with two significant digits, and the mean rounded alike; "-" if the mean is NaN.

    Without an interval (one seed), the mean has four digits, or all before the point. sign: "+" shows it always.
    """
    if math.isnan(mean):
        return "-"
    exact = math.isnan(interval) or interval <= 1e-9 * abs(mean)  # one seed, or only rounding
    if exact:
        text = f"{mean:{sign}.0f}" if 1e4 <= abs(mean) < 1e15 else f"{mean:{sign}.4g}"
        return text if math.isnan(interval) else f"{text}{between}0"
    digits = 1 - math.floor(math.log10(interval))
    places = max(0, digits)
    return f"{round(mean, digits):{sign}.{places}f}{between}{round(interval, digits):.{places}f}"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The mean difference of two samples whose values belong together in pairs (the same seed)."""

    mean: float
    """NaN without a pair."""
    interval: float
    """Half its 95 % interval; NaN with fewer than two pairs."""
    pairs: int

    @property
    def decided(self) -> bool:
        """Whether the interval does not contain zero; without one (one pair), whether the difference is not zero."""
        return self.mean != 0.0 if math.isnan(self.interval) else abs(self.mean) > self.interval

    def verdict(self, more: str, less: str) -> str:
        """Return `more` or `less` by the sign, or ``no pair``, ``the same``, ``undecided`` (also with one pair)."""
        if not self.pairs:
            return "no pair"
        if self.mean == 0 and not self.interval > 0:
            return "the same"
        if self.pairs < 2 or not self.decided:
            return "undecided"
        return more if self.mean > 0 else less


def remark(row: Mapping[Any, Any], score: Score) -> str:
    """Return the text for a difference to the baseline, a row of `compare`: its note, or its verdict.

    It is ``no difference`` if all pairs are equal, ``undecided`` if the interval leaves the sign open, and ``better``
    or ``worse`` if the score says which way is better.
    """
    if row["note"]:
        return str(row["note"])
    remarks = [] if row["pairs"] == row["count"] else [f"{row['pairs']} of {row['count']} seeds in common"]
    difference = Difference(row["difference"], row["difference_interval"], row["pairs"])
    same = difference.mean == 0 and not difference.interval > 0
    remarks.append(score.verdict(difference.mean) if same or difference.decided else "undecided")
    return ", ".join(filter(None, remarks))


def paired_difference(values: pd.Series, baseline: pd.Series) -> Difference:
    """Return the mean of `values` minus `baseline` over the pairs in both; each is indexed by the pair (the seed)."""
    differences = (values - baseline).dropna()
    mean = float(differences.mean()) if len(differences) else math.nan
    return Difference(mean, half_interval(differences), len(differences))


def groups(frame: pd.DataFrame, columns: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Do `DataFrame.groupby` in the order of the rows, with keys as tuples, also for rows with nulls."""
    for key, rows in frame.groupby(columns, sort=False, dropna=False):
        assert isinstance(key, tuple)
        yield key, rows


def there_are(values: pd.Series) -> str:
    """Return ``there are: a, b``, for an error about a value that is not among them."""
    found = [None if pd.isna(value) else value for value in values.unique().tolist()]
    return f"there are: {', '.join(map(repr, found))}"


def compare(
    frame: pd.DataFrame, settings: list[str], labels: list[str], metric: str, baseline: Mapping[str, object] | None
) -> pd.DataFrame:
    """Return means and paired differences to a baseline, a row for each combination of settings and labels in `frame`.

    frame: columns seed, `settings`, `labels`, `metric`; baseline: {setting: value} (others keep the row's own), None
    for the values of the first row. Columns: settings, labels, count, mean, interval (half the 95 % interval of the
    mean), difference (mean of row minus baseline at the same seed), difference_interval, pairs, and note: why a row has
    no difference (``baseline``: it is its own), empty if it has one. Raises ConfigurationError for an unknown setting,
    and for a baseline that no row has.
    """
    for name in baseline or ():
        if name not in settings:
            raise ConfigurationError(f"baseline: {name!r} does not vary here; {suggest(name, settings)}")
    _refuse_absent(frame, baseline or {})
    keys = [*settings, *labels]
    cells: dict[Key, dict[Key, pd.Series]] = {}  # settings -> labels -> mean by seed
    for key, rows in groups(frame, keys) if keys else [((), frame)]:
        plain = tuple(None if pd.isna(part) else part for part in key)  # an open setting: NaN is not equal to NaN
        by_seed = rows.groupby("seed")[metric].mean().dropna()
        cells.setdefault(plain[: len(settings)], {})[plain[len(settings) :]] = by_seed
    first = next(iter(cells), ())
    chosen = dict(zip(settings, first, strict=False)) if baseline is None else dict(baseline)
    found = []
    for cell, label, mine in (
        (cell, label, mine) for cell, of_cell in cells.items() for label, mine in of_cell.items()
    ):
        place = tuple(chosen.get(name, own) for name, own in zip(settings, cell, strict=True))
        partner = None if place == cell else _partner(label, cells[cell], cells.get(place, {}))
        difference = Difference(math.nan, math.nan, 0) if partner is None else paired_difference(mine, partner)
        note = ""
        if place == cell:
            note = "baseline"
        elif place not in cells:
            note = "no run of its baseline"
        elif partner is None:
            note = "no such row in the baseline"
        elif not difference.pairs:
            note = "no seed in common with the baseline"
        found.append(
            dict(zip(keys, (*cell, *label), strict=True))
            | {"count": len(mine), "mean": mine.mean(), "interval": half_interval(mine)}
            | {"difference": difference.mean, "difference_interval": difference.interval, "pairs": difference.pairs}
            | {"note": note}
        )
    outcomes = ["count", "mean", "interval", "difference", "difference_interval", "pairs", "note"]
    table = pd.DataFrame(found, columns=[*keys, *outcomes])
    for name in keys:
        if frame[name].dtype == "Int64":  # shows 4 and nothing, not 4.0 and NaN
            whole = [None if row[name] is None else int(row[name]) for row in found]
            table[name] = pd.array(whole, dtype="Int64")
    return table


def _partner(label: Key, own: Mapping[Key, pd.Series], base: Mapping[Key, pd.Series]) -> pd.Series | None:
    """Return the values of the baseline cell with which those labelled `label` in their cell are compared, or None.

    They have the same labels, if there are such values. Otherwise, among the rows that only one of the two cells has, a
    label that is the same in each whole cell (the method, if the grid chooses it) distinguishes the cells, not their
    rows: the other labels decide.
    """
    if label in base:
        return base[label]
    left, right = own.keys() - base.keys(), base.keys() - own.keys()
    telling = [i for i in range(len(label)) if any(len({key[i] for key in rows}) > 1 for rows in (left, right))]
    same = [key for key in right if all(key[i] == label[i] for i in telling)]
    return base[same[0]] if len(same) == 1 else None


def _refuse_absent(frame: pd.DataFrame, baseline: Mapping[str, object]) -> None:
    rows = frame
    for name, value in baseline.items():
        same = frame[name].isna() if value is None else frame[name] == value
        if not same.any():
            raise ConfigurationError(f"baseline: no run has {name} = {value!r}; {there_are(frame[name])}")
        rows = rows[same.loc[rows.index]]
    if not len(rows):
        pairs = " and ".join(f"{name} = {value!r}" for name, value in baseline.items())
        raise ConfigurationError(f"baseline: no run has {pairs} together")
