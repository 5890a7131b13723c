# SPDX-License-Identifier: GPL-2.0-only
"""Means over seeds with 95 % intervals, and differences of runs that share their random numbers."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from edgelam.errors import ConfigurationError
from edgelam.runs.configuration import suggest


def half_interval(values: pd.Series) -> float:
    """Half the width of the 95 % interval of the mean (Student's t); NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return math.nan
    from scipy.stats import t

    return float(t.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count))


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
        """Whether the interval leaves zero out; what has none (one pair) counts as decided where it is not zero."""
        return self.mean != 0.0 if math.isnan(self.interval) else abs(self.mean) > self.interval


def paired_difference(values: pd.Series, baseline: pd.Series) -> Difference:
    """The mean of `values` minus `baseline` over the pairs that both have; each is indexed by the pair (the seed)."""
    differences = (values - baseline).dropna()
    mean = float(differences.mean()) if len(differences) else math.nan
    return Difference(mean, half_interval(differences), len(differences))


def groups(frame: pd.DataFrame, columns: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """`DataFrame.groupby` in the order of the rows, its keys as tuples, of rows with nulls as well."""
    for key, rows in frame.groupby(columns, sort=False, dropna=False):
        assert isinstance(key, tuple)
        yield key, rows


def there_are(values: pd.Series) -> str:
    """``there are: a, b``, for an error about a value that is not among them."""
    found = [None if pd.isna(value) else value for value in values.unique().tolist()]
    return f"there are: {', '.join(map(repr, found))}"


def compare(
    frame: pd.DataFrame, settings: list[str], labels: list[str], metric: str, baseline: Mapping[str, object] | None
) -> pd.DataFrame:
    """Means and paired differences to a baseline, one row for each combination of settings and labels in `frame`.

    frame: columns seed, `settings`, `labels`, `metric`; baseline: {setting: value} (others keep the row's own), None
    for the values of the first row. Columns: settings, labels, count, mean, interval (half the 95 % interval of the
    mean), difference (mean of row minus baseline at the same seed), difference_interval, pairs; the difference of a row
    that is its own baseline is NaN. Raises ConfigurationError for an unknown setting, and for a baseline that no row
    has.
    """
    for name in baseline or ():
        if name not in settings:
            raise ConfigurationError(f"baseline: {name!r} does not vary here; {suggest(name, settings)}")
    _refuse_absent(frame, baseline or {})
    keys = [*settings, *labels]
    cells = groups(frame, keys) if keys else [((), frame)]
    values = {
        tuple(None if pd.isna(part) else part for part in key): rows.groupby("seed")[metric].mean().dropna()
        for key, rows in cells  # None for what a setting leaves open: NaN is not equal to itself
    }
    first = next(iter(values), ())
    chosen = dict(zip(settings, first, strict=False)) if baseline is None else dict(baseline)
    rows = []
    for key, mine in values.items():
        place = tuple(chosen.get(name, own) for name, own in zip(keys, key, strict=True))
        row = dict(zip(keys, key, strict=True)) | {
            "count": len(mine),
            "mean": mine.mean(),
            "interval": half_interval(mine),
        }
        if place != key and place in values:
            found = paired_difference(mine, values[place])
            row |= {"difference": found.mean, "difference_interval": found.interval, "pairs": found.pairs}
        else:
            row |= {"difference": math.nan, "difference_interval": math.nan, "pairs": 0}
        rows.append(row)
    return pd.DataFrame(
        rows, columns=[*keys, "count", "mean", "interval", "difference", "difference_interval", "pairs"]
    )


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
