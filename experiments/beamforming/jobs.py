# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: policies are trained, and all methods judged on the same channels."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from edgelam.air import beamforming
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import Kind
from edgelam.air.beamforming.learned.surfaces import SurfacePolicy
from edgelam.air.beamforming.rules import RULES, Rule
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder

from . import coordinated, federated, hybrid, loop, others, several, street, surfaces
from .config import Config, test_of
from .keeping import OutOfTimeError, Store
from .tables import Rates
from .trainer import Work, file_name, trained
from .ways import coordinating, ways

WITH_BACKLOG: dict[str, Rule] = {**RULES, loop.BACKLOG: RULES["wmmse-1-start"]}
"""All rules of the closed loop, in which waiting bytes are known."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Train and judge what `config` names."""
    before = torch.get_num_threads()
    if config.threads:
        torch.set_num_threads(config.threads)
    folder.note(unfinished=[])
    store = Store(config)
    try:
        for seed in range(config.seed, config.seed + config.num_seeds):
            try:
                _one_seed(Work(config, seed, folder, progress, store))
            except OutOfTimeError as stopped:
                folder.note(unfinished=[str(each) for each in range(seed, config.seed + config.num_seeds)])
                progress.say(f"{stopped}; run it again with the same settings and checkpoints to go on")
                return
    finally:
        torch.set_num_threads(before)


def _one_seed(work: Work) -> None:
    config, seed, folder, progress = work.config, work.seed, work.folder, work.progress
    if config.federated.sites:
        federated.run(work)
        return
    policies: dict[str, Policy] = {kind: _trained(work, kind) for kind in config.learned}
    methods: dict[str, Rule] = {**{rule: WITH_BACKLOG[rule] for rule in config.rules}, **policies}
    if config.tests:
        _judge(work, methods)
    over_surfaces: dict[str, SurfacePolicy] = {}
    if config.surface.samples:
        over_surfaces = surfaces.run(work, policies)
    together = coordinating(methods)
    if config.coordinated.samples:
        together = coordinated.run(work, together)
    if config.hybrid.samples:
        hybrid.run(work, policies)
    if config.energy.samples:
        others.energy(work, policies)
    if config.streams.samples:
        others.streams(work, policies)
    if config.sensing.samples:
        others.sensing(work, policies)
    if config.several.samples:
        several.run(work, policies)
    if not config.network.is_ideal:
        loop.run(config, ways(config, methods, over_surfaces, together), seed, folder, progress)


def _trained(work: Work, kind: Kind) -> Policy:
    config, seed = work.config, work.seed
    policy = training.make(kind, config.policy, seed=derive_seed(seed, f"weights of {kind}") % 2**31)
    if config.policies:
        training.load(policy, Path(config.policies) / file_name(kind, seed))
        return policy.eval()
    policy.to(config.device)
    train = partial(training.train, policy, config.training, seed=derive_seed(seed, "training"))
    trained(kind, policy, config.training.steps, train, work)
    return policy.to("cpu")


def check_policies(config: Config) -> None:
    """Refuse a folder of policies that lacks one of those that are used."""
    place = Path(config.policies)
    there = sorted(path.name for path in place.glob("*.safetensors")) if place.is_dir() else []
    for seed in range(config.seed, config.seed + config.num_seeds):
        for kind in config.learned:
            if file_name(kind, seed) not in there:
                raise ConfigurationError(
                    f"policies {config.policies!r}: no file {file_name(kind, seed)}; there are: "
                    f"{', '.join(there) or 'none'}"
                )


@torch.no_grad()
def _judge(work: Work, methods: dict[str, Rule]) -> None:
    config = work.config
    work.begin("tests", len(config.tests) * len(methods), "tests")
    rates = Rates(work.folder, work.seed, config.test_samples)
    done = 0
    for name in config.tests:
        test = test_of(name)
        channels_seed = work.seed_of(f"channels of test {name}")
        draw = street.channels if test.street else beamforming.iid
        channel = draw(config.test_samples, test.users, test.antennas, seed=channels_seed)
        problem = Downlink(channel, 10 ** (test.snr_db / 10))
        for method, precode in methods.items():
            rates.add(name, method, partial(precode, problem), problem.rates)
            done += 1
            work.progress.step(done)
