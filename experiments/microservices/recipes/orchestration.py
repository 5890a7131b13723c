# SPDX-License-Identifier: GPL-2.0-only
"""The recipe orchestration."""

from edgelam.runs.network import Network

from ..config import Config
from ..orchestration.settings import OrchestrationSettings

ROAD = Network(
    "nr-highway",
    options=("numGnb=3", "spacing=150", "speed=20", "los=Always", "backhaulDelay=10ms", "backhaulRate=1Gbps",
             "edgeRate=1Gbps"),
    devices=("edge[02]=jetson-nano,memory_bytes=9e9", "edge1=jetson-orin-nano,flops_per_s=5e11,memory_bytes=9e9",
             "cloud0=cpu-server,flops_per_s=8e11"),
)  # fmt: skip
"""A short road past three gNBs with a server at each, of two speeds, and a cloud."""


def orchestration() -> Config:
    """Requests of users on a road are routed over replicas: learned routers, robust and nominal, beside seven rules."""
    return Config(network=ROAD, study="orchestration", orchestration=OrchestrationSettings())
