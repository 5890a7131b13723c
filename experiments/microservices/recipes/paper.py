# SPDX-License-Identifier: GPL-2.0-only
"""The recipe paper."""

from edgelam.runs.network import Network

from ..config import Config
from ..paper.workload import DEVICES
from ..serving.settings import ServingSettings

WIRES = Network(
    "wired-star", options=("rate=10Gbps", "edgeRate=40Gbps", "delay=0.1ms", "edgeDelay=0.1ms", "queue=10000",
                           "joined=10"), devices=DEVICES,
)  # fmt: skip
"""Wires fast enough that 4 MB take about 3 ms; the paper's own rates of links are not in our source."""


def paper() -> Config:
    """The setting of arXiv 2601.19563 with declared services, over wires, for 0.2 s: its > 84 % on time is judged."""
    return Config(study="paper", network=WIRES, serving=ServingSettings(num_seeds=5))
