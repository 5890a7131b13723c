# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of a run on the console, from its folder alone."""

from collections.abc import Hashable
from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, load
from edgelam.runs.statistics import with_interval
from edgelam.text import si_bytes

from . import results


def report(path: Path, console: Console) -> None:
    """Print the time of a step of each method, where it went, what it cost, and how good the predictions were."""
    run = load(path)
    for of_other_recipes in (_attacks, _bench, _faults):
        of_other_recipes(run).print(console)
    for make in (_steps, _breakdown, _costs, _predictions):
        make(run).print(console)
    for row in results.refusals(run).itertuples():
        how = "runs as if its memory were larger" if row.ran else "is refused"
        console.print(
            f"{row.method} ({row.devices} devices, seed {row.seed}) {how}: {row.reason}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _bench(run: Run) -> TextTable:
    rows = run["bench"] if "bench" in run else pd.DataFrame(columns=["algorithm", "size_bytes", "simulated_s"])
    sizes = [int(size) for size in rows["size_bytes"].unique()]
    table = TextTable("All-reduces (simulated s)", "algorithm", *map(si_bytes, sizes))
    for algorithm, mine in rows.groupby("algorithm", sort=False):
        seconds = mine.set_index("size_bytes")["simulated_s"]
        table.add_row(str(algorithm), *(f"{seconds[size]:.4g}" for size in sizes))
        if algorithm == "auto":
            chosen = mine.set_index("size_bytes")["chosen"]
            table.add_row("which is", *(str(chosen[size]) for size in sizes))
    return table


def _faults(run: Run) -> TextTable:
    table = TextTable(
        "What a fault of a device costs", "fault", "device", "its share", "noticed after (s)", "steps lost",
        "next step after (s)", "moved", "step (s)", "devices", left=2,
        caption="step and devices: before and after; the losses are those of one device "
        f"within {results.faults(run)['loss_error'].max():.1g}",
    )  # fmt: skip
    for row in results.faults(run).to_dict("records"):
        gone = pd.notna(row["noticed_s"])
        table.add_row(
            str(row["fault"]), str(row["device"]), f"{row['heads']} / {row['columns']}" if gone else "-",
            f"{row['noticed_s'] - row['hit_s']:.3f}" if gone else "-", str(row["steps_lost"]),
            f"{row['next_step_s'] - row['hit_s']:.3f}" if pd.notna(row["next_step_s"]) else "-",
            si_bytes(float(row["moved_bytes"])), f"{row['step_before_s']:.3f} / {row['step_after_s']:.3f}",
            f"{row['participants_before']} / {row['participants_after']}",
        )  # fmt: skip
    return table


def _attacks(run: Run) -> TextTable:
    table = TextTable(
        "What is recovered from encoded inputs", "who sees", "columns", "remedy", "residual", "identified", left=1,
        caption="residual: relative error by least squares; identified: share of the tokens",
    )  # fmt: skip
    attacks = results.attacks(run)
    for row in attacks[attacks["observer"] != "columns"].to_dict("records"):
        noise, residual = float(row["noise"]), float(row["residual"])
        table.add_row(
            str(row["observer"]), str(row["columns"]), f"noise {noise:g}" if noise else str(row["remedy"]),
            "no estimate" if residual > 1000 else f"{residual:.3g}", f"{100 * float(row['identified']):.1f} %",
        )  # fmt: skip
    return table


def _steps(run: Run) -> TextTable:
    table = TextTable(
        "A step over the network", "method", "devices", "seeds", "step (s)", "longer than tp-optimised (s)", "ratio",
        "verdict", left=1, caption="95 % intervals; differences are paired by seed",
    )  # fmt: skip
    for row in results.step_table(run).to_dict("records"):
        itself = row["method"] == results.OPTIMISED
        table.add_row(
            str(row["method"]), str(row["devices"]), str(row["seeds"]),
            with_interval(row["step_s"], row["interval"]),
            "-" if itself else with_interval(row["longer_s"], row["longer_interval"], sign="+"),
            "-" if itself or pd.isna(row["ratio"]) else f"{row['ratio']:.2f}",
            "" if itself else results.verdict(row),
        )  # fmt: skip
    return table


def _breakdown(run: Run) -> TextTable:
    table = TextTable("Where a device's time went in a step (ms)", "method", "devices", *results.PARTS)
    for place, row in results.breakdown(run).iterrows():
        table.add_row(*_place(place), *(f"{1000 * row[part]:.2f}" for part in results.PARTS))
    return table


def _costs(run: Run) -> TextTable:
    table = TextTable("What it cost", "method", "devices", "greatest peak memory", "energy of all devices in a step")
    for place, row in results.costs(run).iterrows():
        memory, energy = row["peak_memory_bytes"], row["energy_j"]
        table.add_row(
            *_place(place),
            "-" if pd.isna(memory) else si_bytes(float(memory)),
            "-" if pd.isna(energy) else f"{energy:.3g} J",
        )
    return table


def _predictions(run: Run) -> TextTable:
    table = TextTable(
        "Predicted against simulated step (median error)", "method", "decisions", "hard shares", "unused band shared",
        "deciding (ms)", "measuring (ms)",
    )  # fmt: skip
    for method, row in results.prediction_errors(run).iterrows():
        errors = [f"{100 * row[name]:.1f} %" for name in ("hard", "fluid")]
        times = [f"{1000 * row[name]:.3g}" for name in ("deciding_s", "measuring_s")]
        table.add_row(str(method), f"{row['decisions']:.0f}", *errors, *times)
    return table


def _place(place: Hashable) -> tuple[str, str]:
    assert isinstance(place, tuple)
    devices, method = place
    return str(method), str(devices)
