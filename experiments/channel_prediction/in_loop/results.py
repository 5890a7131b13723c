# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run with predictors in a cell, from the tables of its folder: printed, judged and drawn."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run
from edgelam.runs.claims import verdict
from edgelam.runs.statistics import half_interval, paired_difference, with_interval

from .settings import PERFECT

HELD = "hold-last"
POINT = ["speed_kmh", "delay", "period", "method"]


def summary(run: Run) -> pd.DataFrame:
    """Return one row for each speed, delay, period and predictor: means over seeds, with half the 95 % interval."""
    found = []
    for key, rows in run["loop"].groupby(POINT, sort=False):
        assert isinstance(key, tuple)
        perfect = run["loop"][(run["loop"]["method"] == PERFECT) & (run["loop"]["speed_kmh"] == key[0])]
        best = perfect.set_index("seed")["goodput_mbps"]
        mine = rows.set_index("seed")["goodput_mbps"]
        means = (
            "block_errors",
            "csi_error",
            "direction_error",
            "pilot_noise",
            "age_ms",
            "predicting_ms",
            "pilots_per_s",
        )
        found.append(
            dict(zip(POINT, key, strict=True))
            | {"goodput": mine.mean(), "interval": half_interval(mine), "of_perfect": (mine / best).mean()}
            | {name: rows[name].mean() for name in means}
            | {"left_out": rows["predictions_left_out"].sum()
               / max((rows["predictions"] + rows["predictions_left_out"]).sum(), 1)}
        )  # fmt: skip
    return pd.DataFrame(found)


def claims(run: Run) -> pd.DataFrame:
    """Return one row for each comparison, paired by seed: every predictor with holding the last pilot."""
    found = []
    for (speed, delay, period), rows in run["loop"].groupby(["speed_kmh", "delay", "period"], sort=False):
        table = rows.pivot_table(index="seed", columns="method", values="goodput_mbps")
        methods = [method for method in dict.fromkeys(rows["method"]) if method != PERFECT]
        pairs = [(method, HELD) for method in methods if method != HELD and HELD in table]
        pairs += [(method, "prony") for method in methods if method not in (HELD, "prony") and "prony" in table]
        pairs += [("lam", other) for other in ("lam-random", "cnn", "cnn-equal") if "lam" in table and other in table]
        for one, other in dict.fromkeys(pairs):
            difference = paired_difference(table[one], table[other])
            found.append(
                {"speed_kmh": speed, "delay": delay, "period": period, "claim": f"{one} carries more than {other}",
                 "difference": difference.mean, "interval": difference.interval,
                 "verdict": verdict(difference, more=True)}
            )  # fmt: skip
    return pd.DataFrame(found, columns=["speed_kmh", "delay", "period", "claim", "difference", "interval", "verdict"])


def saved(run: Run) -> pd.DataFrame:
    """Return one row for each speed, delay, predictor and period of holding the last pilot: how rare its pilots may be.

    `rarest` is the longest period with which the predictor's mean goodput is at least that of holding the last pilot of
    the shorter period `held`; `saved` is the share of pilots that need not be sent; difference and verdict are of the
    goodputs, paired by seed. A predictor that reaches it with no longer period has no row.
    """
    found = []
    for (speed, delay), rows in run["loop"].groupby(["speed_kmh", "delay"], sort=False):
        table = rows.pivot_table(index="seed", columns=["method", "period"], values="goodput_mbps")
        if HELD not in table:
            continue
        for method in dict.fromkeys(rows["method"]):
            if method == PERFECT:
                continue
            for held in sorted(table[HELD].columns):
                enough = [
                    (period, difference)
                    for period in sorted(table[method].columns)
                    if period > held
                    and (difference := paired_difference(table[method][period], table[HELD][held])).mean >= 0
                ]
                if enough:
                    period, difference = enough[-1]
                    found.append(
                        {"speed_kmh": speed, "delay": delay, "method": method, "held": held, "rarest": period,
                         "saved": 1 - held / period, "difference": difference.mean, "interval": difference.interval}
                    )  # fmt: skip
    return pd.DataFrame(
        found, columns=["speed_kmh", "delay", "method", "held", "rarest", "saved", "difference", "interval"]
    )


def report(run: Run, console: Console) -> None:
    """Print goodput for each speed and delay, errors of models, claims and pilots saved."""
    found = summary(run)
    for (speed, delay), rows in found[found["method"] != PERFECT].groupby(["speed_kmh", "delay"], sort=False):
        best = found[(found["method"] == PERFECT) & (found["speed_kmh"] == speed)]
        title = f"Predictors in the cell at {speed:g} km/h, pilots known {delay} slots later"
        if len(best):
            known = with_interval(best["goodput"].item(), best["interval"].item())
            title += f"; with the channel as it is {known} Mb/s"
        table = TextTable(
            title, "pilot every", "predictor", "goodput (Mb/s)", "of perfect", "error in use", "of direction",
            "pilot noise", "age (ms)", "predicting (ms)", "left out", "block errors",
            caption="95 % intervals over seeds",
        )  # fmt: skip
        for row in rows.to_dict("records"):
            table.add_row(
                f"{row['period']} slots", row["method"], with_interval(row["goodput"], row["interval"]),
                _percent(row["of_perfect"]), f"{row['csi_error']:.3f}", f"{row['direction_error']:.3f}",
                f"{row['pilot_noise']:.3f}",
                f"{row['age_ms']:.2f}", f"{row['predicting_ms']:.3g}", f"{row['left_out']:.0%}",
                f"{row['block_errors']:.1%}",
            )  # fmt: skip
        table.print(console)
    _tests(run).print(console)
    _claims(run).print(console)
    _saved(run).print(console)


def _tests(run: Run) -> TextTable:
    if "loop_tests" not in run:
        return TextTable("Error before the cell", "")
    tests = run["loop_tests"]
    speeds = sorted(tests["speed_kmh"].unique())
    table = TextTable(
        "Mean NMSE over all predicted times, on other networks", "pilot every", "predictor", "trained", "rate",
        *(f"{speed:g} km/h" for speed in speeds),
    )  # fmt: skip
    for (period, method), rows in tests.groupby(["period", "method"], sort=False):
        models = run["loop_models"]
        models = models[(models["period"] == period) & (models["method"] == method)]
        rates = sorted({f"{rate:g}" for rate in models["learning_rate"] if rate > 0})
        cells = [rows.loc[rows["speed_kmh"] == speed, "nmse"] for speed in speeds]
        table.add_row(
            f"{period} slots", str(method), f"{models['trained'].iloc[0]:,}", ", ".join(rates),
            *(with_interval(cell.mean(), half_interval(cell)) for cell in cells),
        )  # fmt: skip
    return table


def _claims(run: Run) -> TextTable:
    table = TextTable("Claims, paired by seed", "km/h", "delay", "pilot every", "claim", "difference (Mb/s)", "")
    for row in claims(run).to_dict("records"):
        table.add_row(
            f"{row['speed_kmh']:g}", f"{row['delay']}", f"{row['period']} slots", row["claim"],
            with_interval(row["difference"], row["interval"], sign="+"), row["verdict"],
        )  # fmt: skip
    return table


def _saved(run: Run) -> TextTable:
    table = TextTable(
        "Pilots saved: the longest period that carries as much as holding the last pilot", "km/h", "delay", "predictor",
        "as much as hold-last, every", "with a pilot every", "saved", "difference (Mb/s)",
    )  # fmt: skip
    for row in saved(run).to_dict("records"):
        table.add_row(
            f"{row['speed_kmh']:g}", f"{row['delay']}", row["method"], f"{row['held']} slots",
            f"{row['rarest']} slots", f"{row['saved']:.0%}",
            with_interval(row["difference"], row["interval"], sign="+"),
        )  # fmt: skip
    return table


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.0%}"


def plot(run: Run, path: Path) -> list[Path]:
    """Draw goodput over the pilot period, one picture for each speed; tables as CSV lie beside it."""
    found = summary(run)
    for name, table in (("loop", found), ("loop_claims", claims(run)), ("loop_saved", saved(run))):
        write_atomically(path / f"{name}.csv", table.to_csv(index=False, float_format="%.5g").encode())
    drawn = []
    for (speed, delay), rows in found[found["method"] != PERFECT].groupby(["speed_kmh", "delay"], sort=False):
        name = f"loop_{speed:g}kmh_{delay}slots".replace(".", "_")
        with figures.figure(path / name, height_in=2.6) as (_, (axes,)):
            for number, (method, mine) in enumerate(rows.sort_values("period").groupby("method", sort=False)):
                style = figures.line_style(number, len(mine))
                axes.errorbar(mine["period"], mine["goodput"], mine["interval"].fillna(0), label=method, **style)
            best = found[(found["method"] == PERFECT) & (found["speed_kmh"] == speed)]
            if len(best):
                axes.axhline(best["goodput"].item(), color="black", linewidth=0.7, label=PERFECT)
            axes.set_xlabel("slots from pilot to pilot")
            axes.set_ylabel("goodput of the cell (Mb/s)")
            axes.legend(fontsize=6)
        drawn.append(path / f"{name}.svg")
    return drawn
