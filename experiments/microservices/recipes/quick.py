# SPDX-License-Identifier: GPL-2.0-only
"""The recipes quick and quick-seeds."""

import dataclasses

from edgelam.runs.network import Network

from ..config import Config
from ..serving.settings import ServingSettings

CITY = Network(
    "nr-urban-grid",
    options=("sites=3", "sectors=1", "carFraction=0.5"),
    devices=("edge[0-2]=jetson-orin,memory_bytes=8e8", "edge3=cpu-server,memory_bytes=2e9"),
)
"""Three cells with a small server at each, a larger one behind the core, and the cloud; users walk and drive."""


def quick() -> Config:
    """Images, speech, sensors and text to real models: sharing against monoliths and the cloud. At most 5 minutes."""
    return Config(
        network=CITY,
        serving=ServingSettings(
            workload="multimodal", methods=("shared-exact", "shared-greedy", "monolithic", "cloud-only"), load=1.0,
            max_requests=40,
        ),
    )  # fmt: skip


def quick_seeds() -> Config:
    """Recipe quick with five seeds: differences with 95 % intervals, and claims. Five times as long."""
    start = quick()
    return dataclasses.replace(start, serving=dataclasses.replace(start.serving, num_seeds=5))
