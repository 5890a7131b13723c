# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run, from its folder alone: accuracy against time and bytes, rounds taken apart, device costs."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from edgelam.runs import Run, figures, load

from . import results

HATCHES = ("", "///", "...", "xx")


def plot(path: Path) -> list[Path]:
    """Draw all figures the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    curves = results.accuracy_curves(run)
    breakdown = results.round_breakdown(run)
    costs = results.device_costs(run)
    drawn = []
    if any(len(curve) > 1 for curve in curves.values()):
        drawn.append(_accuracy(run, curves, "time_s", "simulated time (s)", unit=1.0, name="accuracy_time"))
        drawn.append(
            _accuracy(run, curves, "total_bytes", "bytes sent, up and down (MB)", unit=1e6, name="accuracy_bytes")
        )
    if len(breakdown):
        drawn.append(_breakdown(run, breakdown))
    if len(costs):
        drawn.append(_costs(run, costs))
    return drawn


def _accuracy(run: Run, curves: dict[str, pd.DataFrame], column: str, label: str, *, unit: float, name: str) -> Path:
    """Accuracy on the global test set; what has no place on this axis (a control, no bytes at all) is a level."""
    on_axis = {method for method, curve in curves.items() if len(curve) > 1 and curve[column].max() > 0}
    on_axis -= set(run.manifest.get("without_network", []))
    with figures.figure(run.path / name) as (_, (axes,)):
        for index, (method, curve) in enumerate(curves.items()):
            style = figures.line_style(index, len(curve))
            if method in on_axis:
                axes.plot(curve[column] / unit, curve["accuracy"], label=method, **style)
            else:
                level = float(curve["accuracy"].iloc[-1])
                axes.axhline(level, color=style["color"], linestyle=":", linewidth=0.9, label=method)
        ends = [curves[method][column].max() for method in on_axis]
        if ends and max(ends) > 30 * min(ends):
            axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy, global test set")
        _legend_above(axes, 2)
    return (run.path / name).with_suffix(".svg")


def _breakdown(run: Run, breakdown: pd.DataFrame) -> Path:
    """Stacked bars: the mean round of every device, one panel a method."""
    methods = list(dict.fromkeys(breakdown.index.get_level_values("method")))
    height = min(8.0, 0.9 + 0.22 * len(breakdown) + 0.35 * len(methods))
    with figures.figure(run.path / "round_breakdown", height_in=height, rows=len(methods)) as (_, panels):
        for axes, method in zip(panels, methods, strict=True):
            rows = breakdown.loc[[method]].droplevel("method")
            left = pd.Series(0.0, index=rows.index)
            for index, part in enumerate(results.PARTS):
                axes.barh(
                    rows.index.astype(str), rows[f"{part}_s"], left=left, label=part, height=0.7, linewidth=0.4,
                    color=figures.COLOURS[index], hatch=HATCHES[index], edgecolor="white",
                )  # fmt: skip
                left = left + rows[f"{part}_s"]
            axes.invert_yaxis()
            axes.set_title(method, loc="right")
            axes.grid(visible=False, axis="y")
        _legend_above(panels[0], 4)
        panels[-1].set_xlabel("simulated time of a mean round (s)")
    return run.path / "round_breakdown.svg"


def _costs(run: Run, costs: pd.DataFrame) -> Path:
    """Peak memory and energy of a device: the mean over devices as a bar, every device as a dot."""
    devices = costs[costs["role"] == "ue"] if (costs["role"] == "ue").any() else costs
    methods = list(dict.fromkeys(devices.index.get_level_values("method")))
    height = 0.7 + 0.25 * len(methods)
    with figures.figure(run.path / "device_costs", height_in=height, columns=2) as (_, panels):
        for axes, column, unit, label in (
            (panels[0], "peak_memory_bytes", 1e6, "peak memory (MB)"),
            (panels[1], "energy_j", 1.0, "energy (J)"),
        ):
            for index, method in enumerate(methods):
                values = devices.loc[[method], column] / unit
                axes.barh(index, values.mean(), height=0.6, color=figures.COLOURS[index % len(figures.COLOURS)])
                axes.plot(values, [index] * len(values), linestyle="", marker="|", color="black", markersize=4)
            axes.set_xlabel(f"{label}, a device")
            axes.set_yticks(range(len(methods)), methods if axes is panels[0] else [""] * len(methods))
            axes.invert_yaxis()
            axes.grid(visible=False, axis="y")
    return run.path / "device_costs.svg"


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.02), ncols=columns, borderaxespad=0.0, columnspacing=1.0)
