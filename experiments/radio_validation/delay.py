# SPDX-License-Identifier: GPL-2.0-only
"""One-way delay of a small packet in an idle cell, reckoned slot by slot beside what the cell does."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .patterns import slots
from .runner import Runner

TABLE = "delay"
GNB_DELAY = 1  # slots, of the cell
SYMBOLS = 14  # of a slot
# TS 38.214 tables 5.3-1 (N1) and 6.4-1 (N2), symbols, numerologies 0 to 3: until a UE has decoded a block, and until it
# has prepared one that was granted in the first symbol of a slot.
DECODING_SYMBOLS = (8, 10, 17, 20)
PREPARATION_SYMBOLS = (10, 12, 23, 36)
USUAL_K2 = 2
DATA_UPLINK = 3  # symbols a slot needs for uplink data: two are for requests and sounding
DIRECTIONS = {False: "down", True: "up"}
PATTERNS = ("FDD", "DDDSU")
NUMEROLOGIES = (0, 1, 2, 3)
PARTS = {
    "boundary": "to the next slot",
    "request": "for a slot with a request in it",
    "request_air": "request on the air, and read",
    "decision": "for a slot that can be granted",
    "prepare": "gNB prepares (1 slot)",
    "grant": "grant to block ($K_2$)",
    "air": "block on the air",
    "decode": "block is decoded",
}
SCHEMA = {
    "numerology": int, "pattern": str, "direction": str, "position": int, "part": float, "delay_s": float,
    "block_slots": int, "out_slots": int, **{f"{part}_slots": float for part in PARTS},
    "reckoned_s": float, "reckoned_block_slots": int, "reckoned_out_slots": int,
}  # fmt: skip
# The NR module that is used with ns-3 today, low load: mean one-way delay in ms for numerologies 0 to 3.
OTHER_MODULE_MS = {"down": (3.5, 1.8, 0.95, 0.53), "up": (8.5, 4.3, 2.2, 1.15)}
IMT_EMBB_MS, IMT_URLLC_MS = 4.0, 1.0  # ITU-R M.2410 4.7.1: user plane latency


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """Both directions and patterns, four numerologies, arrivals all over the pattern."""
    cases = list(itertools.product(NUMEROLOGIES, PATTERNS, DIRECTIONS))
    jobs: list[dict[str, Any]] = [
        {
            "numerology": mu, "pattern": pattern, "uplink": uplink, "frequency": 28e9 if mu == 3 else 3.5e9,
            "bandwidth": 20 if mu == 0 else 100, "gnbPower": 60, "uePower": 50, "p0": -20,
            "perSlot": config.arrivals, "seed": config.seed,
        }
        for mu, pattern, uplink in cases
    ]  # fmt: skip
    writer = folder.table(TABLE, SCHEMA)
    for (mu, pattern, uplink), lines in zip(cases, runner.run("delay", jobs), strict=True):
        for line in lines:
            parts = reckon(pattern, uplink, line["position"], line["part"], mu)
            out = parts["boundary"] + sum(list(parts.values())[1:])
            decoding = parts["air"] + parts["decode"]
            writer.append(
                {
                    "numerology": mu, "pattern": pattern, "direction": DIRECTIONS[uplink],
                    "position": line["position"], "part": line["part"], "delay_s": 1e-9 * line["delay_ns"],
                    "block_slots": line["block_slots"], "out_slots": line["out_slots"],
                    **{f"{part}_slots": parts[part] for part in PARTS},
                    "reckoned_s": 1e-9 * line["slot_ns"] * out,
                    "reckoned_block_slots": round(out - decoding + line["part"]),
                    "reckoned_out_slots": round(out + line["part"]),
                }
            )  # fmt: skip


def reckon(pattern: str, uplink: bool, position: int, part: float, numerology: int) -> dict[str, float]:
    """Slots that a packet spends on each of PARTS, when it comes after `part` of slot `position` of the pattern.

    Down: put into a block at the first boundary from which GNB_DELAY slots on there is downlink. Up: the request goes
    in the first slot with uplink symbols and is acted on 1 + GNB_DELAY slots later; an uplink slot u is granted in the
    last slot with downlink that is K2 or more before u, which is decided GNB_DELAY slots before that.
    """
    plan = slots(pattern)
    ue_delay = math.ceil(DECODING_SYMBOLS[numerology] / SYMBOLS)
    k2 = max(USUAL_K2, math.ceil((PREPARATION_SYMBOLS[numerology] + 1) / SYMBOLS))

    def at(slot: int) -> Any:
        return plan[slot % len(plan)]

    boundary = position + 1
    parts = dict.fromkeys(PARTS, 0.0) | {"boundary": 1 - part, "prepare": GNB_DELAY, "air": 1.0}
    if not uplink:
        block = next(slot for slot in itertools.count(boundary + GNB_DELAY) if at(slot).downlink > 1)
        return parts | {"decision": float(block - GNB_DELAY - boundary), "decode": float(ue_delay)}
    request = next(slot for slot in itertools.count(boundary) if at(slot).uplink)
    known = request + 1 + GNB_DELAY
    for block in itertools.count(known):
        if at(block).uplink < DATA_UPLINK:
            continue
        granted = next(slot for slot in itertools.count(block - k2, -1) if at(slot).downlink)
        if granted - GNB_DELAY >= known:
            break
    return parts | {
        "request": float(request - boundary), "request_air": float(known - request),
        "decision": float(granted - GNB_DELAY - known), "grant": float(block - granted), "decode": float(GNB_DELAY),
    }  # fmt: skip


def mean_parts(run: Run) -> Frame:
    """Mean slots of each part by (pattern, direction) at numerology 1."""
    columns = [f"{part}_slots" for part in PARTS]
    rows: Frame = run[TABLE]
    return rows[rows["numerology"] == 1].groupby(["pattern", "direction"], sort=False)[columns].mean()


def draw(run: Run) -> list[Path]:
    """Delay against numerology; what the mean is made of; the distribution over moments of arrival."""
    rows: Frame = run[TABLE]
    path = run.path
    with figures.figure(path / "delay", width_in=figures.PAGE_IN, height_in=2.6, columns=2) as (figure, panels):
        for axes, direction in zip(panels, DIRECTIONS.values(), strict=True):
            for index, pattern in enumerate(PATTERNS):
                of_case = rows[(rows["pattern"] == pattern) & (rows["direction"] == direction)]
                delay_ms = 1e3 * of_case.groupby("numerology")["delay_s"].agg(["mean", "min", "max"])
                x = delay_ms.index + (index - 0.5) * 0.2
                spread = [delay_ms["mean"] - delay_ms["min"], delay_ms["max"] - delay_ms["mean"]]
                style: dict[str, Any] = {
                    "color": figures.COLOURS[index],
                    "marker": figures.MARKERS[index],
                    "capsize": 2,
                }
                axes.errorbar(x, delay_ms["mean"], spread, ls="none", label=f"{pattern}: mean, least, most", **style)
            other = OTHER_MODULE_MS[direction]
            axes.plot(NUMEROLOGIES, other, "kx", ms=4, label="NR module used with ns-3 today")
            for limit, ls, name in ((IMT_EMBB_MS, "-", "eMBB"), (IMT_URLLC_MS, "--", "URLLC")):
                axes.axhline(limit, color="#7F7F7F", lw=0.8, ls=ls, label=f"M.2410, {name}: {limit:g} ms")
            axes.set_yscale("log")
            axes.set(xticks=NUMEROLOGIES, xlabel=r"numerology $\mu$", title=f"{direction}link", ylim=(0.2, 20))
            axes.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"])
            axes.minorticks_off()
        panels[0].set_ylabel("one-way delay (ms)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, columnspacing=1.0)
    means = mean_parts(run)
    with figures.figure(path / "delay_parts", width_in=figures.PAGE_IN, height_in=2.1) as (figure, (axes,)):
        names = [f"{direction}, {pattern}" for pattern, direction in means.index]
        start = np.zeros(len(means))
        for index, (part, label) in enumerate(PARTS.items()):
            size = means[f"{part}_slots"].to_numpy()
            hatch = "///" if index % 2 else ""
            axes.barh(names, size, left=start, label=label, color=figures.COLOURS[index], height=0.6,
                      hatch=hatch, edgecolor="white", lw=0)  # fmt: skip
            start += size
        for name, total in zip(names, start, strict=True):
            axes.annotate(f"{total:.1f}", (total, name), xytext=(3, 0), textcoords="offset points", va="center")
        axes.invert_yaxis()
        axes.set(xlabel=r"mean delay at $\mu = 1$ (slots of 0.5 ms)", xlim=(0, start.max() * 1.08))
        figure.legend(loc="outside upper center", ncols=4, columnspacing=1.0, fontsize=6)
    with figures.figure(path / "delay_distribution") as (_, (axes,)):
        shown = rows[rows["numerology"] == 1].groupby(["direction", "pattern"], sort=False)
        for index, (case, of_case) in enumerate(shown):
            ordered = np.sort(1e3 * of_case["delay_s"].to_numpy())
            line: dict[str, Any] = {"color": figures.COLOURS[index], "linestyle": figures.DASHES[index]}
            axes.ecdf(ordered, label="link, ".join(case), **line)
        axes.set(xlabel=r"one-way delay (ms), $\mu = 1$", ylabel="share of arrivals", xlim=(0, None))
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, 1.3), ncols=2)
    return [path / f"{name}.svg" for name in ("delay", "delay_parts", "delay_distribution")]


def numbers(run: Run) -> list[TextTable]:
    """Delays beside the other module's and IMT-2020's limits; mean slots of each part."""
    table = TextTable("One-way delay, ms", "case", "least", "mean", "most", "other module", "4 ms", "1 ms")
    rows: Frame = run[TABLE]
    for (direction, pattern, mu), delays in rows.groupby(["direction", "pattern", "numerology"], sort=False)["delay_s"]:
        found = 1e3 * np.array([delays.min(), delays.mean(), delays.max()])
        met = ["mean" if found[1] <= limit < found[2] else "yes" if found[2] <= limit else "no"
               for limit in (IMT_EMBB_MS, IMT_URLLC_MS)]  # fmt: skip
        cells = [f"{value:.2f}" for value in found]
        table.add_row(f"{direction}, {pattern}, mu {mu}", *cells, f"{OTHER_MODULE_MS[direction][mu]:.2f}", *met)
    means = mean_parts(run)
    parts = TextTable(
        "Mean delay at mu 1, slots", "part", *(f"{direction}, {pattern}" for pattern, direction in means.index)
    )
    for part, label in PARTS.items():
        parts.add_row(label.replace("$", ""), *(f"{value:.1f}" for value in means[f"{part}_slots"]))
    parts.add_row("sum", *(f"{value:.1f}" for value in means.sum(axis="columns")))
    return [table, parts]


def checks(run: Run) -> list[Check]:
    """Check that every packet takes the slots that were calculated for it, and this many ms."""
    rows: Frame = run[TABLE]
    same = (rows["block_slots"] == rows["reckoned_block_slots"]) & (rows["out_slots"] == rows["reckoned_out_slots"])
    off_us = 1e6 * (rows["delay_s"] - rows["reckoned_s"]).abs().max()
    return [
        Check("delay", "each packet takes the slots reckoned for it", f"{same.sum()} of {len(same)}", bool(same.all())),
        # slots are not all equally long: 0.52 us more at each half subframe
        Check("delay", "and the time", f"{off_us:.2f} us off at most", bool(off_us < 1.1)),
    ]
