# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: methods over the network, then the controls, everything written to the run folder as it goes."""

import dataclasses
import importlib

import torch

from edgelam import cosim
from edgelam.federated import METHODS, Outcome, Setup, controls, prepare, split_fedft
from edgelam.federated.allocation import AllocationSettings
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from . import search, ways
from .allocation import jobs as allocation
from .config import STUDIES, Config, needs
from .resuming import course_of
from .tables import MethodTables, write_control

LABELS = {
    "split-fedft": "split FedFT",
    "decomposed": "decomposed",
    "fed-lora": "FedIT",
    "fedbuff": "FedBuff",
    "dp-fed-lora": "DP-FedAvg",
    "air-fed-lora": "over the air",
    "local": "local only",
    "centralised": "centralised",
}
OWN_JOBS = ("privacies", "tunings", "scarcities")
"""Studies that do more than one simulation for each way; they are imported when they run."""
RANDOM_WEIGHTS = "split FedFT, random weights"


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names; tables go to `folder` as the run goes on."""
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.allocations.rules:
        allocation.run(config, folder, progress)
        return
    if config.study in OWN_JOBS:
        study = importlib.import_module(f"{__package__}.{STUDIES[config.study]}.jobs")
        study.run(config, folder, progress)
        return
    if config.study:
        ways.run(config, getattr(config, config.study), folder, progress)
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
    config: Config, setup: Setup, name: str, label: str, *, folder: RunFolder, progress: Progress | None = None,
    parts: split_fedft.SplitModels | None = None,
) -> None:  # fmt: skip
    """One method in one simulation of its own, with the same seed for all: the same network and the same movements.

    With checkpoints, it goes on where an earlier run was; if that has done all of it, there is no simulation. parts: of
    split-fedft, which are trained, for a caller that keeps them.
    """
    setup = dataclasses.replace(setup, course=course_of(config, setup, name, label))
    course = setup.course
    tables = MethodTables(folder, label, progress, course)
    if progress is not None:
        progress.begin(label, setup.settings.rounds)
    if course.first and progress is not None:
        progress.say(f"{label} goes on after {course.first} rounds and {course.clock_s:.3f} s, from {course.path}")
    if course.complete:
        if parts is not None:
            course.restore(split_fedft.kept_parts(parts))
        return

    async def main(sim: cosim.Simulation) -> Outcome:
        if parts is not None:
            return await split_fedft.run(sim, setup, tables.report, parts)
        return await METHODS[name](sim, setup, tables.report)

    outcome = config.network.simulate(main, needs(config), folder, label, seed=config.seed, recorder=tables)
    course.end(setup.settings.rounds, outcome.time_s)


def _controls(config: Config, setup: Setup, folder: RunFolder, progress: Progress) -> None:
    rows: list[controls.ControlRow] = []
    if "linear" in config.controls:
        progress.say("linear classifiers")
        rows += controls.linear(setup)
    if "majority" in config.controls:
        rows.append(controls.majority(setup))
    for row in rows:
        write_control(folder, row, len(setup.test))
