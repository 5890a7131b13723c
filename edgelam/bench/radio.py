# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench radio`` measures how many seconds of an NR cell are simulated per second.

A C++ program (ns3-scenarios/bench/radio.cc), pinned to the highest core, measures a cell: UMi at 3.5 GHz, 100 MHz at
30 kHz, TDD DDDSU, a gNB with 64 elements, UEs with 4 elements that walk, fast fading on. Traffic is put into the
bearers above RLC or, in the cases named ``-ip``, sent as UDP datagrams by a server at the site. With ``--cells``, it
also measures networks of cells that hear one another, and work on two threads (``/2``), each case by itself.
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
CELLS = {
    "1gnb-100ue": ("100 UEs, downlink full", ""),
    "1gnb-100ue/2": ("the same, two threads", ">= 0.5"),
    "3gnb-30ue": ("1 site of 3 cells, 30 UEs", ""),
    "3gnb-30ue/2": ("the same, two threads", ">= 0.4"),
    "21cell-210ue": ("7 sites of 3 cells, 210 UEs, 32 ports, 20 MHz", ""),
    "21cell-210ue/2": ("the same, two threads", ">= 0.05"),
    "21cell-210ue-100mhz/2": ("the same with 100 MHz, two threads", ">= 0.015"),
    "57cell-570ue/2": ("19 sites of 3 cells, 570 UEs, 32 ports, 20 MHz, two threads", ""),
}
"""Cases with full downlink buffers for `measure_cells`."""


class Case(TypedDict):
    """One measured case."""

    name: str
    simulated_per_wall: float  # simulated seconds per wall second
    goodput_bps: float  # bytes that reached the UEs above PDCP (-ip: their sockets), bit/s of simulated time
    start_s: float  # wall time until the first event
    peak_gib: float  # largest resident set of the process so far


def measure(seconds: float = 2.0, growth: bool = False) -> list[Case]:
    """Return the cases of `ROWS`, in their order, and with `growth` those of `GROWTH` after them.

    Args:
        seconds: simulated time of the loaded cases, 0.01 to 600 s; the idle case takes ten times as long.
    """
    names = list(ROWS) + [name for name in GROWTH.values() if growth and name not in ROWS]
    cases: list[Case] = run_pinned("radio", str(seconds), *names)["cases"]
    return cases


def measure_cells(seconds: float = 2.0) -> list[Case]:
    """Return the cases of `CELLS`, in their order, each from a process of its own on as many cores as it has threads.

    Args:
        seconds: as in `measure`; networks take 0.5 (3 cells) to 0.05 times as long.
    """
    cases: list[Case] = []
    for name in CELLS:
        threads = int(name.partition("/")[2] or 1)
        cases += run_pinned("radio", str(seconds), name, cores=threads)["cases"]
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


def run(json: bool = False, growth: bool = False, cells: bool = False, figure: Path | None = None) -> int:
    """Measure, and print a table or one JSON object ``{"cases": [...]}``. Returns the exit status.

    Args:
        growth: measure the cases of `GROWTH`, too.
        cells: measure the cases of `CELLS`, too.
        figure: with `growth`, where to draw them: a path without suffix.
    """
    measured = measure(growth=growth)
    if figure is not None:
        draw_growth(measured, figure)
    if cells:
        measured += measure_cells()
    if json:
        print(json_module.dumps({"cases": measured}))
        return 0
    print(
        "one core, or two for two threads; NR cells, UMi, 3.5 GHz, TDD DDDSU, fast fading; 100 MHz and 64 x 4 elements"
    )
    labels = {name: (f"{ues} UEs, downlink full", "") for ues, name in GROWTH.items()} | ROWS | CELLS
    for case in measured:
        label, aim = labels[case["name"]]
        memory = f", {case['peak_gib']:.1f} GiB, starts in {case['start_s']:.1f} s" if "cell" in case["name"] else ""
        print(
            f"{case['simulated_per_wall']:>8.2f}  simulated s per wall s, {label}: "
            f"{case['goodput_bps'] / 1e6:.1f} Mbit/s{memory}{f'  (aim: {aim})' if aim else ''}"
        )
    return 0
