# SPDX-License-Identifier: GPL-2.0-only
"""Scores as cells of a table; the best of those that can be compared has a mark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgelam.runs import results
from edgelam.runs.folders.load import Run
from edgelam.runs.scores import BEST, Score
from edgelam.text import si_bytes

UNSET = "-"
NOTE = "* the best of the rows that differ only in the first label or in the run"

Labels = Mapping[str, str]


def score_cells(
    scores: Sequence[Score], rows: Sequence[tuple[Labels, Mapping[str, float]]]
) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells of some rows (labels, values by score); the cell of a missing value is UNSET.

    Only rows that have the same labels, except the first, can be compared: the methods of one test set.
    """
    conditions = [tuple(labels.items())[1:] for labels, _ in rows]
    cells: list[list[str]] = [[] for _ in rows]
    for score in scores:
        values = [of.get(score.name, math.nan) for _, of in rows]
        for cell, value, best in zip(cells, values, score.best(values, conditions), strict=True):
            cell.append(UNSET if math.isnan(value) else f"{_text(value, score)}{BEST if best else ''}")
    return [score.title for score in scores], cells


def _text(value: float, score: Score) -> str:
    return si_bytes(value) if score.unit == "B" else f"{value:.4g}"


def score_table(run: Run) -> dict[str, Any] | None:
    """Return heads and rows of the scores of one run, and how many heads are labels; None if it has no values."""
    scores = results.of_run(run)
    table = results.values(run, scores)
    labels = results.labels(table, scores)
    rows = [
        ({name: record[name] for name in labels}, results.known(record, scores)) for record in table.to_dict("records")
    ]
    shown = [score for score in scores if any(score.name in values for _, values in rows)]
    heads, cells = score_cells(shown, rows)
    if not cells:
        return None
    return {
        "heads": [*labels, *heads],
        "labels": len(labels),
        "rows": [[*(of[name] or UNSET for name in labels), *each] for (of, _), each in zip(rows, cells, strict=True)],
        "note": NOTE if any(cell.endswith(BEST) for each in cells for cell in each) else "",
    }
