# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run from the tables of its folder: printed, judged and drawn."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.air.beamforming.learned.settings import KINDS
from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, Score, load
from edgelam.runs.claims import verdict
from edgelam.runs.statistics import half_interval, paired_difference, with_interval

from . import loop_results, other_results

SCORES = (
    Score("rate", "bit/s/Hz", "higher", table="rates", group=("method", "test"), over=("seed",)),
    Score("goodput", "Mb/s", "higher", table="loop", column="goodput_mbps", group=("method", "age"), over=("seed",)),
    Score("rounds", "s", "lower", table="loop_learning", column="time_s", group=("method", "age"), over=("seed",),
          take="max", across="round"),
    Score("efficiency", "bit/J/Hz", "higher", table="energy", group=("method", "test"), over=("seed",)),
    Score("latency", "ms", "lower", table="loop_latencies", column="latency_ms", group=("method", "age"), take="p95",
          across="number"),
)  # fmt: skip
BEST, BASE, FAIR = "wmmse", "rzf", "max-min"
REFERENCES = ((BEST, BASE), ("bcd", "random-phases"), ("digital", "pe-altmin"), ("digital", "partly-connected"),
              ("coordinated-wmmse", "selfish-wmmse"), ("stream-wmmse", "eigenbeams"))  # fmt: skip
"""Pairs of what rates are shares of, and of what the gap to it is counted from."""
ABOVE = 1.001
"""Of multi-start WMMSE: a learned mean above this is a fault until it is proven."""
NETWORK = {f"surface, {count} pilots": rate for count, rate in ((9, 4.10), (15, 4.86), (30, 5.24), (60, 5.29))}
"""The published network of arXiv 2009.14404, bit/s/Hz."""
OTHERS = (("pilot-encoder", "lmmse"), ("pilot-encoder", "pilot-encoder-untrained"),
          ("coordinated-wmmse", "selfish-wmmse"))  # fmt: skip
CONTROLS = ("graph-lam-full", "graph-lam-random", "no-backbone", "gnn", "unrolled-wmmse")


def rates(run: Run) -> pd.DataFrame:
    """Return one row for each test set and method: mean rate, interval, share of WMMSE's, share of RZF's gap closed."""
    found = []
    for test, rows in run["rates"].groupby("test", sort=False):
        table = rows.pivot_table(index="seed", columns="method", values="rate")
        least = rows.groupby("method")["least"].mean() if "least" in rows else None
        best, base = next((pair for pair in REFERENCES if pair[0] in table), (None, None))
        for method in dict.fromkeys(rows["method"]):
            mine = table[method]
            share = closed = pd.Series(float("nan"), index=mine.index)
            if best is not None:
                share = mine / table[best]
            if base in table:
                closed = (mine - table[base]) / (table[best] - table[base])
            found.append(
                {
                    "test": test, "method": method, "rate": mine.mean(), "interval": half_interval(mine),
                    "least": float("nan") if least is None else least[method],
                    "of_max_min": float("nan") if least is None else least[method] / least.get(FAIR, float("nan")),
                    "of_network": mine.mean() / NETWORK.get(str(test), float("nan")),
                    "of_wmmse": share.mean(), "of_wmmse_interval": half_interval(share), "gap_closed": closed.mean(),
                    "gap_closed_interval": half_interval(closed),
                    "decision_ms": rows.loc[rows["method"] == method, "decision_ms"].median(),
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def claims(run: Run) -> pd.DataFrame:
    """Return one row for each claim and test set: the paired difference over seeds and its verdict.

    Where the least rate is aimed at, and its optimum is there, it is what is compared; else the sum rate.
    """
    found = []
    for test, rows in run["rates"].groupby("test", sort=False):
        fair = FAIR in set(rows["method"])
        table = rows.pivot_table(index="seed", columns="method", values="least" if fair else "rate")
        for method, other, said in _compared(table):
            text = said.replace(" is above ", " has a larger least rate than ") if fair else said
            difference = paired_difference(table[method], table[other])
            found.append(
                {
                    "test": test, "claim": text, "difference": difference.mean, "interval": difference.interval,
                    "verdict": verdict(difference, more=True),
                }
            )  # fmt: skip
    return pd.DataFrame(found, columns=["test", "claim", "difference", "interval", "verdict"])


def _shares(rows: pd.DataFrame) -> dict[str, str]:
    """Return heading -> column of the shares that the rows of a test have."""
    best, base = next((pair for pair in REFERENCES if pair[0] in set(rows["method"])), ("", ""))
    wanted = {"of max-min": "of_max_min", f"of {best}": "of_wmmse", f"gap from {base} closed": "gap_closed",
              "of the published network": "of_network"}  # fmt: skip
    return {heading: column for heading, column in wanted.items() if rows[column].notna().any()}


def _compared(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    pairs: list[tuple[str, str, str]] = [(kind, BASE, f"{kind} is above {BASE}") for kind in KINDS]
    pairs += [("graph-lam", control, f"graph-lam is above {control}") for control in CONTROLS]
    pairs += [(one, other, f"{one} is above {other}") for one, other in OTHERS]
    pairs += [(f"{problem}-{kind}", other, f"{problem}-{kind} is above {other}") for kind in KINDS
              for problem, other in (("coordinated", "selfish-wmmse"), ("streams", "block-diagonal"),
                                     ("surface", "bcd"))]  # fmt: skip
    pairs += [(f"one-{kind}", f"{other}-{kind}", f"one-{kind} is above {other}-{kind}")
              for kind in KINDS for other in ("first", "own")]  # fmt: skip
    pairs += [(f"{kind}-federated", f"{kind}-{other}", f"{kind}-federated is above {kind}-{other}")
              for kind in KINDS for other in ("local", "pooled")]  # fmt: skip
    return [(one, other, text) for one, other, text in pairs if one in table and other in table]


def report(path: Path, console: Console) -> None:
    """Print a table for each test set, claims, and what must not be."""
    run = load(path)
    if "rates" in run and len(run["rates"]):
        _report_rates(run, console)
    other_results.report(run, console)
    if "loop" in run and len(run["loop"]):
        loop_results.report(run, console)
    if unfinished := run.manifest.get("unfinished"):
        console.print(
            f"not finished: seeds {', '.join(unfinished)}; run it again with the same settings and checkpoints",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _report_rates(run: Run, console: Console) -> None:
    found = rates(run)
    for test, rows in found.groupby("test", sort=False):
        shares = _shares(rows)
        table = TextTable(f"Test {test}", "method", "rate (bit/s/Hz)", "least user", *shares, "decision (ms)",
                          caption="95 % intervals over seeds")  # fmt: skip
        for row in rows.sort_values("rate").to_dict("records"):
            table.add_row(
                row["method"], with_interval(row["rate"], row["interval"]), f"{row['least']:.3g}",
                *(f"{row[column]:.1%}" for column in shares.values()), f"{row['decision_ms']:.3g}",
            )  # fmt: skip
        table.print(console)
    judged = claims(run)
    if len(judged):
        table = TextTable("Claims, paired by seed", "test", "claim", "difference (bit/s/Hz)", "")
        for row in judged.to_dict("records"):
            table.add_row(row["test"], row["claim"], with_interval(row["difference"], row["interval"], sign="+"),
                          row["verdict"])  # fmt: skip
        table.print(console)
    by_wmmse = found["test"].isin(found.loc[found["method"] == BEST, "test"])
    for row in found[by_wmmse & found["method"].isin(KINDS) & (found["of_wmmse"] > ABOVE)].to_dict("records"):
        console.print(
            f"{row['method']} is above WMMSE of ten starts on {row['test']} ({row['of_wmmse']:.2%}): a fault until it "
            "is proven", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def plot(path: Path) -> list[Path]:
    """Draw shares of WMMSE's rate and training curves; returns the SVG files (a PNG and CSV lie beside them)."""
    run = load(path)
    drawn = []
    if "rates" in run and len(run["rates"]):
        found = rates(run)
        write_atomically(path / "rates.csv", found.to_csv(index=False, float_format="%.5g").encode())
        write_atomically(path / "claims.csv", claims(run).to_csv(index=False, float_format="%.4g").encode())
        methods, tests = list(dict.fromkeys(found["method"])), list(dict.fromkeys(found["test"]))
        with figures.figure(path / "rates", width_in=figures.PAGE_IN, height_in=3.2) as (figure, (axes,)):
            width = 0.8 / len(methods)
            for number, method in enumerate(methods):
                rows = found[found["method"] == method].set_index("test").reindex(tests)
                places = [k + (number - (len(methods) - 1) / 2) * width for k in range(len(tests))]
                axes.bar(places, 100 * rows["of_wmmse"], width, yerr=100 * rows["of_wmmse_interval"].fillna(0),
                         label=method, color=figures.line_style(number, 2)["color"])  # fmt: skip
            axes.set_xticks(range(len(tests)), tests)
            axes.set_xlabel("users x antennas @ SNR in dB")
            axes.set_ylabel("sum rate in % of the reference's")
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=5, fontsize=6)
        drawn.append(path / "rates.svg")
    if "curves" in run and len(run["curves"]):
        curves = run["curves"]
        with figures.figure(path / "curves", height_in=2.6) as (_, (axes,)):
            for number, (method, rows) in enumerate(curves.groupby("method", sort=False)):
                mean = rows.groupby("step")["rate"].mean()
                axes.plot(mean.index, mean, label=method, **figures.line_style(number, len(mean)))
            axes.set_xlabel("optimiser step")
            axes.set_ylabel("mean rate in training (bit/s/Hz)")
            axes.legend(fontsize=6)
        drawn.append(path / "curves.svg")
    drawn += other_results.plot(run, path)
    if "loop" in run and len(run["loop"]):
        drawn.append(_plot_loop(run, path))
    return drawn


def _plot_loop(run: Run, path: Path) -> Path:
    found = loop_results.summary(run)
    write_atomically(path / "loop.csv", found.to_csv(index=False, float_format="%.5g").encode())
    write_atomically(
        path / "loop_claims.csv", loop_results.claims(run).to_csv(index=False, float_format="%.4g").encode()
    )
    ages = list(dict.fromkeys(found["age"]))
    with figures.figure(path / "loop", width_in=figures.PAGE_IN, height_in=2.8) as (_, (axes,)):
        methods = list(dict.fromkeys(found["method"]))
        width = 0.8 / len(methods)
        for number, method in enumerate(methods):
            rows = found[found["method"] == method].set_index("age").loc[ages]
            places = [k + (number - (len(methods) - 1) / 2) * width for k in range(len(ages))]
            axes.bar(places, rows["goodput"], width, yerr=rows["interval"].fillna(0), label=method,
                     color=figures.line_style(number, 2)["color"])  # fmt: skip
        axes.set_xticks(range(len(ages)), ages)
        axes.set_xlabel("age of the CSI at the gNB")
        axes.set_ylabel("goodput of the cell (Mb/s)")
        axes.legend(fontsize=6, ncols=3)
    return path / "loop.svg"
