# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench channel`` measures what the radio channel and ns-3's ``ThreeGppChannelModel`` cost on one core.

A C++ program (ns3-scenarios/bench/channel.cc), pinned to the highest core, measures links of 64 x 4 elements
(dual-polarised) and 48 subcarriers in UMa at 2.4 GHz without line of sight. A user walks in steps of 5 mm, through
windows of frozen angles and across the borders of cells.
"""

from __future__ import annotations

import json as json_module

from edgelam.bench.pinned import run_pinned

ROWS = (
    ("frozen_snapshots_per_s", "snapshots of 4x64x48 per second, angles frozen in windows", "{:.0f}", ">= 2000"),
    ("drifting_snapshots_per_s", "the same, angles drifting", "{:.0f}", ">= 300"),
    ("wideband_links_per_ms", "links per millisecond, wideband gain of one beam", "{:.1f}", ">= 20"),
    ("effective_channel_us", "us, effective channel of 273 resource blocks, one beam, after a step", "{:.1f}", ""),
    ("effective_channel_kept_us", "us, the same within the coherence distance", "{:.2f}", ""),
    ("first_draw_ms", "ms, first snapshot of a new link, including its surroundings", "{:.2f}", "<= next line"),
    ("first_draw_wheel_ms", "ms, first GetChannel of ns-3's ThreeGppChannelModel", "{:.2f}", ""),
)


def measure(seconds: float = 2.0) -> dict[str, float]:
    """Return the figures of `ROWS` by name.

    Args:
        seconds: how long each of the first three figures is measured.
    """
    figures: dict[str, float] = run_pinned("channel", str(seconds))
    return figures


def run(json: bool = False) -> int:
    """Measure, and print a table or one JSON object. Returns the exit status."""
    figures = measure()
    if json:
        print(json_module.dumps(figures))
        return 0
    print("one core; UMa, 2.4 GHz, no line of sight, 64 x 4 elements, 48 subcarriers")
    for key, label, form, aim in ROWS:
        print(f"{form.format(figures[key]):>10}  {label}{f'  (aim: {aim})' if aim else ''}")
    return 0
