# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run, from its folder alone: accuracy against time and bytes, rounds taken apart, device costs."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from edgelam.runs import figures, load

from . import results

HATCHES = ("", "///", "...", "xx")
MAX_NAMES = 16  # device names beside the bars of a panel: more do not fit


def plot(path: Path) -> list[Path]:
    """Draw all figures the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    without_network = set(run.manifest.get("without_network", []))
    curves = results.accuracy_curves(run)
    breakdown = results.leave_out(results.round_breakdown(run), without_network)
    costs = results.leave_out(results.device_costs(run), without_network)
    drawn = []
    if any(len(curve) > 1 for curve in curves.values()):
        axis = {"time_s": ("simulated time (s)", 1.0), "total_bytes": ("bytes sent, up and down (MB)", 1e6)}
        for (column, (label, unit)), name in zip(axis.items(), ("accuracy_time", "accuracy_bytes"), strict=True):
            levels = without_network | {m for m, c in curves.items() if len(c) < 2 or not c[column].max() > 0}
            with figures.figure(path / name, height_in=2.7) as (figure, (axes,)):
                _accuracy(axes, curves, levels, column, unit)
                axes.set_xlabel(label)
                figure.legend(loc="outside upper left", ncols=2, columnspacing=1.0, fontsize=6)
            drawn.append(path / f"{name}.svg")
    if len(breakdown):
        methods = list(dict.fromkeys(breakdown.index.get_level_values("method")))
        steps = results.steps_of_a_round(run)
        height = (
            0.7
            + 0.4 * len(methods)
            + sum(min(0.16 * len(breakdown.loc[[method]]), 0.16 * MAX_NAMES) for method in methods)
        )
        with figures.figure(path / "round_breakdown", height_in=height, rows=len(methods)) as (figure, panels):
            for axes, method in zip(panels, methods, strict=True):
                _breakdown(axes, breakdown.loc[[method]].droplevel("method"))
                length = f" (a round is {steps[method]} steps)" if steps.get(method, 1) > 1 else ""
                axes.set_title(method + length, loc="left")
            panels[-1].set_xlabel("simulated time of a mean round (s)")
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper left", ncols=4, columnspacing=1.0)
        drawn.append(path / "round_breakdown.svg")
    if len(costs):
        height = 1.2 + 0.4 * costs.index.get_level_values("method").nunique()
        with figures.figure(path / "device_costs", height_in=height, rows=2) as (_, panels):
            _costs(panels[0], costs, "peak_memory_bytes", 1e6)
            panels[0].set_xlabel("peak memory (MB; bar: mean, strokes: devices)")
            _costs(panels[1], costs, "energy_j", 1.0)
            panels[1].set_xlabel("energy without radio (J; bar: mean, strokes: devices)")
        drawn.append(path / "device_costs.svg")
    return drawn


def _accuracy(axes: Axes, curves: dict[str, pd.DataFrame], levels: set[str], column: str, unit: float) -> None:
    """Accuracy on the global test set; what has no place on this axis (a control, no bytes at all) is a level."""
    for index, (method, curve) in enumerate(curves.items()):
        style = figures.line_style(index, len(curve))
        if method in levels:
            level = float(curve["accuracy"].iloc[-1])
            axes.axhline(level, color=style["color"], linestyle=style["linestyle"], linewidth=0.7, label=method)
        else:
            axes.plot(curve[column] / unit, curve["accuracy"], label=method, **style)
    ends = [curve[column].max() for method, curve in curves.items() if method not in levels]
    if ends and max(ends) > 30 * min(ends):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("accuracy, global test set")


def _breakdown(axes: Axes, rows: pd.DataFrame) -> None:
    """Stacked bars, one a device: where its time in a mean round went. rows: device -> seconds of each part."""
    left = pd.Series(0.0, index=rows.index)
    for index, part in enumerate(results.PARTS):
        seconds = rows[f"{part}_s"]
        axes.barh(
            range(len(rows)), seconds, left=left, label=part, height=0.75, linewidth=0.3,
            color=figures.COLOURS[index], hatch=HATCHES[index], edgecolor="white",
        )  # fmt: skip
        left = left + seconds
    axes.invert_yaxis()
    axes.set_ylim(len(rows) - 0.4, -0.6)
    every = 1 + (len(rows) - 1) // MAX_NAMES
    axes.set_yticks(range(0, len(rows), every), [str(name) for name in rows.index[::every]])
    axes.locator_params(axis="x", nbins=6)
    axes.grid(visible=False, axis="y")


def _costs(axes: Axes, costs: pd.DataFrame, column: str, unit: float) -> None:
    """Draw the mean over user devices as a bar, and every device as a stroke, one row for each method."""
    devices = costs[costs["role"] == "ue"] if (costs["role"] == "ue").any() else costs
    methods = list(dict.fromkeys(devices.index.get_level_values("method")))
    for index, method in enumerate(methods):
        values = devices.loc[[method], column] / unit
        axes.barh(index, values.mean(), height=0.6, color=figures.COLOURS[index % len(figures.COLOURS)])
        axes.plot(values, [index] * len(values), linestyle="", marker="|", color="black", markersize=5)
        axes.annotate(
            f"{values.mean():.3g}", (values.max(), index), xytext=(4, 0), textcoords="offset points", va="center",
            fontsize=7,
        )  # fmt: skip
    axes.set_yticks(range(len(methods)), methods)
    axes.margins(x=0.15)  # room for the numbers
    axes.set_xlim(left=0.0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
