# SPDX-License-Identifier: GPL-2.0-only
"""The recipes migration, migration-seeds, migration-far and migration-far-language."""

import dataclasses

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

FAR = Network(
    "nr-highway",
    options=("numGnb=3", "spacing=250", "speed=30", "los=Always", "mobility=road", "numUpfEdge=1", "numerology=0",
             "bandwidth=20", "backhaulDelay=25ms", "backhaulRate=100Mbps", "edgeRate=1Gbps"),
    devices=("edge1=jetson-orin-nano,memory_bandwidth_bytes_per_s=7.5e8",
             "edge*=jetson-orin,memory_bandwidth_bytes_per_s=2.2e9"),
)  # fmt: skip
"""The same farther away: cars are at a site for 8 s, another site is 100 ms away, there and back, and the server in the
middle is slower than the others. The model is small (random-small), so that a hundred slots take little time; memory of
the servers is 64 times slower than that of their profiles, so that a token takes as long as one of SmolLM2 on these."""

FAR_LANGUAGE = dataclasses.replace(
    FAR, options=tuple(option.replace("100Mbps", "1Gbps") for option in FAR.options),
    devices=("edge1=jetson-orin-nano", "edge*=jetson-orin"),
)  # fmt: skip
"""The same road for SmolLM2: its weights are ten times as large, so links are ten times as fast; servers are as their
profiles say."""


def migration() -> Config:
    """Sessions of SmolLM2 follow two cars along a road: six policies, one seed."""
    return Config(network=HIGHWAY, study="migration", migration=MigrationSettings())


def migration_seeds() -> Config:
    """The same with five seeds, three weights of the penalty, and free decisions: differences with intervals."""
    settings = MigrationSettings(num_seeds=5, sweep=(30.0, 3000.0), uncharged=True)
    return Config(network=HIGHWAY, study="migration", migration=settings)


def migration_far() -> Config:
    """A road where moving pays: far sites, slow links, long conversations; five seeds, 100 slots, three values of V."""
    settings = MigrationSettings(
        model="random-small", num_seeds=5, sweep=(30.0, 3000.0), slots=100, turn_every_s=0.5, session_turns=30,
        bandwidth_bps=10e6, storage_bytes=30e6, power_w=8.0, latency_s=0.15, jitter_s=0.003,
    )  # fmt: skip
    return Config(network=FAR, study="migration", migration=settings)


def migration_far_language() -> Config:
    """The same road with sessions of SmolLM2, whose keys, values and weights move; one seed. Minutes."""
    settings = dataclasses.replace(
        migration_far().migration, model="smollm2-135m", num_seeds=1, sweep=(), bandwidth_bps=100e6,
        storage_bytes=1.9e9,
    )  # fmt: skip
    return Config(network=FAR_LANGUAGE, study="migration", migration=settings)
