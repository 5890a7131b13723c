# SPDX-License-Identifier: GPL-2.0-only
"""An experiment that sends and writes tables and learns nothing: it takes little of what a process may have."""

import dataclasses
from pathlib import Path

import numpy as np

from edgelam import cosim
from edgelam.runs.folders.tables import schema_of


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1
    rounds: int = 4
    scenario: str = "wired-star"
    options: tuple[str, ...] = ()


def small() -> Config:
    """The only one."""
    return Config()


RECIPES = {"small": small}


def run(config: Config, folder, progress) -> None:
    transfers = folder.table("transfers", schema_of(cosim.TransferRecord))
    metrics = folder.table("metrics", {"round": int, "last_byte_s": float})

    async def main(sim):
        for r in range(config.rounds):
            record = await sim.node("ue0").send(sim.node("edge0"), np.ones(1000))
            metrics.append({"round": r, "last_byte_s": record.last_byte_s})
            metrics.flush()  # a part for each: Arrow reads them as the table is closed
            progress.step(r + 1)

    cosim.simulate(
        main,
        config.scenario,
        seed=config.seed,
        on_transfer=lambda record: transfers.append(dataclasses.asdict(record)),
        arena_bytes=1 << 24,
    )


def plot(path: Path) -> list[Path]:
    return []


def report(path: Path, console) -> None:
    console.print("light")
