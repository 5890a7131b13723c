# SPDX-License-Identifier: GPL-2.0-only
"""The study itself: for each seed, one simulation for each way to cut, with the same data, network and movements."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edgelam import cosim
from edgelam.federated import METHODS, Outcome, Setup, prepare
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder
from edgelam.runs.scores import MANIFEST

from ..tables import MethodTables
from . import results

if TYPE_CHECKING:
    from ..config import Config


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run every way with every seed; tables go to `folder` as the run goes on."""
    folder.record(**{MANIFEST: [score.plain() for score in results.SCORES]})
    study = config.decompositions
    cases = [(seed, way) for seed in range(config.seed, config.seed + study.num_seeds) for way in study.ways]
    setups: dict[int, Setup] = {}
    progress.begin("ways to cut", len(cases), "simulations")
    for done, (seed, way) in enumerate(cases, 1):
        own = study.under(dataclasses.replace(config, seed=seed), way)
        if seed not in setups:
            setups = {seed: prepare(own.learning, seed)}
        setup = dataclasses.replace(
            setups[seed], settings=dataclasses.replace(setups[seed].settings, decomposition=own.learning.decomposition)
        )
        _simulate(own, setup, folder, way)
        progress.step(done)


def _simulate(config: Config, setup: Setup, folder: RunFolder, way: str) -> None:
    from ..config import needs

    label = results.label(way, config.seed)
    tables = MethodTables(folder, label)

    async def main(sim: cosim.Simulation) -> Outcome:
        return await METHODS["decomposed"](sim, setup, tables.report)

    config.network.simulate(main, needs(config), folder, label, seed=config.seed, recorder=tables)
