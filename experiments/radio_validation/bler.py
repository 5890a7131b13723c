# SPDX-License-Identifier: GPL-2.0-only
"""Block error rate against SINR in AWGN for every MCS of tables 1 to 3, the implementation gap, and HARQ's gain."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .runner import Runner

TABLE = "bler"
LDPC_GAP = -1.0  # what the cell takes for the gap: that of LDPC codes, see nr-error-model.h
LDPC_POINTS = Path(__file__).parent / "ldpc_awgn.csv"
NEAR_LDPC_DB = 0.15
TARGET = 0.1
COMBINING = {"ir": "incremental redundancy", "chase": "chase combining"}
HARQ_MCS = 24  # of table 2: 256QAM at a high code rate, where redundancy gains
DRAWN_EVERY = 3  # of the MCS of a table
SCHEMA = {
    "mcs_table": int, "mcs": int, "bits_per_symbol": int, "code_rate": float, "transport_bits": int,
    "code_blocks": int, "gap_db": float, "combining": str, "transmissions": int, "sinr_db": float, "bler": float,
}  # fmt: skip


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """Tables 1 to 3 with one transmission, with and without the gap; table 2 with 2 to 4, both ways of combining."""
    jobs: list[dict[str, Any]] = [{"mcsTable": table, "gap": gap} for table in (1, 2, 3) for gap in (LDPC_GAP, 0.0)]
    jobs = [{**job, "transmissions": 1, "combining": "ir"} for job in jobs]
    jobs += [
        {"mcsTable": 2, "gap": LDPC_GAP, "transmissions": number, "combining": combining}
        for number in (2, 3, 4)
        for combining in COMBINING
    ]
    writer = folder.table(TABLE, SCHEMA)
    for job, lines in zip(jobs, runner.run("bler", jobs), strict=True):
        for line in lines:
            same = {name: line[name] for name in ("mcs", "bits_per_symbol", "code_rate", "transport_bits")}
            same |= {"code_blocks": line["code_blocks"], "mcs_table": job["mcsTable"], "gap_db": job["gap"]}
            same |= {"combining": job["combining"], "transmissions": job["transmissions"]}
            for sinr_db, bler in line["points"]:
                writer.append({**same, "sinr_db": sinr_db, "bler": bler})


def threshold_db(curve: pd.DataFrame, target: float = TARGET) -> float:
    """SINR at which a curve (columns sinr_db, bler) crosses the target: straight lines in log(bler)."""
    bler, sinr_db = curve["bler"].to_numpy(), curve["sinr_db"].to_numpy()
    order = np.argsort(bler, kind="stable")
    return float(np.interp(np.log(target), np.log(bler[order]), sinr_db[order]))


def thresholds(run: Run) -> Frame:
    """SINR in dB at 10 % by (mcs_table, gap_db, combining, transmissions, mcs)."""
    places = ["mcs_table", "gap_db", "combining", "transmissions", "mcs"]
    found = {place: threshold_db(curve) for place, curve in run[TABLE].groupby(places)}
    return pd.Series(found).rename_axis(places)


def gap_db(run: Run) -> float:
    """Of the cell when the run was made, dB, or LDPC_GAP."""
    gaps: Frame = run[TABLE]["gap_db"].unique()
    return float(next(gap for gap in gaps if gap != 0))


def gap_name(run: Run) -> str:
    """What the cell's gap is, for people."""
    gap = gap_db(run)
    return "gap of LDPC codes" if gap == LDPC_GAP else f"implementation gap of {gap:g} dB"


def ldpc_points(prbs: int = 50) -> Frame:
    """Simulated LDPC codes (ldpc_awgn.csv): SINR in dB at 10 % of lost blocks by (bits_per_symbol, code_rate)."""
    points = pd.read_csv(LDPC_POINTS, comment="#")
    points["code_rate"] = points["rate_1024"] / 1024
    return points[points["prbs"] == prbs].set_index(["bits_per_symbol", "code_rate"])["sinr_db"]


def from_ldpc_db(run: Run) -> Frame:
    """Return how far the cell's 10 % are above those of simulated LDPC codes, dB, by (mcs_table, mcs), if simulated."""
    rows: Frame = run[TABLE]
    found, points = thresholds(run), ldpc_points()
    off: dict[tuple[int, int], float] = {}
    schemes = rows[["mcs_table", "mcs", "bits_per_symbol", "code_rate"]].drop_duplicates()
    for scheme in schemes.itertuples():
        for (bits, rate), sinr_db in points.items():
            if scheme.bits_per_symbol == bits and abs(scheme.code_rate - rate) < 1e-5:
                place = (scheme.mcs_table, gap_db(run), "ir", 1, scheme.mcs)
                off[scheme.mcs_table, scheme.mcs] = found.loc[place] - sinr_db
    return pd.Series(off).rename_axis(["mcs_table", "mcs"])


def draw(run: Run) -> list[Path]:
    """Draw curves of every third MCS of each table, HARQ of one MCS, and the gain of HARQ for all of table 2."""
    rows: Frame = run[TABLE]
    first = rows[rows["transmissions"] == 1]
    with figures.figure(run.path / "bler", width_in=figures.PAGE_IN, height_in=2.7, columns=3) as (figure, panels):
        for axes, (table, of_table) in zip(panels, first.groupby("mcs_table"), strict=True):
            chosen = sorted(of_table["mcs"].unique())[::DRAWN_EVERY]
            for index, mcs in enumerate(chosen):
                for gap, curve in of_table[of_table["mcs"] == mcs].groupby("gap_db"):
                    colour = figures.COLOURS[index % len(figures.COLOURS)]
                    if gap:
                        axes.semilogy(curve["sinr_db"], curve["bler"], color=colour, lw=1.0)
                        axes.annotate(
                            str(mcs), (threshold_db(curve, 2e-3), 2e-3 / 2 ** (index % 2)), fontsize=6, color=colour,
                            ha="center", va="center", bbox={"fc": "white", "ec": "none", "pad": 0.4},
                        )  # fmt: skip
                    else:
                        axes.semilogy(curve["sinr_db"], curve["bler"], color=colour, lw=0.6, ls=":")
            axes.set(xlabel="SINR (dB)", ylim=(1e-4, 1), title=f"MCS table {table}")
        panels[0].set_ylabel("block error rate")
        panels[0].plot([], [], "k-", lw=1.0, label=f"the cell's receivers ({gap_name(run)})")
        panels[0].plot([], [], "k:", lw=0.6, label="normal approximation, no gap")
        figure.legend(loc="outside upper center", ncols=2)
    drawn = [run.path / "bler.svg"]
    with figures.figure(run.path / "harq", width_in=figures.PAGE_IN, height_in=2.5, columns=2) as (_, (left, right)):
        harq = rows[(rows["mcs_table"] == 2) & (rows["gap_db"] == gap_db(run))]
        for (transmissions, combining), curve in harq[harq["mcs"] == HARQ_MCS].groupby(["transmissions", "combining"]):
            label = f"{transmissions}, {combining}" if transmissions > 1 else "1"
            style: dict[str, Any] = {"color": figures.COLOURS[transmissions - 1]}
            style["linestyle"] = "-" if combining == "ir" else "--"
            left.semilogy(curve["sinr_db"], curve["bler"], label=label, lw=1.1, **style)
        left.set(xlabel="SINR of each transmission (dB)", ylabel="block error rate", ylim=(1e-4, 1))
        left.set_title(f"MCS {HARQ_MCS} of table 2")
        left.legend(title="transmissions", fontsize=6, title_fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
        for index, ((transmissions, combining), gain) in enumerate(harq_gain_db(run).groupby(level=[0, 1])):
            style = figures.line_style(index, len(gain)) | {"color": figures.COLOURS[transmissions - 1]}
            style["linestyle"] = "-" if combining == "ir" else "--"
            right.plot(gain.index.get_level_values("mcs"), gain, **style)
        right.set_ylim(0, None)
        right.set(xlabel="MCS of table 2", ylabel="gain over one\ntransmission (dB)", title="at 10 % block error rate")
    return [*drawn, run.path / "harq.svg"]


def harq_gain_db(run: Run) -> Frame:
    """How much lower each SINR may be, dB, by (transmissions, combining, mcs)."""
    found = thresholds(run).loc[2, gap_db(run)]
    one = found.loc["ir", 1]
    rows = {
        (number, combining, mcs): one[mcs] - value for (combining, number, mcs), value in found.items() if number > 1
    }
    return pd.Series(rows).rename_axis(["transmissions", "combining", "mcs"]).sort_index()


def numbers(run: Run) -> list[TextTable]:
    """SINR at 10 % of the lowest, a middle and the highest MCS of each table; HARQ's gain."""
    found = thresholds(run)
    gain = harq_gain_db(run)
    table = TextTable(
        "SINR for 10 % block error rate, AWGN", "MCS table", "lowest", "middle", "highest", "gap", "from LDPC"
    )
    for number in (1, 2, 3):
        of_table, bare = found.loc[number, gap_db(run), "ir", 1], found.loc[number, 0.0, "ir", 1]
        off = from_ldpc_db(run).loc[number]
        places = (0, len(of_table) // 2, len(of_table) - 1)
        cells = [f"{of_table.iloc[place]:.1f} dB" for place in places]
        table.add_row(str(number), *cells, f"{(of_table - bare).mean():.2f} dB",
                      f"{off.min():+.2f} to {off.max():+.2f} dB")  # fmt: skip
    harq = TextTable("HARQ: gain at 10 %, table 2", "transmissions", "chase", "redundancy, least", "mean", "most")
    for number in (2, 3, 4):
        ir, chase = gain.loc[number, "ir"], gain.loc[number, "chase"]
        cells = [f"{value:.1f} dB" for value in (chase.mean(), ir.min(), ir.mean(), ir.max())]
        harq.add_row(str(number), *cells)
    return [table, harq]


def checks(run: Run) -> list[Check]:
    """Curves fall, near those of LDPC codes; the gap moves them by itself; chase gains 10 log10(n), redundancy more."""
    rows: Frame = run[TABLE]
    found = thresholds(run)
    gain, gap, off = harq_gain_db(run), gap_db(run), from_ldpc_db(run)
    places = ["mcs_table", "gap_db", "combining", "transmissions", "mcs"]
    ordered = rows.sort_values([*places, "sinr_db"])
    rise = float(ordered.groupby(places)["bler"].diff().max())
    moved = pd.concat([found.loc[t, gap, "ir", 1] - found.loc[t, 0.0, "ir", 1] for t in (1, 2, 3)])
    chase = max(float((gain.loc[number, "chase"] - 10 * np.log10(number)).abs().max()) for number in (2, 3, 4))
    more = min(float((gain.loc[number, "ir"] - gain.loc[number, "chase"]).min()) for number in (2, 3, 4))
    return [
        Check("bler", "every curve falls with SINR", f"{rise:.1e} at most", bool(rise <= 0)),
        Check("bler", f"10 % is within {NEAR_LDPC_DB} dB of LDPC codes", f"{off.min():+.2f} to {off.max():+.2f} dB",
              bool(off.abs().max() <= NEAR_LDPC_DB)),
        Check("bler", f"the {gap_name(run)} moves curves to higher SINR", f"{moved.min():.2f} to {moved.max():.2f} dB",
              bool(moved.min() > 0.2 and moved.max() < 1)),
        Check("bler", "n chase transmissions gain 10 log10(n) dB", f"{chase:.3f} dB off at most", chase < 0.02),
        Check("bler", "redundancy gains no less than chase", f"{more:.3f} dB at least", more > -0.1),
    ]  # fmt: skip
