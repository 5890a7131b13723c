# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: policies are trained, and all methods judged on the same channels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from edgelam.air import beamforming
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import Kind
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder

from . import federated, hybrid, loop, surfaces
from .config import Config, test_of
from .tables import Rates
from .trainer import file_name, trained

Method = Callable[[Downlink], Tensor]
RULES: dict[str, Method] = {
    "mrt": beamforming.mrt,
    "zf": beamforming.zero_forcing,
    "rzf": beamforming.rzf,
    "wmmse-1-start": lambda problem: beamforming.wmmse(problem, starts=1),
    "wmmse": beamforming.wmmse,
    "max-min": beamforming.max_min,
}


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Train and judge what `config` names."""
    before = torch.get_num_threads()
    if config.threads:
        torch.set_num_threads(config.threads)
    try:
        for seed in range(config.seed, config.seed + config.num_seeds):
            if config.federated.sites:
                federated.run(config, seed, folder, progress)
                continue
            policies: dict[str, Policy] = {
                kind: _trained(config, kind, seed, folder, progress) for kind in config.learned
            }
            methods: dict[str, Method] = {**{rule: RULES[rule] for rule in config.rules}, **policies}
            if config.tests:
                _judge(config, methods, seed, folder, progress)
            if not config.network.is_ideal:
                loop.run(config, methods, seed, folder, progress)
            if config.surface.samples:
                surfaces.run(config, policies, seed, folder, progress)
            if config.hybrid.samples:
                hybrid.run(config, policies, seed, folder, progress)
    finally:
        torch.set_num_threads(before)


def _trained(config: Config, kind: Kind, seed: int, folder: RunFolder, progress: Progress) -> Policy:
    policy = training.make(kind, config.policy, seed=derive_seed(seed, f"weights of {kind}") % 2**31)
    if config.policies:
        training.load(policy, Path(config.policies) / file_name(kind, seed))
        return policy.eval()
    train = partial(training.train, policy, config.training, seed=derive_seed(seed, "training"))
    trained(kind, policy, config.training.steps, train, seed=seed, folder=folder, progress=progress)
    return policy


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
def _judge(config: Config, methods: dict[str, Method], seed: int, folder: RunFolder, progress: Progress) -> None:
    progress.begin(f"tests, seed {seed}", len(config.tests) * len(methods), "tests")
    rates = Rates(folder, seed, config.test_samples)
    done = 0
    for name in config.tests:
        test = test_of(name)
        channels_seed = derive_seed(seed, f"channels of test {name}")
        channel = beamforming.iid(config.test_samples, test.users, test.antennas, seed=channels_seed)
        problem = Downlink(channel, 10 ** (test.snr_db / 10))
        for method, precode in methods.items():
            rates.add(name, method, partial(precode, problem), problem.rates)
            done += 1
            progress.step(done)
