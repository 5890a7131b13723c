# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: methods over the network, then the controls, everything written to the run folder as it goes."""

import dataclasses

import torch

from edgelam import cosim
from edgelam.federated import METHODS, Outcome, Setup, controls, prepare
from edgelam.federated.allocation import AllocationSettings
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from . import search
from .allocation import jobs as allocation
from .config import Config, needs
from .decomposition import jobs as decomposition
from .tables import MethodTables, write_control

LABELS = {
    "split-fedft": "split FedFT",
    "decomposed": "decomposed",
    "fed-lora": "FedIT",
    "fedbuff": "FedBuff",
    "dp-fed-lora": "DP-FedAvg",
    "local": "local only",
    "centralised": "centralised",
}
RANDOM_WEIGHTS = "split FedFT, random weights"


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names; tables go to `folder` as the run goes on."""
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.allocations.rules:
        allocation.run(config, folder, progress)
        return
    if config.decompositions.ways:
        decomposition.run(config, folder, progress)
        return
    folder.note(host={"torch_threads": torch.get_num_threads()}, without_network=[])
    progress.say(f"preparing {config.learning.task} and {config.learning.backbone}")
    setup = prepare(config.learning, config.seed)
    if (allowed := setup.settings.rounds) < config.learning.rounds:
        progress.say(
            f"privacy epsilon {setup.settings.privacy.epsilon:g} is spent after {allowed} of {config.learning.rounds} "
            "rounds: the run ends there"
        )
    for name in config.methods:
        found = search.learning_rates(config, setup, name, LABELS[name], folder=folder, progress=progress)
        simulate_method(config, found, name, LABELS[name], folder=folder, progress=progress)
    if "random-weights" in config.controls:
        alone = dataclasses.replace(config.learning, weights="random", allocation=AllocationSettings())
        blank = prepare(alone, config.seed)
        ideal = dataclasses.replace(config, network=config.network.ideal())
        # a control deserves rates of its own: the same search as the methods'
        blank = search.learning_rates(config, blank, "split-fedft", RANDOM_WEIGHTS, folder=folder, progress=progress)
        simulate_method(ideal, blank, "split-fedft", RANDOM_WEIGHTS, folder=folder, progress=progress)
        folder.note(without_network=[*folder.manifest["without_network"], RANDOM_WEIGHTS])
    _controls(config, setup, folder, progress)


def simulate_method(
    config: Config, setup: Setup, name: str, label: str, *, folder: RunFolder, progress: Progress
) -> Outcome:
    """One method in one simulation of its own, with the same seed for all: the same network and the same movements."""
    tables = MethodTables(folder, label, progress)
    progress.begin(label, setup.settings.rounds)

    async def main(sim: cosim.Simulation) -> Outcome:
        return await METHODS[name](sim, setup, tables.report)

    return config.network.simulate(main, needs(config), folder, label, seed=config.seed, recorder=tables)


def _controls(config: Config, setup: Setup, folder: RunFolder, progress: Progress) -> None:
    rows: list[controls.ControlRow] = []
    if "linear" in config.controls:
        progress.say("linear classifiers")
        rows += controls.linear(setup)
    if "majority" in config.controls:
        rows.append(controls.majority(setup))
    for row in rows:
        write_control(folder, row, len(setup.test))
