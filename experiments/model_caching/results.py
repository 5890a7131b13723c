# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run from the tables of its folder: printed, judged and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, Score, claims, load
from edgelam.runs.claims import Claim, less, more
from edgelam.runs.statistics import half_interval, with_interval

_OVER = ("seed",)
SCORES = (
    Score("hit_ratio", "", "higher", table="requests", column="on_time", take="mean", group=("method",), over=_OVER),
    Score("e2e_s", "s", "lower", table="requests", take="p95", group=("method",), over=_OVER),
    Score("wan_bytes", "B", "lower", table="caches", take="last", group=("method",), over=_OVER),
)
LIMITS = ("radio", "backhaul", "storage")
SPEC, GEN, ALL = "trimcaching-spec", "trimcaching-gen", "everything"


def by_seed(run: Run) -> pd.DataFrame:
    """Return one row for each method and seed.

    Columns: method, seed, hit_ratio (requests delivered within their deadline by ns-3), byte_ratio (bytes found at the
    site), edge_ratio (bytes found at the site or in the middle), p95_s, wan_mb, predicted, models; and for each limit
    the share of requests that are late for it (`late_for`), NaN without the method everything.
    """
    found = []
    caches = {(row["method"], row["seed"]): row for row in run["caches"].to_dict("records")}
    for (method, seed), rows in run["requests"].groupby(["method", "seed"], sort=False):
        mine, size = caches.get((method, seed)), rows["bytes"].sum()
        if mine is None:
            continue  # the run was killed in this simulation
        found.append(
            {
                "method": method, "seed": seed, "hit_ratio": rows["on_time"].mean(),
                "byte_ratio": rows["site_bytes"].sum() / size,
                "edge_ratio": (rows["site_bytes"] + rows["middle_bytes"]).sum() / size,
                "p95_s": rows["e2e_s"].quantile(0.95), "wan_mb": mine["wan_bytes"] / 1e6,
                "predicted": mine["predicted"], "models": mine["models"],
            }
            | _late(run, rows, seed)
        )  # fmt: skip
    return pd.DataFrame(found)


def _late(run: Run, rows: pd.DataFrame, seed: object) -> dict[str, float]:
    """Return the share of a simulation's requests that are late for each limit.

    radio: late even with everything at all sites. Of the others, storage: a part came from the cloud; backhaul: all of
    it was at the edge.
    """
    every = run["requests"]
    every = every[(every["method"] == ALL) & (every["seed"] == seed)]
    whole = every.set_index("request")["on_time"].astype(bool)
    if whole.empty:
        return {f"late_{limit}": float("nan") for limit in LIMITS}
    late = ~rows["on_time"].astype(bool).to_numpy()
    could = whole.loc[rows["request"]].to_numpy()
    cloud = (rows["origin_bytes"] > 0).to_numpy()
    return {
        "late_radio": float((late & ~could).mean()), "late_backhaul": float((late & could & ~cloud).mean()),
        "late_storage": float((late & could & cloud).mean()),
    }  # fmt: skip


def methods(run: Run) -> pd.DataFrame:
    """Return one row for each method: means over seeds, with half their 95 % intervals, and what binds most."""
    found = []
    for method, rows in by_seed(run).groupby("method", sort=False):
        row: dict[str, object] = {"method": method}
        for name in ("hit_ratio", "byte_ratio", "edge_ratio", "p95_s", "wan_mb", "predicted", "models"):
            row |= {name: rows[name].mean(), f"{name}_interval": half_interval(rows[name])}
        late = {limit: rows[f"late_{limit}"].mean() for limit in LIMITS}
        row |= {f"late_{limit}": share for limit, share in late.items()}
        known = any(share > 0 for share in late.values())
        row["binding"] = max(late, key=lambda limit: late[limit]) if known else ""
        found.append(row)
    return pd.DataFrame(found)


def judged(run: Run) -> list[Claim]:
    """Return the claims about methods that were run; differences are paired by seed."""
    table = by_seed(run).pivot_table(index="seed", columns="method", values=["hit_ratio", "wan_mb"], dropna=False)
    hits, wan = table["hit_ratio"], table["wan_mb"]
    pairs = [
        (SPEC, "independent"), (GEN, "independent"), (GEN, "popularity"), (SPEC, GEN), (GEN, "lru"), ("lfu", "lru"),
        ("gdsf", "lru"),
    ]  # fmt: skip
    found = [
        more(f"{one} delivers more in time than {other}", hits[one], hits[other])
        for one, other in pairs
        if one in hits and other in hits
    ]
    if GEN in wan and "independent" in wan:
        found.append(less(f"{GEN} takes less from the cloud than independent", wan[GEN], wan["independent"], unit="MB"))
    return found


def report(path: Path, console: Console) -> None:
    """Print a table of methods, what binds, and claims."""
    run = load(path)
    if "requests" not in run or run["requests"].empty:
        console.print("no request has ended")
        return
    table = TextTable(
        "Methods", "method", "hits", "predicted", "bytes at the site", "at the edge", "p95 (s)", "from the cloud (MB)",
        "late for radio, backhaul, storage", caption="95 % intervals over seeds; declared models: sizes, no weights",
    )  # fmt: skip
    for row in methods(run).to_dict("records"):
        cells = [with_interval(row[name], row[f"{name}_interval"])
                 for name in ("hit_ratio", "predicted", "byte_ratio", "edge_ratio", "p95_s", "wan_mb")]  # fmt: skip
        late = ", ".join("-" if np.isnan(row[f"late_{limit}"]) else f"{row[f'late_{limit}']:.2f}" for limit in LIMITS)
        table.add_row(row["method"], *cells, late)
    table.print(console)
    claims.table(judged(run)).print(console)


def plot(path: Path) -> list[Path]:
    """Draw what becomes of requests by method; returns the SVG file (a PNG and CSV lie beside it)."""
    run = load(path)
    if "requests" not in run or run["requests"].empty:
        return []
    found = methods(run)
    write_atomically(path / "methods.csv", found.to_csv(index=False, float_format="%.4g").encode())
    write_atomically(path / "claims.csv", claims.csv(judged(run)))
    with figures.figure(path / "caching", width_in=figures.PAGE_IN, height_in=2.8) as (figure, (axes,)):
        left = np.zeros(len(found))
        parts = [("hit_ratio", "in time"), *((f"late_{limit}", f"late for {limit}") for limit in LIMITS)]
        for number, (column, label) in enumerate(parts):
            shares = found[column].fillna(0).to_numpy()
            axes.barh(range(len(found)), shares, left=left, label=label, color=figures.COLOURS[number])
            left = left + shares
        axes.errorbar(found["hit_ratio"], range(len(found)), xerr=found["hit_ratio_interval"].fillna(0), fmt="none",
                      ecolor="black", linewidth=0.8)  # fmt: skip
        axes.plot(found["predicted"], range(len(found)), "k|", markersize=12, label="predicted in time")
        axes.set_yticks(range(len(found)), found["method"])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of requests")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=5, fontsize=6)
    return [path / "caching.svg"]
