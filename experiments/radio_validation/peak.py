# SPDX-License-Identifier: GPL-2.0-only
"""Peak rates: delivered against transport blocks x slots, and how far that is from TS 38.306, factor by factor."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pandas as pd

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check
from .config import Config
from .patterns import slots
from .runner import Runner

TABLE = "peak"
MOST_RESIDUAL = 0.005
CONTROL_SYMBOLS, DMRS = 1, 12  # of the cell, a slot; resource elements of a resource block
FR2_HZ, FR2_OVERHEAD = 24.25e9, 6  # SSB, CSI-RS, PT-RS; PUCCH, SRS: resource elements of a resource block
SUBCARRIERS, SYMBOLS = 12, 14
HEADERS = 9  # bytes a packet: PDCP 3, RLC 3, MAC 3
BEST_RATE = 948 / 1024


@dataclasses.dataclass(frozen=True)
class Row:
    """A carrier and what 38.306 says of it."""

    name: str
    frequency_hz: float
    numerology: int
    bandwidth_mhz: int
    layers: int
    mcs_table: int
    uplink: bool
    pattern: str
    formula_overhead: float  # OH of 38.306 4.1.2


ROWS = (
    Row("100 MHz, 30 kHz, 4 layers down", 3.5e9, 1, 100, 4, 2, False, "FDD", 0.14),
    Row("100 MHz, 30 kHz, up", 3.5e9, 1, 100, 1, 2, True, "FDD", 0.08),
    Row("40 MHz, 30 kHz, 4 layers down", 3.5e9, 1, 40, 4, 2, False, "FDD", 0.14),
    Row("20 MHz, 15 kHz, 2 layers down", 2.1e9, 0, 20, 2, 2, False, "FDD", 0.14),
    Row("FR2 400 MHz, 120 kHz, 2 layers down", 28e9, 3, 400, 2, 1, False, "FDD", 0.18),
    Row("FR2 400 MHz, 120 kHz, up", 28e9, 3, 400, 1, 1, True, "FDD", 0.10),
    Row("100 MHz, DDDSU, 4 layers down", 3.5e9, 1, 100, 4, 2, False, "DDDSU", 0.14),
    Row("100 MHz, DDDSU, up", 3.5e9, 1, 100, 1, 2, True, "DDDSU", 0.08),
)
FACTORS = {
    "overhead_undone": "OH of the formula taken back",
    "control": "control symbols",
    "dmrs": "DMRS",
    "signals": "SSB, CSI-RS, PT-RS, PUCCH, SRS (FR2)",
    "slots": "slots of the TDD pattern",
    "code_rate": "code rate against 948/1024",
    "quantisation": "transport block sizes",
    "headers": "PDCP, RLC, MAC headers",
}
SCHEMA = {
    "row": str, "formula_bps": float, "prbs": int, "layers": int, "blocks": int, "lost_blocks": int,
    "scheduled_bps": float, "delivered_bps": float, "delivered_of_scheduled": float,
    **dict.fromkeys(FACTORS, float), "explained_bps": float, "residual": float,
}  # fmt: skip


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """One run a row, at a power at which every block is of the highest MCS."""
    jobs: list[dict[str, Any]] = [
        {
            "frequency": row.frequency_hz, "numerology": row.numerology, "bandwidth": row.bandwidth_mhz,
            "layers": row.layers, "mcsTable": row.mcs_table, "pattern": row.pattern, "uplink": row.uplink,
            "gnbPower": 90, "uePower": 80, "p0": 20, "seed": config.seed, "packetBytes": 1500,
            # so long that a packet more or less at either end is little
            "seconds": config.peak_seconds * (4 if row.uplink or row.numerology == 0 else 1),
        }
        for row in ROWS
    ]  # fmt: skip
    writer = folder.table(TABLE, SCHEMA)
    for row, (line,) in zip(ROWS, runner.run("peak", jobs), strict=True):
        writer.append(explain(row, line))


def formula_bps(row: Row, prbs: int, bits_per_symbol: int) -> float:
    """TS 38.306 4.1.2, one carrier, scaling factor 1."""
    symbols_per_s = SYMBOLS * 2**row.numerology * 1000
    rate = row.layers * bits_per_symbol * BEST_RATE * prbs * SUBCARRIERS * symbols_per_s
    return rate * (1 - row.formula_overhead)


def elements(row: Row) -> list[int]:
    """Resource elements for data of a resource block, for each slot of the pattern."""
    found = []
    for slot in slots(row.pattern):
        symbols = (slot.uplink if slot.uplink > 2 else 0) if row.uplink else max(0, slot.downlink - CONTROL_SYMBOLS)
        found.append(max(0, SUBCARRIERS * symbols - DMRS - overhead(row)))
    return found


def overhead(row: Row) -> int:
    """Resource elements of a resource block that other signals than DMRS take, on average."""
    return FR2_OVERHEAD if row.frequency_hz >= FR2_HZ else 0


def explain(row: Row, line: dict[str, Any]) -> dict[str, Any]:
    """One row of the table: `line` is what was printed. The product of the factors is explained / formula."""
    bits_per_symbol, code_rate = {1: (6, 948 / 1024), 2: (8, 948 / 1024)}[row.mcs_table]
    of_slot, full = elements(row), SUBCARRIERS * SYMBOLS
    used = line["positions"]
    scheduled_bits = sum(at["most_bits"] * at["blocks"] for at in used)
    exact_bits = sum(
        of_slot[at["position"]] * at["prbs"] * bits_per_symbol * code_rate * at["layers"] * at["blocks"] for at in used
    )
    control = 0 if row.uplink else CONTROL_SYMBOLS
    left = full - SUBCARRIERS * control
    data = left - DMRS - overhead(row)
    factors = {
        "overhead_undone": 1 / (1 - row.formula_overhead),
        "control": left / full,
        "dmrs": (left - DMRS) / left,
        "signals": data / (left - DMRS),
        "slots": sum(of_slot) / len(of_slot) / data,
        "code_rate": code_rate / BEST_RATE,
        "quantisation": scheduled_bits / exact_bits,
        "headers": line["packet_bytes"] / (line["packet_bytes"] + HEADERS),
    }
    formula = formula_bps(row, line["prbs"], bits_per_symbol)
    explained = formula * math.prod(factors.values())
    delivered = 8 * line["delivered_bytes"] / line["window_s"]
    scheduled = scheduled_bits / line["window_s"]
    return {
        "row": row.name, "formula_bps": formula, "prbs": line["prbs"], "layers": row.layers,
        "blocks": sum(at["blocks"] for at in used), "lost_blocks": sum(at["lost"] for at in used),
        "scheduled_bps": scheduled, "delivered_bps": delivered,
        "delivered_of_scheduled": delivered / (scheduled * factors["headers"]), **factors,
        "explained_bps": explained, "residual": delivered / explained - 1,
    }  # fmt: skip


def draw(run: Run) -> list[Path]:
    """FDD: each factor of each row as a bar, 100 ln(factor), so that bars add up to the distance."""
    rows = run[TABLE].iloc[::-1]
    rows = rows[rows["slots"] == 1]
    with figures.figure(run.path / "peak", width_in=figures.PAGE_IN, height_in=2.2) as (figure, (axes,)):
        above, below = pd.Series(0.0, rows.index), pd.Series(0.0, rows.index)
        for index, (name, label) in enumerate(FACTORS.items()):
            size = 100 * rows[name].map(math.log)
            if (size.abs() < 1e-9).all():
                continue  # the code rate is 948/1024 in all of them
            start = above.where(size > 0, below)
            axes.barh(rows["row"], size, left=start, label=label, color=figures.COLOURS[index], height=0.55)
            above, below = above + size.clip(lower=0), below + size.clip(upper=0)
        distance = 100 * (rows["delivered_bps"] / rows["formula_bps"]).map(math.log)
        axes.plot(distance, rows["row"], "kD", ms=3.5, mfc="white", label="delivered, measured")
        axes.axvline(0, color="black", lw=0.6)
        axes.set_xlabel("100 ln(rate / TS 38.306 formula), about per cent")
        figure.legend(loc="outside upper center", ncols=4, columnspacing=1.0, fontsize=6)
    return [run.path / "peak.svg"]


def numbers(run: Run) -> list[TextTable]:
    """Rates, and the factors between them."""
    rows = run[TABLE].to_dict("records")
    rates = TextTable("Peak rates, Mbit/s", "carrier", "38.306", "scheduled", "delivered", "residual")
    parts = TextTable("From the formula to what is delivered", "factor", *(str(i + 1) for i in range(len(rows))))
    for number, row in enumerate(rows, 1):
        values = [f"{row[name] / 1e6:.1f}" for name in ("formula_bps", "scheduled_bps", "delivered_bps")]
        rates.add_row(f"{number}: {row['row']}", *values, f"{100 * row['residual']:+.2f} %")
    for name, label in FACTORS.items():
        parts.add_row(label, *(f"{row[name]:.4f}" for row in rows))
    return [rates, parts]


def checks(run: Run) -> list[Check]:
    """Delivered is what is scheduled, and the factors explain the distance to the formula, within 0.5 %."""
    rows = run[TABLE]
    off, residual = (rows["delivered_of_scheduled"] - 1).abs().max(), rows["residual"].abs().max()
    what = "delivered is transport blocks x slots less headers"
    return [
        Check("peak", what, f"{100 * off:.2f} % off at most", bool(off < MOST_RESIDUAL)),
        Check("peak", "the factors explain 38.306's distance", f"{100 * residual:.2f} % left at most",
              bool(residual < MOST_RESIDUAL)),
        Check("peak", "no block is lost", f"{rows['lost_blocks'].sum()} lost", bool((rows["lost_blocks"] == 0).all())),
    ]  # fmt: skip
