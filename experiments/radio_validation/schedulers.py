# SPDX-License-Identifier: GPL-2.0-only
"""Proportional fair against round robin and maximum rate: what fading gives, and who pays for it in a street."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .bler import threshold_db
from .checks import Check, Frame, jain
from .config import Config
from .runner import Runner

TABLE = "street"
SCHEDULERS = {"rr": "round robin", "pf": "proportional fair", "max-rate": "maximum rate"}
EQUAL: dict[str, Any] = {  # flat, slow enough for CSI to hold and fast against the 0.1 s over which PF averages
    "place": "equal", "pattern": "FDD", "bandwidth": 5, "mcsTable": 3, "blerTarget": 0.1, "speed": 4, "csiPeriod": 1,
    "csiDelay": 1,
}  # fmt: skip
EQUAL_PRBS = 11
SNR_AT_0_DBM_DB = 15.7  # of EQUAL: free space over 100 m at 3.5 GHz, 11 resource blocks, noise figure 9 dB
SCHEMA = {
    "scheduler": str, "drop": int, "ue": int, "down_bps": float, "decoded_bps": float, "prb_share": float,
    "mean_sinr_db": float,
}  # fmt: skip


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """Equal UEs in Rayleigh fading, several numbers of them; then a street; and the link's rate against SINR."""
    (lines,) = runner.run("bler", [{"mcsTable": 3, "prbs": EQUAL_PRBS}])
    link = folder.table("link", {"mcs": int, "efficiency": float, "sinr_db": float})
    for line in lines:
        curve = pd.DataFrame(line["points"], columns=["sinr_db", "bler"])
        efficiency = line["bits_per_symbol"] * line["code_rate"]
        link.append({"mcs": line["mcs"], "efficiency": efficiency, "sinr_db": threshold_db(curve)})

    cases = list(itertools.product(config.fading_snr_db, config.fading_ues, ("rr", "pf")))
    jobs: list[dict[str, Any]] = [
        EQUAL | {"gnbPower": snr_db - SNR_AT_0_DBM_DB, "numUe": num_ue, "scheduler": scheduler, "seed": config.seed,
                 "seconds": config.fading_seconds}
        for snr_db, num_ue, scheduler in cases
    ]  # fmt: skip
    fading = folder.table("fading", {"snr_db": float, "num_ue": int, **SCHEMA})
    for (snr_db, num_ue, scheduler), lines in zip(cases, runner.run("schedulers", jobs), strict=True):
        for line in lines:
            fading.append({"snr_db": snr_db, "num_ue": num_ue, "scheduler": scheduler, **line})

    jobs = [
        {"place": "street", "numUe": config.street_ues, "drops": config.street_drops, "scheduler": scheduler,
         "seconds": config.street_seconds, "seed": config.seed}
        for scheduler in SCHEDULERS
    ]  # fmt: skip
    street = folder.table(TABLE, SCHEMA)
    for scheduler, lines in zip(SCHEDULERS, runner.run("schedulers", jobs), strict=True):
        for line in lines:
            street.append({"scheduler": scheduler, **line})


def theory(run: Run, snr_db: float, num_ue: int) -> float:
    """Gain of PF over RR with equal UEs in Rayleigh fading: E r(largest of N SINRs) / E r(SINR).

    r is the efficiency of the highest MCS that the SINR allows; below the lowest one HARQ makes up for it, and the
    rate falls as the SINR does.
    """
    link = run["link"].sort_values("mcs")
    limit = 10 ** (link["sinr_db"].cummax().to_numpy() / 10)
    efficiency = link["efficiency"].cummax().to_numpy()
    uniform = (np.arange(200_000) + 0.5) / 200_000

    def mean_rate(largest_of: int) -> float:
        sinr = -(10 ** (snr_db / 10)) * np.log1p(-(uniform ** (1 / largest_of)))
        place = np.searchsorted(limit, sinr, side="right") - 1
        below = efficiency[0] * sinr / limit[0]
        return float(np.where(place >= 0, efficiency[np.maximum(place, 0)], below).mean())

    return mean_rate(num_ue) / mean_rate(1)


def gains(run: Run) -> Frame:
    """Return by (snr_db, num_ue): PF's gain over RR in decoded bits, the gain in theory, the harmonic number."""
    fading: Frame = run["fading"]
    cell = fading.groupby(["snr_db", "num_ue", "scheduler"])["decoded_bps"].sum().unstack()  # noqa: PD010
    rows = {
        place: {
            "measured": row["pf"] / row["rr"],
            "theory": theory(run, *place),
            "harmonic": sum(1 / k for k in range(1, place[1] + 1)),
        }
        for place, row in cell.iterrows()
    }
    return pd.DataFrame(rows).T.rename_axis(["snr_db", "num_ue"])


def street(run: Run) -> Frame:
    """Return by scheduler: cell throughput, Jain's indices (means over drops), UE percentiles, mean log rate."""
    rows = {}
    for scheduler, of_case in run[TABLE].groupby("scheduler", sort=False):
        drops = [drop for _, drop in of_case.groupby("drop")]
        cells = np.array([drop["down_bps"].sum() for drop in drops])
        rows[scheduler] = {
            "cell_bps": cells.mean(),
            "error_bps": cells.std(ddof=1) / np.sqrt(len(cells)),
            "jain_rate": np.mean([jain(drop["down_bps"].to_numpy()) for drop in drops]),
            "jain_prbs": np.mean([jain(drop["prb_share"].to_numpy()) for drop in drops]),
            "p5_bps": of_case["down_bps"].quantile(0.05),
            "p50_bps": of_case["down_bps"].quantile(0.5),
            "log_rate": np.log(of_case["down_bps"].clip(lower=1e3)).mean(),
        }
    return pd.DataFrame(rows).T


def draw(run: Run) -> list[Path]:
    """Gain of PF in equal fading; rates of all UEs of the street; cell throughput and fairness of each drop."""
    found = gains(run)
    with figures.figure(run.path / "pf_gain", height_in=2.5) as (figure, (axes,)):
        for index, (snr_db, curve) in enumerate(found.groupby(level="snr_db")):
            x, colour = curve.index.get_level_values("num_ue"), figures.COLOURS[index]
            marker = figures.MARKERS[index]
            axes.plot(x, curve["measured"], marker, color=colour, ms=4, label=f"cell, mean SNR {snr_db:g} dB")
            axes.plot(x, curve["theory"], color=colour, ls=figures.DASHES[index], label=f"theory, {snr_db:g} dB")
        axes.plot(x, curve["harmonic"], "k:", label=r"low SNR limit $\sum_{k \leq N} 1/k$")
        axes.set(xlabel="number of UEs $N$", ylabel="rate of PF / rate of RR", xticks=list(x))
        lines = axes.get_legend_handles_labels()[0]
        lines = [*lines[:-1:2], lines[-1], *lines[1::2]]  # a column of cells, one of theory
        figure.legend(handles=lines, loc="outside upper center", ncols=2, fontsize=6)
    with figures.figure(run.path / "schedulers", width_in=figures.PAGE_IN, height_in=2.4, columns=2) as (_, panels):
        for index, (scheduler, label) in enumerate(SCHEDULERS.items()):
            of_case = run[TABLE][run[TABLE]["scheduler"] == scheduler]
            style: dict[str, Any] = {"color": figures.COLOURS[index], "linestyle": figures.DASHES[index]}
            panels[0].ecdf(of_case["down_bps"].clip(lower=1e4) / 1e6, label=label, **style)
            drops = of_case.groupby("drop")["down_bps"]
            fair = drops.apply(lambda rates: jain(rates.to_numpy()))
            panels[1].plot(fair, drops.sum() / 1e6, figures.MARKERS[index], color=figures.COLOURS[index], label=label)
        panels[0].set_xscale("symlog", linthresh=10)
        panels[0].set_xticks([0, 10, 100, 1000], ["0", "10", "100", "1000"])
        panels[0].minorticks_off()
        panels[0].set(xlabel="throughput of a UE (Mbit/s)", ylabel="share of UEs", xlim=(0, 3000))
        panels[0].legend(loc="upper left", bbox_to_anchor=(0.02, 1.0))
        panels[1].set(xlabel="Jain's index of the throughputs of a drop", ylabel="throughput of the cell (Mbit/s)")
        panels[1].set(xlim=(0, 1), ylim=(0, None))
        panels[1].legend(loc="lower center")
    return [run.path / "pf_gain.svg", run.path / "schedulers.svg"]


def numbers(run: Run) -> list[TextTable]:
    """Gains in equal fading, and the street."""
    equal = TextTable("PF over RR, equal UEs in Rayleigh fading", "mean SNR, UEs", "measured", "theory", "sum 1/k")
    for (snr_db, num_ue), row in gains(run).iterrows():
        equal.add_row(
            f"{snr_db:g} dB, {num_ue:g}", *(f"{row[name]:.2f}" for name in ("measured", "theory", "harmonic"))
        )
    table = TextTable("A street", "scheduler", "cell", "UE, 5 %", "UE, 50 %", "Jain, rates", "Jain, PRBs")
    for scheduler, row in street(run).iterrows():
        rates = [f"{row[name] / 1e6:.0f} Mbit/s" for name in ("cell_bps", "p5_bps", "p50_bps")]
        table.add_row(SCHEDULERS[str(scheduler)], *rates, f"{row['jain_rate']:.2f}", f"{row['jain_prbs']:.3f}")
    return [equal, table]


def checks(run: Run) -> list[Check]:
    """The gain is theory's; max-rate >= PF >= RR in cell throughput; RR is fair in resources, PF best in log rate."""
    found, cells = gains(run), street(run)
    off = (found["measured"] / found["theory"] - 1).abs().max()
    rising = found["measured"].groupby(level="snr_db").diff().dropna()
    total = cells["cell_bps"]
    return [
        Check("schedulers", "PF's gain is what theory says", f"{100 * off:.0f} % off at most", bool(off < 0.2)),
        Check("schedulers", "and grows with UEs", f"by {rising.min():.2f} at least", bool(rising.min() > 0)),
        Check("schedulers", "max-rate >= PF >= RR in cell throughput",
              " >= ".join(f"{total[name] / 1e6:.0f}" for name in ("max-rate", "pf", "rr")) + " Mbit/s",
              bool(total["max-rate"] >= total["pf"] >= total["rr"])),
        Check("schedulers", "RR shares resources equally", f"Jain's index {cells.loc['rr', 'jain_prbs']:.4f}",
              bool(cells.loc["rr", "jain_prbs"] > 0.98)),
        Check("schedulers", "PF has the largest mean log rate",
              ", ".join(f"{name} {value:.2f}" for name, value in cells["log_rate"].items()),
              bool(cells["log_rate"].idxmax() == "pf")),
    ]  # fmt: skip
