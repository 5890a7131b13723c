# SPDX-License-Identifier: GPL-2.0-only
"""One transfer over a scenario, and what the scenario has read. For tests of campaigns."""

import dataclasses
from pathlib import Path

from edgelam import cosim
from edgelam.text import parse_pairs


@dataclasses.dataclass(frozen=True)
class Config:
    scenario: str = "none"
    options: tuple[str, ...] = ()
    size: int = 1000
    seed: int = 1
    simulations: int = 1


RECIPES = {"once": Config}


def run(config: Config, folder, progress) -> None:
    async def main(sim):
        await sim.node("ue0").send(sim.node("edge0"), bytes(config.size))
        return float((await sim.observable("read").read()).value)

    metrics = folder.table("metrics", {"number": int, "read": float})
    for number in range(config.simulations):
        options = parse_pairs(config.options, "--options")
        read = cosim.simulate(main, scenario=config.scenario, options=options, seed=config.seed)
        metrics.append({"number": number, "read": read})


def plot(path: Path) -> list[Path]:
    return []


def report(path: Path, console) -> None:
    console.print("coupled")
