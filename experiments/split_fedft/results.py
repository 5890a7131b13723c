# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run, worked out from the tables of its folder: what `report` prints and `plot` draws."""

import pandas as pd
from pandas.core.groupby import SeriesGroupBy

from edgelam.runs import Run
from edgelam.runs.scores import Score

_TIMES = {"rounds": "end_s", "device_rounds": "end_s", "metrics": "time_s"}
_NO_PLACES = pd.MultiIndex.from_arrays([[], []], names=["method", "node"])
_OF_ALL = {"head": "average", "test_set": "global"}  # the averaged head, on everybody's data
SCORES = (
    Score("accuracy", better="higher", where=_OF_ALL),
    Score("own_heads_accuracy", better="higher", column="accuracy", where={"test_set": "local"}, over=("head",)),
    Score("loss_nats", "nat", "lower", where=_OF_ALL),
    Score("simulated_s", "s", "lower", column="time_s", where=_OF_ALL),
    Score("uplink_bytes", "B", "lower", where=_OF_ALL),
    Score("downlink_bytes", "B", "lower", where=_OF_ALL),
)
PARTS = ("compute", "uplink", "downlink", "waiting")


def accuracy_curves(run: Run) -> dict[str, pd.DataFrame]:
    """Method -> evaluations of the averaged head on the global test set, in the order they were made.

    Columns: step, time_s, accuracy, loss_nats, uplink_bytes, downlink_bytes, total_bytes. A control that has no steps
    has one row, with NaN in them.
    """
    if "metrics" not in run or run.metrics.empty:
        return {}
    chosen = run.metrics[(run.metrics["head"] == "average") & (run.metrics["test_set"] == "global")]
    chosen = chosen.assign(total_bytes=chosen["uplink_bytes"] + chosen["downlink_bytes"])
    return {str(method): rows.reset_index(drop=True) for method, rows in chosen.groupby("method", sort=False)}


def own_head_accuracy(run: Run) -> pd.Series:
    """Method -> accuracy of the devices' own heads on their local test sets at the last evaluation, mean of devices."""
    if "metrics" not in run or run.metrics.empty:
        return pd.Series(dtype=float)
    own = run.metrics[(run.metrics["head"] != "average") & (run.metrics["test_set"] == "local")]
    last = own.groupby(["method", "head"], sort=False)["accuracy"].last()
    return last.groupby("method", sort=False).mean()


def round_breakdown(run: Run) -> pd.DataFrame:
    """Return the mean seconds of a round by (method, device): columns compute_s, uplink_s, downlink_s, waiting_s."""
    columns = [f"{part}_s" for part in PARTS]
    if "device_rounds" not in run or run["device_rounds"].empty:
        return pd.DataFrame(columns=columns, index=_NO_PLACES)
    # by number, so that ue2 stands before ue10; methods stay in the order they ran
    rows = run["device_rounds"].sort_values("device", key=_padded_numbers, kind="stable")
    return rows.groupby(["method", "device"], sort=False)[columns].mean()


def _padded_numbers(names: pd.Series) -> pd.Series:
    return names.astype(str).str.replace(r"\d+", lambda found: found[0].zfill(9), regex=True)


def steps_of_a_round(run: Run) -> dict[str, int]:
    """Return method -> optimiser steps in one of its rounds, for the methods that have rounds at a server."""
    if "rounds" not in run or run["rounds"].empty:
        return {}
    return {str(method): int(rows["step"].iloc[0]) for method, rows in run["rounds"].groupby("method", sort=False)}


def time_shares(run: Run) -> pd.DataFrame:
    """Where the devices' simulated time went: method -> share of compute, uplink, downlink, waiting, adding up to 1."""
    columns = [f"{part}_s" for part in PARTS]
    if "device_rounds" not in run or run["device_rounds"].empty:
        return pd.DataFrame(columns=list(PARTS))
    sums = run["device_rounds"].groupby("method", sort=False)[columns].sum()
    return sums.div(sums.sum(axis=1), axis=0).set_axis(list(PARTS), axis=1)


def simulated_seconds(run: Run) -> pd.Series:
    """Method -> simulated time at the end of its last round, everything before the first round included."""
    ends = [_by_method(run, name, column).max() for name, column in _TIMES.items()]
    return pd.concat(ends).groupby(level=0, sort=False).max() if ends else pd.Series(dtype=float)


def seconds_before_rounds(run: Run) -> pd.Series:
    """Method -> simulated time at which its first round began: downloads of the model, uploads of data."""
    starts = [_by_method(run, name, "start_s").min() for name in ("rounds", "device_rounds")]
    return pd.concat(starts).groupby(level=0, sort=False).min()


def _by_method(run: Run, name: str, column: str) -> SeriesGroupBy:
    table = run[name] if name in run and not run[name].empty else pd.DataFrame({"method": [], column: []})
    return table.astype({column: float}).groupby("method", sort=False)[column]


def device_costs(run: Run) -> pd.DataFrame:
    """Peak memory, energy and arithmetic by (method, node); columns role, peak_memory_bytes, energy_j, flops.

    Of a method that did not come to its end the ledger has less: null.
    """
    if "devices" not in run or run["devices"].empty:
        return pd.DataFrame(columns=["role", "peak_memory_bytes", "energy_j", "flops"], index=_NO_PLACES)
    return run["devices"].set_index(["method", "node"])


def leave_out(table: pd.DataFrame, methods: set[str]) -> pd.DataFrame:
    """The rows of a table indexed by (method, ...) that are not of these methods."""
    return table[~table.index.get_level_values("method").isin(list(methods))]
