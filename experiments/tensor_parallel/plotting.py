# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run, from its folder alone, with their numbers as CSV beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.runs import load

from . import results

SMOOTH = 10  # steps, in the curve of the loss
HATCHES = ("", "///", "...", "xx", "\\\\\\")


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    steps = results.step_table(run)
    drawn: list[Path] = []
    attacks = results.attacks(run)
    if len(attacks):
        with figures.figure(path / "encoding", height_in=3.6, rows=2) as (figure, panels):
            _encoding(panels, attacks[attacks["observer"] == "columns"])
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=6)
        drawn.append(path / "encoding.svg")
    if "fault_steps" in run:
        write_atomically(path / "faults.csv", run["faults"].to_csv(index=False, float_format="%.6g").encode())
        with figures.figure(path / "faults", height_in=2.9) as (figure, (axes,)):
            _faults(axes, run["fault_steps"], run["faults"])
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, fontsize=6)
        drawn.append(path / "faults.svg")
    if "bench" in run:
        from edgelam.bench.collectives import draw

        draw(run["bench"].to_dict("records"), path / "collectives")  # type: ignore[arg-type]
        drawn.append(path / "collectives.svg")
    if steps.empty:
        return drawn
    for name, table in (
        ("step_times", steps), ("step_times_by_seed", results.step_seconds(run)),
        ("prediction", results.prediction_errors(run).rename_axis("method").reset_index()),
    ):  # fmt: skip
        write_atomically(path / f"{name}.csv", table.to_csv(index=False, float_format="%.6g").encode())
    if run.metrics["extrapolated"].any():
        with figures.figure(path / "loss_time", height_in=2.9) as (figure, (axes,)):
            _loss(axes, run.metrics)
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, fontsize=6)
        drawn.append(path / "loss_time.svg")
    if len(set(steps["devices"])) > 1:
        with figures.figure(path / "scaling", height_in=2.7) as (figure, (axes,)):
            _scaling(axes, steps)
            figure.legend(loc="outside upper left", ncols=2, columnspacing=1.0, fontsize=6)
        drawn.append(path / "scaling.svg")
    else:
        with figures.figure(path / "step_times", height_in=0.7 + 0.22 * len(steps)) as (_, (axes,)):
            _steps(axes, steps)
        drawn.append(path / "step_times.svg")
    parts = results.breakdown(run)
    if len(parts):
        with figures.figure(path / "breakdown", height_in=0.9 + 0.22 * len(parts)) as (figure, (axes,)):
            _breakdown(axes, parts)
            figure.legend(loc="outside upper left", ncols=5, columnspacing=0.8, handlelength=1.6, fontsize=6)
        drawn.append(path / "breakdown.svg")
    decisions = results.decisions(run)
    if len(decisions):
        with figures.figure(path / "prediction", height_in=2.9) as (figure, (axes,)):
            _prediction(axes, decisions)
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, fontsize=6)
        drawn.append(path / "prediction.svg")
    costs = results.costs(run)
    if len(costs):
        with figures.figure(path / "device_costs", height_in=1.3 + 0.36 * len(costs), rows=2) as (_, panels):
            for axes, column, unit, label in (
                (panels[0], "peak_memory_bytes", 1e6, "greatest peak memory of a device (MB)"),
                (panels[1], "energy_j", 1.0, "energy of all devices in a step, without radio (J)"),
            ):  # fmt: skip
                axes.barh(_names(costs.index), costs[column].astype(float).fillna(0.0) / unit, color=figures.COLOURS[0])
                axes.invert_yaxis()
                axes.grid(visible=False, axis="y")
                axes.set_xlabel(label)
        drawn.append(path / "device_costs.svg")
    return drawn


def _names(index: pd.Index) -> list[str]:
    """The method of each (devices, method), with the devices where their number varies."""
    several = len({devices for devices, _ in index}) > 1
    return [f"{method}, {devices}" if several else str(method) for devices, method in index]


def _encoding(panels: Sequence[Axes], attacks: pd.DataFrame) -> None:
    """What is recovered from so many of the columns: the tokens, and the embedded tokens."""
    for index, noise in enumerate(sorted(float(noise) for noise in attacks["noise"].unique())):
        rows = attacks[attacks["noise"] == noise].sort_values("columns")
        style = figures.line_style(index) | {"label": f"noise {noise:g}" if noise else "no noise"}
        panels[0].plot(rows["columns"], 100 * rows["identified"], **style)
        panels[1].plot(rows["columns"], rows["residual"].clip(upper=1.5), **style)
    width = float(attacks["columns"].max())
    seen = np.linspace(0, width, 200)
    panels[1].plot(seen, np.sqrt(1 - seen / width), color="0.6", linewidth=0.8, zorder=0)
    panels[0].set_ylabel("identified tokens (%)")
    panels[1].set_ylabel("residual (at most 1.5)")
    for axes in panels:
        axes.set_xscale("log", base=2)
        axes.set_xlabel("columns that are seen")


def _faults(axes: Axes, steps: pd.DataFrame, faults: pd.DataFrame) -> None:
    """Steps whose result counts, against simulated time; where they go back, they were lost."""
    seed = steps["seed"].iloc[0]
    for index, (fault, rows) in enumerate(steps[steps["seed"] == seed].groupby("fault", sort=False)):
        axes.plot(rows["end_s"], rows["step"] + 1, label=str(fault), **figures.line_style(index))
    axes.axvline(faults[faults["seed"] == seed]["hit_s"].min(), color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlabel("simulated time (s); vertical: the fault")
    axes.set_ylabel("steps done")


def _loss(axes: Axes, metrics: pd.DataFrame) -> None:
    """Loss against simulated time, the mean of SMOOTH steps; thin beyond those that were run over the network."""
    seed, devices = metrics["seed"].iloc[0], metrics["devices"].iloc[0]
    rows = metrics[(metrics["seed"] == seed) & (metrics["devices"] == devices)]
    for index, (method, raw) in enumerate(rows.groupby("method", sort=False)):
        style = figures.line_style(index) | {"marker": ""}
        curve = raw.assign(loss_nats=raw["loss_nats"].rolling(SMOOTH, min_periods=1).mean())
        known = curve[~curve["extrapolated"]]
        axes.plot(known["time_s"], known["loss_nats"], label=str(method), **(style | {"linewidth": 1.8}))
        beyond = curve.iloc[max(len(known) - 1, 0) :]
        axes.plot(beyond["time_s"], beyond["loss_nats"], **(style | {"linewidth": 0.6, "alpha": 0.8}))
    axes.set_xscale("log")
    axes.set_xlabel("simulated time (s); thin: extrapolated by the mean step")
    axes.set_ylabel("training loss (nats a character)")


def _steps(axes: Axes, steps: pd.DataFrame) -> None:
    error = steps["interval"].fillna(0.0)
    axes.barh(steps["method"], steps["step_s"], xerr=error, height=0.65, color=figures.COLOURS[0],
              error_kw={"linewidth": 0.8, "capsize": 2})  # fmt: skip
    axes.invert_yaxis()
    axes.set_xlim(left=0.0)
    axes.grid(visible=False, axis="y")
    several = steps["seeds"].max() > 1
    axes.set_xlabel("simulated time of a step (s" + ("; 95 % interval of the mean over seeds)" if several else ")"))


def _scaling(axes: Axes, steps: pd.DataFrame) -> None:
    for index, (method, rows) in enumerate(steps.groupby("method", sort=False)):
        axes.errorbar(rows["devices"], rows["step_s"], yerr=rows["interval"].fillna(0.0), label=str(method),
                      **figures.line_style(index))  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("log")
    axes.set_xlabel("devices in the cell")
    axes.set_ylabel("simulated time of a step (s)")


def _breakdown(axes: Axes, parts: pd.DataFrame) -> None:
    left = np.zeros(len(parts))
    for index, part in enumerate(results.PARTS):
        axes.barh(
            _names(parts.index), parts[part], left=left, label=part, height=0.7, linewidth=0.3,
            color=figures.COLOURS[index], hatch=HATCHES[index], edgecolor="white",
        )  # fmt: skip
        left += parts[part].to_numpy()
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("simulated time of a device in a mean step (s)")


def _prediction(axes: Axes, decisions: pd.DataFrame) -> None:
    for index, (method, rows) in enumerate(decisions.groupby("method", sort=False)):
        style = figures.line_style(index)
        axes.plot(rows["expected_s"], rows["simulated_s"], linestyle="", marker=style["marker"], color=style["color"],
                  label=str(method))  # fmt: skip
    ends = [decisions[["expected_s", "simulated_s"]].min().min(), decisions[["expected_s", "simulated_s"]].max().max()]
    axes.plot(ends, ends, color="black", linewidth=0.6)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("predicted step (s)")
    axes.set_ylabel("simulated step (s)")
