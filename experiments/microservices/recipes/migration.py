# SPDX-License-Identifier: GPL-2.0-only
"""The recipes migration and migration-seeds."""

from edgelam.runs.network import Network

from ..config import Config
from ..migration.settings import MigrationSettings

HIGHWAY = Network(
    "nr-highway",
    options=("numGnb=3", "spacing=150", "speed=50", "los=Always", "mobility=road", "numUpfEdge=1", "backhaulDelay=10ms",
             "backhaulRate=1Gbps", "edgeRate=1Gbps"),
    devices=("edge*=jetson-orin",),
)  # fmt: skip
"""A short road past three gNBs with a server at each, and one behind the core."""


def migration() -> Config:
    """Sessions of SmolLM2 follow two cars along a road: six policies, one seed."""
    return Config(network=HIGHWAY, study="migration", migration=MigrationSettings())


def migration_seeds() -> Config:
    """The same with five seeds, three weights of the penalty, and free decisions: differences with intervals."""
    settings = MigrationSettings(num_seeds=5, sweep=(30.0, 3000.0), uncharged=True)
    return Config(network=HIGHWAY, study="migration", migration=settings)
