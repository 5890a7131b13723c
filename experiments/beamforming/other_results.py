# SPDX-License-Identifier: GPL-2.0-only
"""Bits per joule, sensing, and what training cost, from the tables of a run folder: printed, judged and drawn."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from edgelam.air.beamforming.learned.settings import KINDS
from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.output.terminal import TextTable
from edgelam.runs import Run
from edgelam.runs.claims import verdict
from edgelam.runs.statistics import half_interval, paired_difference, with_interval
from edgelam.text import si_bytes

REFERENCE = "optimiser"


def energy(run: Run) -> pd.DataFrame:
    """Return one row for each test and method: bit/J per Hz with its interval, rate, radiated power."""
    found = []
    for (test, method), rows in run["energy"].groupby(["test", "method"], sort=False):
        found.append(
            {
                "test": test, "method": method, "efficiency": rows["efficiency"].mean(),
                "interval": half_interval(rows["efficiency"]), "rate": rows["rate"].mean(),
                "radiated_w": rows["radiated_w"].mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def sensing(run: Run) -> pd.DataFrame:
    """Return one row for each share of sensing and method, with the share of the optimiser's value."""
    found = []
    for (share, method), rows in run["sensing"].groupby(["share", "method"], sort=True):
        found.append(
            {
                "share": share, "method": method, "rate": rows["rate"].mean(),
                "rate_interval": half_interval(rows["rate"]), "error": rows["error"].mean(),
                "error_interval": half_interval(rows["error"]), "least_error": rows["least_error"].mean(),
                "value": rows["value"].mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def claims(run: Run) -> pd.DataFrame:
    """Return one row for each claim: the difference paired by seed, and its verdict."""
    found = []

    def judge(test: str, text: str, one: pd.Series, other: pd.Series) -> None:
        difference = paired_difference(one, other)
        found.append(
            {
                "test": test, "claim": text, "difference": difference.mean, "interval": difference.interval,
                "verdict": verdict(difference, more=True),
            }
        )  # fmt: skip

    if "energy" in run:
        for test, rows in run["energy"].groupby("test", sort=False):
            table = rows.pivot_table(index="seed", columns="method", values="efficiency")
            pairs = [("wmmse", "wmmse, all power"), *((kind, "rzf") for kind in KINDS), *((k, "wmmse") for k in KINDS)]
            for one, other in pairs:
                if one in table and other in table:
                    judge(str(test), f"{one} carries more bits per joule than {other}", table[one], table[other])
    if "sensing" in run:
        for share, rows in run["sensing"].groupby("share"):
            table = rows.pivot_table(index="seed", columns="method", values="value")
            for kind in KINDS:
                if f"sensing-{kind}" in table:
                    judge(f"sensing, share {share:g}", f"sensing-{kind} is above {REFERENCE}",
                          table[f"sensing-{kind}"], table[REFERENCE])  # fmt: skip
    return pd.DataFrame(found, columns=["test", "claim", "difference", "interval", "verdict"])


def sizes(run: Run) -> pd.DataFrame:
    """Return one row for each policy: trained parameters, bytes of them, and processor time of training."""
    table = run["policies"].groupby("method", sort=False)[["trained", "train_s"]].mean()
    return table.assign(bytes=4 * table["trained"]).reset_index()


def report(run: Run, console: Console) -> None:
    """Print all tables and the claims."""
    if "policies" in run and len(run["policies"]):
        table = TextTable("What is trained", "policy", "parameters", "bytes", "processor time (s)")
        for row in sizes(run).to_dict("records"):
            table.add_row(row["method"], f"{row['trained']:,.0f}", si_bytes(row["bytes"]), f"{row['train_s']:.3g}")
        table.print(console)
    if "rounds" in run and len(run["rounds"]):
        table = TextTable("Training over sites", "policy", "rounds", "simulated time (s)", "sent, both ways")
        for method, rows in run["rounds"].groupby("method", sort=False):
            ends = rows.groupby("seed")[["round", "time_s", "bytes"]].max()
            table.add_row(str(method), f"{ends['round'].max()}",
                          with_interval(ends["time_s"].mean(), half_interval(ends["time_s"])),
                          si_bytes(ends["bytes"].mean()))  # fmt: skip
        table.print(console)
    if "energy" in run:
        for test, rows in energy(run).groupby("test", sort=False):
            table = TextTable(f"Test {test}", "method", "bit/J per Hz", "bit/s/Hz", "radiated (W)",
                              caption="95 % intervals over seeds")  # fmt: skip
            for row in rows.sort_values("efficiency").to_dict("records"):
                table.add_row(row["method"], with_interval(row["efficiency"], row["interval"]), f"{row['rate']:.4g}",
                              f"{row['radiated_w']:.3g}")  # fmt: skip
            table.print(console)
    if "sensing" in run:
        found = sensing(run)
        table = TextTable("Sensing beside sending", "share", "method", "rate (bit/s/Hz)", "error", "value",
                          caption=f"least error of any covariance: {found['least_error'].mean():.4f}")  # fmt: skip
        for row in found.to_dict("records"):
            table.add_row(f"{row['share']:g}", row["method"], with_interval(row["rate"], row["rate_interval"]),
                          with_interval(row["error"], row["error_interval"]), f"{row['value']:.3f}")  # fmt: skip
        table.print(console)
    judged = claims(run)
    if len(judged):
        table = TextTable("Claims, paired by seed", "test", "claim", "difference", "")
        for row in judged.to_dict("records"):
            table.add_row(row["test"], row["claim"], with_interval(row["difference"], row["interval"], sign="+"),
                          row["verdict"])  # fmt: skip
        table.print(console)


def plot(run: Run, path: Path) -> list[Path]:
    """Draw error against rate; returns the SVG files."""
    if "energy" in run:
        write_atomically(path / "energy.csv", energy(run).to_csv(index=False, float_format="%.5g").encode())
    if "sensing" not in run:
        return []
    found = sensing(run)
    write_atomically(path / "sensing.csv", found.to_csv(index=False, float_format="%.5g").encode())
    with figures.figure(path / "sensing", height_in=2.6) as (_, (axes,)):
        for number, (method, rows) in enumerate(found.groupby("method", sort=False)):
            axes.plot(rows["rate"], rows["error"], label=method, **figures.line_style(number, len(rows)))
        axes.axhline(found["least_error"].mean(), color="0.6", linewidth=0.8, label="least error of any covariance")
        axes.set_xlabel("sum rate (bit/s/Hz)")
        axes.set_ylabel("error of the beam pattern")
        axes.legend(fontsize=6)
    return [path / "sensing.svg"]
