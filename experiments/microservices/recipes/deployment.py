# SPDX-License-Identifier: GPL-2.0-only
"""The recipe deployment."""

from edgelam.runs.network import Network

from ..config import Config
from ..serving.settings import ServingSettings

STREET = Network(
    "nr-urban-micro",
    options=("numEdge=3", "numUpfEdge=2"),
    devices=(
        "edge0=jetson-orin,memory_bytes=4e9", "edge[1-2]=jetson-orin-nano,memory_bytes=3e9",
        "edge[3-4]=cpu-server,memory_bytes=4e9",
    ),
)  # fmt: skip
"""A cell with three servers at its site, two behind the core, and the cloud."""


def deployment() -> Config:
    """Learned deployment (diffusion, D2SAC, SAC, DQN) beside solvers: trained on the model, scored by ns-3. Hours."""
    return Config(
        study="deployment", network=STREET,
        serving=ServingSettings(num_users=6, num_seeds=5, duration_s=5.0, max_requests=40),
    )  # fmt: skip
