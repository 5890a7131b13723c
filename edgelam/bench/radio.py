# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench radio`` measures how many seconds of an NR cell one core simulates per second.

A C++ program (ns3-scenarios/bench/radio.cc), pinned to the highest core, measures a cell: UMi at 3.5 GHz, 100 MHz at
30 kHz, TDD DDDSU, a gNB with 64 elements, UEs with 4 elements that walk, fast fading on. Traffic is put into the
bearers above RLC or, in the cases named ``-ip``, sent as UDP datagrams by a server at the site.
"""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TypedDict

from edgelam.bench.pinned import run_pinned

ROWS = {
    "1gnb-2ue": ("2 UEs, downlink full", ">= 2"),
    "1gnb-10ue": ("10 UEs, downlink full", ">= 0.5"),
    "1gnb-100ue-idle": ("100 UEs, 100 bytes per second each", ">= 20"),
    "1gnb-2ue-ip": ("2 UEs, downlink full by UDP from the site", ""),
    "1gnb-10ue-ip": ("10 UEs, downlink full by UDP from the site", ">= 0.9"),
    "1gnb-10ue-ip-large": ("10 UEs, the same with six datagrams simulated as one", ">= 1"),
}
GROWTH = {10: "1gnb-10ue", 30: "1gnb-30ue", 100: "1gnb-100ue", 300: "1gnb-300ue"}
"""Cases with full downlink buffers, by number of UEs."""


class Case(TypedDict):
    """One measured case."""

    name: str
    simulated_per_wall: float  # simulated seconds per wall second
    goodput_bps: float  # bytes that reached the UEs above PDCP (-ip: their sockets), bit/s of simulated time


def measure(seconds: float = 2.0, growth: bool = False) -> list[Case]:
    """Return the cases of `ROWS`, in their order, and with `growth` those of `GROWTH` after them.

    Args:
        seconds: simulated time of the loaded cases, 0.01 to 600 s; the idle case takes ten times as long.
    """
    names = list(ROWS) + [name for name in GROWTH.values() if growth and name not in ROWS]
    cases: list[Case] = run_pinned("radio", str(seconds), *names)["cases"]
    return cases


def draw_growth(cases: list[Case], path: Path) -> None:
    """Draw simulated seconds per wall second over the number of UEs, as ``path.svg`` and ``path.png``.

    Args:
        cases: from `measure` with ``growth=True``.
    """
    from edgelam.output.figures import figure, line_style

    speed = {case["name"]: case["simulated_per_wall"] for case in cases}
    with figure(path) as (_, (axes,)):
        axes.loglog(list(GROWTH), [speed[name] for name in GROWTH.values()], **line_style(0))
        axes.set_xticks(list(GROWTH), [str(ues) for ues in GROWTH])
        axes.minorticks_off()
        axes.set_xlabel("UEs with full downlink buffers")
        axes.set_ylabel("simulated s per wall s")


def run(json: bool = False, growth: bool = False, figure: Path | None = None) -> int:
    """Measure, and print a table or one JSON object ``{"cases": [...]}``. Returns the exit status.

    Args:
        growth: measure the cases of `GROWTH`, too.
        figure: with `growth`, where to draw them: a path without suffix.
    """
    cases = measure(growth=growth)
    if figure is not None:
        draw_growth(cases, figure)
    if json:
        print(json_module.dumps({"cases": cases}))
        return 0
    print("one core; one NR cell, UMi, 3.5 GHz, 100 MHz, TDD DDDSU, 64 x 4 elements, fast fading")
    labels = {name: (f"{ues} UEs, downlink full", "") for ues, name in GROWTH.items()} | ROWS
    for case in cases:
        label, aim = labels[case["name"]]
        print(
            f"{case['simulated_per_wall']:>8.2f}  simulated s per wall s, {label}: "
            f"{case['goodput_bps'] / 1e6:.1f} Mbit/s{f'  (aim: {aim})' if aim else ''}"
        )
    return 0
