# SPDX-License-Identifier: GPL-2.0-only
"""The report of a campaign, or of any folder of runs: the results of each, and means over seeds in the chart."""

from __future__ import annotations

from typing import Any

import pandas as pd

from edgelam.files.storage import StorageError
from edgelam.report.charts import plain_table
from edgelam.runs.configuration.settings import plain_text
from edgelam.runs.many import Runs
from edgelam.runs.scores import Score
from edgelam.runs.statistics import remark, with_interval

MOST_ROWS = 2000  # of the table of results
NOT_DRAWN = ("count", "difference", "difference_interval", "pairs", "note")  # of the means


def campaign_page(found: Runs) -> dict[str, Any]:
    """Return the data of the page. Raises StorageError if a run folder cannot be read."""
    if not found.paths:
        raise StorageError(f"{found.folder} has no finished run yet; the same edgelam campaign command continues it")
    runs, results = found.runs, found.frame
    varying = found.varying()
    charts: dict[str, pd.DataFrame] = {}
    drawn: list[dict[str, Any]] = []
    compared = {metric: found.compare(metric) for metric in found.metrics}
    for metric, means in compared.items():
        numeric = [name for name in varying if pd.api.types.is_numeric_dtype(means[name])]
        kept = means[[*numeric, *(name for name in means if name not in (*numeric, *NOT_DRAWN))]]
        if numeric:
            kept = kept.sort_values(numeric)
        else:  # no number for the horizontal axis: side by side
            kept.insert(0, "cell", range(1, len(kept) + 1))
        table = f"{metric}, means over seeds"
        charts[table] = kept
        drawn.append({"table": table, "column": "mean", "title": found.score(metric).title, "across": "", "where": {}})
    charts["results"] = results.drop(columns="run")
    shown = results.head(MOST_ROWS)
    states = runs["state"].value_counts().to_dict()
    wall_s = float(runs["wall_s"].sum())
    if failed := sum(1 for _ in (found.folder / "failed").glob("*/")):
        states |= {f"failed (what they left is in {found.folder / 'failed'})": failed}
    left_out = f"; the first {MOST_ROWS} of {len(results)} results are listed" if len(results) > MOST_ROWS else ""
    return {
        "title": f"{', '.join(map(str, runs['experiment'].unique()))}, {len(runs)} runs",
        "state": ", ".join(f"{count} {state}" for state, count in states.items()) + left_out,
        "simulated": [],
        "wall": [["first run began", str(runs["started"].min())], ["all runs together", f"{wall_s:.0f} s"]],
        "simulations": [],
        "means": _means(found, compared, [*varying, *found.labels]),
        "runs": {
            "heads": [str(name) for name in shown.columns],
            "rows": [[_text(value) for value in row] for row in shown.astype(object).values.tolist()],
        },
        "differences": None,
        "scores": drawn,
        "tables": {name: plain_table(rows) for name, rows in charts.items() if len(rows)},
        "text": "",
        "figures": [],
        "configuration": None,
    }


def _means(found: Runs, compared: dict[str, pd.DataFrame], keys: list[str]) -> dict[str, Any] | None:
    """Return heads and rows: a row for each cell and label, a column for each metric, the first one's difference."""
    if not compared:
        return None
    main, *_ = compared
    titles = [found.score(metric).title for metric in compared]
    heads = [*keys, "runs", *titles, f"{main}: difference to the baseline"]
    rows = []
    for i, first in enumerate(compared[main].to_dict("records")):
        cells = [means.iloc[i] for means in compared.values()]
        rows.append(
            [
                *(_text(first[key]) for key in keys),
                str(first["count"]),
                *(_spread(cell["mean"], cell["interval"]) for cell in cells),
                _difference(first, found.score(main)),
            ]
        )
    return {"heads": heads, "rows": rows}


def _difference(row: dict[Any, Any], score: Score) -> str:
    said = "" if score.better is None and not row["note"] else remark(row, score)
    return ", ".join(filter(None, [_spread(row["difference"], row["difference_interval"]), said]))


def _spread(mean: float, interval: float) -> str:
    if pd.isna(mean):
        return ""
    return with_interval(mean, interval, between="\N{NO-BREAK SPACE}\N{PLUS-MINUS SIGN}\N{NO-BREAK SPACE}")


def _text(value: Any) -> str:
    if pd.isna(value):
        return plain_text(None)
    return f"{value:.6g}" if isinstance(value, float) else plain_text(value)
