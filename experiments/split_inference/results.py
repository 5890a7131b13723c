# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run from the tables of its folder: printed, judged and drawn."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, Score, claims, load
from edgelam.runs.claims import Claim, less, more
from edgelam.runs.statistics import half_interval, with_interval

from . import decoding_results, rounding

SCORES = (
    Score("e2e_s", "s", "lower", table="requests", group=("model", "method"), over=("seed",), across="method"),
    Score("agreement", "", "higher", table="quality", group=("model", "format"), across="cut"),
)
CHOSEN, EXITS = "planner", "exits"
BEST_WITHIN = 1.05
"""A planned choice that takes at most so many times the least of all is as good as it."""


def methods(run: Run) -> pd.DataFrame:
    """Return one row for each model and method: E2E in ms with its interval over seeds, and what else it costs."""
    found: list[dict[str, object]] = []
    if "requests" not in run:
        return pd.DataFrame(found)
    for (model, method), rows in run["requests"].groupby(["model", "method"], sort=False):
        seeds = rows.groupby("seed")["e2e_s"].mean() * 1e3
        found.append(
            {
                "model": model, "method": method, "e2e_ms": seeds.mean(), "interval": half_interval(seeds),
                "p95_ms": rows["e2e_s"].quantile(0.95) * 1e3, "up_kB": rows["up_bytes"].mean() / 1e3,
                "wan_kB": rows["wan_bytes"].mean() / 1e3, "raw_leaving_kB": rows["raw_bytes_leaving"].mean() / 1e3,
                "agreement": rows["agrees"].mean(), "right": rows["right"].mean(), "left": rows["left"].mean(),
                "choices": ", ".join(
                    f"{stage or 'input'} {form}" + ("" if math.isnan(sure) else f" exit {sure:g}")
                    for stage, form, sure in
                    rows[["stage", "format", "confidence"]].value_counts(dropna=False).index[:2]
                ),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def leaks(run: Run) -> pd.DataFrame:
    """Return one row for each model, cut and protection: what the better attack finds, with its interval over seeds."""
    if "leakage" not in run:
        return pd.DataFrame()
    rows = run["leakage"].assign(found=lambda all_: all_[["linear", "network"]].max(axis=1))
    groups = rows.groupby(["model", "cut", "stage", "protection"], sort=False)
    means = groups[["agreement", "linear", "network", "found", "guess"]].mean()
    return means.assign(interval=groups["found"].apply(half_interval)).reset_index()


def judged(run: Run) -> list[Claim]:
    """Return what is claimed, with what was measured."""
    found = _claims_of_leakage(run) if "leakage" in run else []
    if "rounding" in run:
        found += rounding.judged(run)
    if "decoding" in run:
        found += decoding_results.judged(run)
    if "requests" not in run:
        return found
    for model, rows in run["requests"].groupby("model", sort=False):
        table = rows.pivot_table(index="seed", columns="method", values="e2e_s") * 1e3
        for other in (m for m in table if m not in (CHOSEN, EXITS) and CHOSEN in table):
            found.append(more(f"{model}: {CHOSEN} is faster than {other}", table[other], table[CHOSEN], unit="ms"))
        if {EXITS, CHOSEN} <= set(table):
            found += _claims_of_exits(str(model), rows)
    if "planned" not in run:
        return found
    planned, sweep = run["planned"], run["sweep"]
    for model, rows in planned.groupby("model", sort=False):
        ratio = rows["e2e_s"] / rows["least_s"]
        verdict = "holds" if ratio.max() <= BEST_WITHIN else "does not hold"
        text = f"{model}: the planned choice takes at most {BEST_WITHIN:g} times the least of all cuts and formats"
        found.append(Claim(text, f"{ratio.min():.3f} to {ratio.max():.3f} times", _if_seeds(verdict, len(rows))))
        mine = sweep[(sweep["model"] == model) & (sweep["format"] == "fp32")]
        ends = mine["cut"].isin([mine["cut"].min(), mine["cut"].max()])
        table = pd.DataFrame(
            {
                "inner": mine[~ends].groupby("seed")["e2e_s"].min() * 1e3,
                "ends": mine[ends].groupby("seed")["e2e_s"].min() * 1e3,
            }
        )
        text = f"{model}: in fp32, an inner cut is faster than the device or the edge alone"
        found.append(more(text, table["ends"], table["inner"], unit="ms"))
    return found


def _claims_of_exits(model: str, rows: pd.DataFrame) -> list[Claim]:
    """Claim that exits pay, and that they keep as many answers as was asked for."""
    seconds, agrees, right = (
        rows.pivot_table(index="seed", columns="method", values=name) for name in ("e2e_s", "agrees", "right")
    )
    found = [
        more(f"{model}: with exits, the planner is faster than {other}", seconds[other] * 1e3, seconds[EXITS] * 1e3,
             unit="ms")
        for other in seconds if other != EXITS
    ]  # fmt: skip
    found.append(less(f"{model}: with exits, fewer answers are the whole model's", agrees[EXITS], agrees[CHOSEN]))
    found.append(less(f"{model}: with exits, fewer answers are right", right[EXITS], right[CHOSEN]))
    return found


def _claims_of_leakage(run: Run) -> list[Claim]:
    found = []
    for model, rows in run["leakage"].groupby("model", sort=False):
        plain = rows[rows["protection"] == rows["protection"].iloc[0]]
        best = plain[["linear", "network"]].max(axis=1).groupby([plain["cut"], plain["seed"]]).max()
        first, last = best[plain["cut"].min()], best[plain["cut"].max()]
        found.append(less(f"{model}: less is found behind the deepest cut than behind the first", last, first))
        for protection in rows["protection"].unique()[1:]:
            table = rows[rows["protection"] == protection].groupby("seed")[["network", "agreement"]].mean()
            bare = plain.groupby("seed")[["network", "agreement"]].mean()
            text = f"{model}: with {protection}, less is found, over all cuts"
            found.append(less(text, table["network"], bare["network"]))
    return found


def _if_seeds(verdict: str, seeds: int) -> str:
    return verdict if seeds > 1 else "undecided"


def report(path: Path, console: Console) -> None:
    """Print methods, quality, the error of predictions, and claims."""
    run = load(path)
    if "leakage" in run:
        found = TextTable(
            "What is found behind a cut, by the better of two attacks", "model", "behind", "protection", "found",
            "sees nothing", "answers kept",
            caption="of text: tokens; else variance; means over seeds, 95 % intervals",
        )  # fmt: skip
        for row in leaks(run).to_dict("records"):
            found.add_row(
                row["model"], row["stage"], row["protection"], with_interval(row["found"], row["interval"]),
                f"{row['guess']:.3g}", f"{row['agreement']:.1%}",
            )  # fmt: skip
        found.print(console)
    if "rounding" in run:
        rounding.report(run, console)
    if "decoding" in run:
        decoding_results.report(run, console)
    if "requests" in run:
        _report_requests(run, console)
    claims.table(judged(run)).print(console)


def _report_requests(run: Run, console: Console) -> None:
    table = TextTable(
        "Methods, means over requests", "model", "method", "E2E (ms)", "p95 (ms)", "up (kB)", "WAN (kB)",
        "raw data that leave (kB)", "agrees", "right", "most frequent choices", caption="95 % intervals over seeds",
    )  # fmt: skip
    for row in methods(run).to_dict("records"):
        table.add_row(
            row["model"], row["method"], with_interval(row["e2e_ms"], row["interval"]), f"{row['p95_ms']:.4g}",
            f"{row['up_kB']:.3g}", f"{row['wan_kB']:.3g}", f"{row['raw_leaving_kB']:.3g}", f"{row['agreement']:.0%}",
            f"{row['right']:.0%}", row["choices"],
        )  # fmt: skip
    table.print(console)
    quality = TextTable(
        "Answers that are the whole model's, over cuts where something is rounded", "model", "format", "least", "mean"
    )
    for (model, form), rows in run["quality"].groupby(["model", "format"], sort=False):
        quality.add_row(str(model), str(form), f"{rows['agreement'].min():.0%}", f"{rows['agreement'].mean():.1%}")
    quality.print(console)
    if "sweep" in run:
        error = TextTable(
            "Predicted against simulated times of every cut alone", "model", "cases", "median error", "p95"
        )
        for model, rows in run["sweep"].groupby("model", sort=False):
            off = (rows["predicted_s"] / rows["e2e_s"] - 1).abs()
            error.add_row(str(model), str(len(off)), f"{off.median():.1%}", f"{off.quantile(0.95):.1%}")
        error.print(console)


def plot(path: Path) -> list[Path]:
    """Draw what there is: the time of every cut, what is found behind cuts, decoding; returns the SVG files."""
    run = load(path)
    tables = {"methods": methods(run), "leakage": leaks(run), "rounding": rounding.table(run)}
    if "decoding" in run:
        tables |= {"decoding": decoding_results.timings(run), "drafts": decoding_results.acceptance(run)}
    for name, table in tables.items():
        if len(table):
            write_atomically(path / f"{name}.csv", table.to_csv(index=False, float_format="%.4g").encode())
    write_atomically(path / "claims.csv", claims.csv(judged(run)))
    drawing = {"sweep": _draw_sweep, "leakage": _draw_leaks, "decoding": decoding_results.draw}
    return [figure for table, draw in drawing.items() if table in run for figure in draw(run, path)]


def _draw_leaks(run: Run, path: Path) -> list[Path]:
    panels = list(leaks(run).groupby("model", sort=False))
    with figures.figure(path / "leaks", width_in=figures.PAGE_IN, height_in=2.4, columns=len(panels)) as (figure, axes):
        for panel, (model, rows) in zip(axes, panels, strict=True):
            for i, (protection, mine) in enumerate(rows.groupby("protection", sort=False)):
                style = figures.line_style(i, len(mine))
                panel.errorbar(mine["cut"], mine["found"], mine["interval"], label=protection, **style)
            panel.set_title(str(model))
            panel.set_xlabel("stages on the device")
            panel.set_ylabel("input found (share)")
            panel.set_ylim(-0.05, 1.05)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return [path / "leaks.svg"]


def _draw_sweep(run: Run, path: Path) -> list[Path]:
    panels = list(run["sweep"].groupby("model", sort=False))
    with figures.figure(path / "cuts", width_in=figures.PAGE_IN, height_in=2.4, columns=len(panels)) as (figure, axes):
        for panel, (model, rows) in zip(axes, panels, strict=True):
            for i, (form, mine) in enumerate(rows.groupby("format", sort=False)):
                means = mine.groupby("cut")["e2e_s"].mean() * 1e3
                panel.plot(means.index, means, label=form, **figures.line_style(i, len(means)))
            panel.set_title(str(model))
            panel.set_xlabel("stages on the device")
            panel.set_ylabel("end-to-end latency (ms)")
            panel.set_yscale("log")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return [path / "cuts.svg"]
