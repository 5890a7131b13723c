# SPDX-License-Identifier: GPL-2.0-only
"""The results of a run: the values of its scores (edgelam.runs.scores), from the files of its folder alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.runs import experiments
from edgelam.runs.scores import MANIFEST, PERCENTILE, Score
from edgelam.text import suggest

if TYPE_CHECKING:
    from edgelam.runs.folders.load import Run

# columns of table metrics that say when, not how good
COUNTERS = ["round", "epoch", "step", "iteration", "batch", "time_s"]


def of_run(run: Run) -> tuple[Score, ...]:
    """Return the scores of a run from its manifest, or, for an older run, from its experiment or table metrics."""
    kept = run.manifest.get(MANIFEST)
    if kept is not None:
        try:
            return tuple(msgspec.convert(kept, list[Score]))
        except (msgspec.ValidationError, ConfigurationError) as error:
            raise EdgelamError(f"the manifest of {run.path} has scores that edgelam did not write: {error}") from error
    try:
        declared = experiments.find(run.manifest["experiment"]).declared
    except EdgelamError:  # not installed here
        declared = None
    return _guessed(run) if declared is None else declared


def results_of(run: Run) -> pd.DataFrame:
    """Return what a campaign compares: text columns label a row, number columns are metrics, the main one first.

    They come from the function `scores` of the experiment; without one, they are the values of its scores or, if none
    is declared, the last rows of table metrics.
    """
    try:
        experiment = experiments.find(run.manifest["experiment"])
    except EdgelamError:  # not installed here
        experiment = None
    if experiment is not None and (found := experiment.scores(run)) is not None:
        return found
    if MANIFEST in run.manifest or (experiment is not None and experiment.declared is not None):
        return values(run, of_run(run))
    return last_metrics(run)


def values(run: Run, scores: Iterable[Score]) -> pd.DataFrame:
    """Return the results of a run: text columns (`labels`) that name each row, then a column of numbers for each score.

    There is a row for each combination of labels, in the order of the tables; NaN if a score has no value. There are no
    rows if the run has none of the tables. Raises EdgelamError if a table lacks a column.
    """
    scores = list(scores)
    found: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for score in scores:
        for label, value in _values_of(run, score):
            found.setdefault(label, {})[score.name] = value
    labels = list(dict.fromkeys(name for label in found for name, _ in label))
    rows = [{**dict.fromkeys(labels, ""), **dict(label), **result} for label, result in found.items()]
    table = pd.DataFrame(rows, columns=[*labels, *(score.name for score in scores)])
    return table.astype({score.name: float for score in scores} | dict.fromkeys(labels, str))


def labels(table: pd.DataFrame, scores: Iterable[Score]) -> list[str]:
    """Return the columns of `values` that label a row."""
    names = {score.name for score in scores}
    return [str(name) for name in table if name not in names]


def known(row: Mapping[Any, Any], scores: Iterable[Score]) -> dict[str, float]:
    """Return the scores for which a row of `values` has a value."""
    return {score.name: row[score.name] for score in scores if not pd.isna(row[score.name])}


def _values_of(run: Run, score: Score) -> Iterable[tuple[tuple[tuple[str, str], ...], float]]:
    if score.table not in run or not len(run[score.table]):
        return
    rows = run[score.table]
    for name in (score.place, *score.where, *(score.group or ()), *score.over):
        if name not in rows:
            raise EdgelamError(
                f"score {score.name}: table {score.table!r} of {run.path} has no column {name!r}; "
                f"{suggest(name, map(str, rows))}"
            )
    for name, value in score.where.items():
        rows = rows[(rows[name] == value).fillna(False).astype(bool)]
    rows = rows[rows[score.place].notna()]
    if not pd.api.types.is_numeric_dtype(rows[score.place]):
        raise EdgelamError(f"score {score.name}: column {score.place!r} of table {score.table!r} holds no numbers")
    if rows.empty:
        return
    group = list(_texts(rows, score) if score.group is None else score.group)
    each = [*group, *score.over]
    taken = _taken(rows, each, score)
    for column in reversed(score.over):
        each.remove(column)
        taken = _by(taken, each, score).mean().reset_index() if each else taken[[score.place]].mean().to_frame().T
    for row in taken[[*group, score.place]].itertuples(index=False, name=None):
        yield tuple((name, _text(value)) for name, value in zip(group, row[:-1], strict=True)), float(row[-1])


def _taken(rows: pd.DataFrame, each: list[str], score: Score) -> pd.DataFrame:
    """Take one value for each combination of the columns `each`."""
    rows = rows[[*each, score.place]].astype({score.place: float})
    if not each:
        values = rows[score.place]
        return pd.DataFrame({score.place: [values.iloc[-1] if score.take == "last" else _of(values, score.take)]})
    return _of(_by(rows, each, score), score.take).reset_index()


def _by(rows: pd.DataFrame, each: list[str], score: Score) -> Any:
    return rows.groupby(each, sort=False, dropna=False)[score.place]


def _of(values: Any, take: str) -> Any:
    found = PERCENTILE.fullmatch(take)
    return values.quantile(float(found[1]) / 100) if found else getattr(values, take)()


def _texts(rows: pd.DataFrame, score: Score) -> list[str]:
    known = (*score.where, *score.over, score.place)
    return [str(name) for name in rows if name not in known and not pd.api.types.is_numeric_dtype(rows[name])]


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _guessed(run: Run) -> tuple[Score, ...]:
    """Scores if none are declared: the number columns of table metrics, by the labels of the run's simulations."""
    if "metrics" not in run or run["metrics"].empty:
        return ()
    labels = run["simulations"].columns if "simulations" in run else ()
    group = tuple(
        str(name) for name in run["metrics"] if name in labels and name not in ("scenario", "options", "seed")
    )
    return tuple(Score(name, group=group or None) for name in _numbers(run["metrics"]) if name not in group)


def _numbers(metrics: pd.DataFrame) -> list[str]:
    """Return the number columns, measured ones (floating point) first, without counters if there is any other."""
    numbers = [str(name) for name in metrics if pd.api.types.is_numeric_dtype(metrics[name])]
    found = [name for name in numbers if name not in COUNTERS] or numbers
    return sorted(found, key=lambda name: not pd.api.types.is_float_dtype(metrics[name]))  # a stable order


def last_metrics(run: Run) -> pd.DataFrame:
    """Return the last row of table metrics for each combination of its text columns; no row without that table.

    Columns: texts, measured numbers (floating point), counts. COUNTERS are left out if there is another column.
    """
    if "metrics" not in run or run["metrics"].empty:
        return pd.DataFrame()
    metrics = run["metrics"]
    texts = [name for name in metrics if not pd.api.types.is_numeric_dtype(metrics[name])]
    last = metrics.groupby(texts, sort=False, dropna=False).tail(1) if texts else metrics.tail(1)
    return last[[*texts, *_numbers(metrics)]]
