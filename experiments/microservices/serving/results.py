# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, every, less, more
from edgelam.runs.scores import Score
from edgelam.runs.statistics import Difference, half_interval, paired_difference

_OVER = ("seed",)
SCORES = (
    Score("on_time_ratio", better="higher", group=("method",), over=_OVER),
    Score("e2e_p95_s", "s", "lower", group=("method",), over=_OVER),
    Score("memory_bytes", "B", "lower", group=("method",), over=_OVER),
)
PARTS = ("decision", "uplink", "backhaul", "downlink", "load", "queue", "compute", "retry")
FIRST = "shared-exact"
CLAIMS = (
    ("monolithic", "memory_bytes", 1, "shared services take less memory than monoliths", 1e-9, "GB"),
    ("monolithic", "e2e_p95_s", 1, "shared services have a smaller E2E p95 than monoliths", 1e3, "ms"),
    ("monolithic", "on_time_ratio", -1, "shared services answer more requests in time than monoliths", 100, "%"),
    ("cloud-only", "e2e_p95_s", 1, "shared services have a smaller E2E p95 than the cloud", 1e3, "ms"),
    ("cloud-only", "on_time_ratio", -1, "shared services answer more requests in time than the cloud", 100, "%"),
    ("cloud-only", "wan_bytes", 1, "shared services send less over the WAN than the cloud", 1e-3, "kB"),
    ("cloud-only", "raw_wan_bytes", 1, "less raw data leaves the site than with the cloud", 1e-3, "kB"),
    ("shared-greedy", "e2e_p95_s", 1, "the exact plan has a smaller E2E p95 than the greedy one", 1e3, "ms"),
)  # fmt: skip
"""(method, number, sign, claim, scale, unit): sign * number is less for `FIRST` than for the method."""


def metrics(run: Run) -> pd.DataFrame:
    """Table metrics; no rows if there is none."""
    return run.metrics if "metrics" in run else pd.DataFrame(columns=["method", "seed"])


def by_method(run: Run) -> pd.DataFrame:
    """Means of all numbers over seeds, by method."""
    rows = metrics(run)
    numbers = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name]) and name != "seed"]
    return rows.groupby("method", sort=False)[numbers].mean() if len(rows) else pd.DataFrame()


def parts(run: Run) -> pd.DataFrame:
    """Mean seconds of a completed request by `PARTS`, by method: they add up to its mean end-to-end latency."""
    if "requests" not in run or run["requests"].empty:
        return pd.DataFrame(columns=list(PARTS))
    done = run["requests"][run["requests"]["status"] == "complete"]
    table = done.groupby("method", sort=False)[[f"{part}_s" for part in PARTS]].mean()
    return table.set_axis(list(PARTS), axis=1)


def compared(run: Run, column: str) -> pd.DataFrame:
    """A number of each method minus that of shared-exact at the same seed; one row a method.

    Columns: mean, interval (half of the 95 % one), difference, difference_interval, pairs.
    """
    rows = metrics(run)
    found = []
    for method, mine in rows.groupby("method", sort=False):
        values = mine.set_index("seed")[column]
        difference = paired_difference(values, rows[rows["method"] == FIRST].set_index("seed")[column])
        found.append(
            {
                "method": method, "mean": values.mean(), "interval": half_interval(values),
                "difference": difference.mean, "difference_interval": difference.interval, "pairs": difference.pairs,
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def verdict(row: Mapping[Any, Any]) -> str:
    """Whether a method's number differs from that of shared-exact: ``more``, ``less``, ``the same``, ``undecided``."""
    return Difference(row["difference"], row["difference_interval"], row["pairs"]).verdict("more", "less")


def same_answers(run: Run) -> tuple[int, int]:
    """Return how many requests have the same answer under all methods of a seed, and how many were answered."""
    if "requests" not in run or run["requests"].empty:
        return 0, 0
    done = run["requests"][run["requests"]["status"] == "complete"]
    answers = done.groupby(["seed", "request"])["answer"].nunique()
    return int((answers == 1).sum()), len(answers)


def claims(run: Run) -> list[Claim]:
    """What is claimed of shared services, and what became of it; nothing of methods that are not in the run."""
    rows = metrics(run)
    found = []
    by = {str(name): part.set_index("seed") for name, part in rows.groupby("method", sort=False)}
    if FIRST in by:
        for other, column, sign, text, scale, unit in CLAIMS:
            if other in by:
                judge = less if sign > 0 else more
                found.append(judge(text, by[FIRST][column], by[other][column], scale=scale, unit=unit))
    same, count = same_answers(run)
    if len(by) > 1 and count:
        found.append(every("methods give the same answers", same, count, "requests"))
    return found


def refused(run: Run) -> pd.DataFrame:
    """Methods that found no plan."""
    return run["refused"] if "refused" in run else pd.DataFrame(columns=["method", "seed", "reason"])


def hosts(run: Run) -> pd.DataFrame:
    """Mean busy share and weight bytes by (method, node)."""
    if "hosts" not in run:
        return pd.DataFrame(columns=["busy_share", "weight_bytes"])
    return run["hosts"].groupby(["method", "node"], sort=False)[["busy_share", "weight_bytes"]].mean()
