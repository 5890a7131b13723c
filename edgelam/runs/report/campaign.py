# SPDX-License-Identifier: GPL-2.0-only
"""The report of a campaign, or of any folder of runs: what came out of each, and means over seeds in the chart."""

from __future__ import annotations

from typing import Any

import pandas as pd

from edgelam.runs.many import Runs
from edgelam.runs.report.charts import plain_table
from edgelam.runs.settings import plain_text
from edgelam.runs.storage import StorageError

MOST_ROWS = 2000  # of the table of results


def campaign_page(found: Runs) -> dict[str, Any]:
    """The data of the page. Raises StorageError where a run folder cannot be read."""
    if not found.paths:
        raise StorageError(f"{found.path} has no finished run yet; the same edgelam campaign command goes on with it")
    runs, results = found.runs, found.frame
    varying = found.varying()
    charts: dict[str, pd.DataFrame] = {}
    for metric in found.metrics:
        means = found.compare(metric)
        numeric = [name for name in varying if pd.api.types.is_numeric_dtype(means[name])]
        kept = [name for name in means if name not in ("difference", "difference_interval")]
        charts[f"{metric}, means over seeds"] = means[kept].sort_values(numeric) if numeric else means[kept]
    charts["results"] = results.drop(columns="run")
    shown = results.head(MOST_ROWS)
    states = runs["state"].value_counts().to_dict()
    wall_s = float(runs["wall_s"].sum())
    left_out = f"; the first {MOST_ROWS} of {len(results)} results are listed" if len(results) > MOST_ROWS else ""
    return {
        "title": f"{', '.join(map(str, runs['experiment'].unique()))}, {len(runs)} runs",
        "state": ", ".join(f"{count} {state}" for state, count in states.items()) + left_out,
        "simulated": [],
        "wall": [["first run began", str(runs["started"].min())], ["all runs together", f"{wall_s:.0f} s"]],
        "simulations": [],
        "runs": {
            "heads": [str(name) for name in shown.columns],
            "rows": [[plain_text(value) for value in row] for row in shown.astype(object).values.tolist()],
        },
        "differences": None,
        "tables": {name: plain_table(rows) for name, rows in charts.items() if len(rows)},
        "text": "",
        "figures": [],
        "configuration": None,
    }
