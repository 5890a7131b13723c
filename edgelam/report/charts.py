# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a run that the page draws as lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from edgelam.runs import ledger
from edgelam.runs.folders.load import Run
from edgelam.runs.scores import Score

MAX_ROWS = 4000  # of a table
NOT_DRAWN = {"simulations", "nodes", "transfers", "compute", "positions", "handovers", "program"}


def chart_tables(run: Run) -> dict[str, pd.DataFrame]:
    """Return table name -> rows, without tables shown elsewhere, tables for replay, and traces of the network."""
    names = [name for name in run if name not in NOT_DRAWN and not name.startswith("trace_")]
    names = [name for name in names if name != ledger.TABLE or not ledger.is_ledger(run[name].columns)]
    return {name: run[name] for name in names if len(run[name])}


def drawn(scores: Iterable[Score]) -> list[dict[str, Any]]:
    """Return what the chart needs to know about scores: where each is, what its axis says, what is drawn first."""
    return [
        {"table": score.table, "column": score.place, "title": score.title, "across": score.across}
        | {"where": {name: str(value) for name, value in score.where.items()}}
        for score in scores
    ]


def plain_table(rows: pd.DataFrame) -> dict[str, Any]:
    """Return columns as lists, with seven digits per number; of more than MAX_ROWS rows, every n-th. `of`: all rows."""
    of = len(rows)
    shown = rows.iloc[:: -(-of // MAX_ROWS)] if of > MAX_ROWS else rows
    columns = {str(name): [_plain(value) for value in shown[name].tolist()] for name in shown.columns}
    return {"rows": len(shown), "of": of, "columns": columns}


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if value is pd.NA:
        return None
    if isinstance(value, float):
        return None if pd.isna(value) else float(f"{value:.7g}")
    return value if value is None or isinstance(value, int | str) else str(value)
