# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench radio``: how many simulated seconds of an NR cell one core does in a second.

The measuring is done by a program of its own in C++ (ns3-scenarios/bench/radio.cc), pinned to the highest core: UMi at
3.5 GHz, 100 MHz at 30 kHz, TDD DDDSU, a gNB of 64 elements, UEs of 4 that walk, fast fading on. Traffic is put into the
bearers above RLC.
"""

from __future__ import annotations

import json as json_module
import os
import subprocess
from typing import TypedDict

from edgelam.paths import installed

ROWS = {
    "1gnb-2ue": ("2 UEs, downlink full", ">= 2"),
    "1gnb-10ue": ("10 UEs, downlink full", ">= 0.5"),
    "1gnb-100ue-idle": ("100 UEs, 100 bytes a second each", ">= 20"),
}


class Case(TypedDict):
    """One measured case."""

    name: str
    simulated_per_wall: float  # simulated seconds per wall second
    goodput_bps: float  # bytes delivered above PDCP, bit/s of simulated time


def measure(seconds: float = 2.0) -> list[Case]:
    """The cases of `ROWS`, in their order.

    Args:
        seconds: simulated time of the loaded cases, 0.01 to 600 s; the idle one takes ten times as long.
    """
    core = max(os.sched_getaffinity(0))
    done = subprocess.run(
        [str(installed("bin/bench/radio")), str(seconds)],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    cases: list[Case] = json_module.loads(done.stdout)["cases"]
    return cases


def run(json: bool = False) -> int:
    """Measure and print: a table, or one JSON object ``{"cases": [...]}``. Returns the exit status."""
    cases = measure()
    if json:
        print(json_module.dumps({"cases": cases}))
        return 0
    print("one core; one NR cell, UMi, 3.5 GHz, 100 MHz, TDD DDDSU, 64 x 4 elements, fast fading")
    for case in cases:
        label, aim = ROWS[case["name"]]
        print(
            f"{case['simulated_per_wall']:>8.2f}  simulated s per wall s, {label}: "
            f"{case['goodput_bps'] / 1e6:.1f} Mbit/s  (aim: {aim})"
        )
    return 0
