# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: policies are trained, and all methods judged on the same channels."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from edgelam.air import beamforming
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.settings import Kind
from edgelam.files.storage import make_folder
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder

from .config import Config, test_of

RATES = {"method": str, "test": str, "seed": int, "rate": float, "decision_ms": float}
"""One row for each method, test set and seed: mean sum rate in bit/s/Hz; processor time per channel, in a batch."""
CURVES = {"method": str, "seed": int, "step": int, "rate": float}
"""One row a part of a training: the mean rate of its batches."""
POLICIES = {"method": str, "seed": int, "trained": int}
"""One row a policy: how many parameters are trained."""
PARTS = 40

Method = Callable[[Downlink], Tensor]
RULES: dict[str, Method] = {
    "mrt": beamforming.mrt,
    "zf": beamforming.zero_forcing,
    "rzf": beamforming.rzf,
    "wmmse-1-start": lambda problem: beamforming.wmmse(problem, starts=1),
    "wmmse": beamforming.wmmse,
}


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Train and judge what `config` names."""
    before = torch.get_num_threads()
    if config.threads:
        torch.set_num_threads(config.threads)
    try:
        for seed in range(config.seed, config.seed + config.num_seeds):
            methods: dict[str, Method] = {rule: RULES[rule] for rule in config.rules}
            for kind in config.learned:
                methods[kind] = _trained(config, kind, seed, folder, progress)
            _judge(config, methods, seed, folder, progress)
    finally:
        torch.set_num_threads(before)


def _trained(config: Config, kind: Kind, seed: int, folder: RunFolder, progress: Progress) -> Method:
    policy = training.make(kind, config.policy, seed=derive_seed(seed, f"weights of {kind}") % 2**31)
    folder.table("policies", POLICIES).append({"method": kind, "seed": seed, "trained": policy.trained()})
    steps = config.training.steps
    progress.begin(f"{kind}, seed {seed}", steps, "steps")
    part: list[float] = []

    def told(step: int, rate: float) -> None:
        part.append(rate)
        progress.step(step)
        if step * PARTS // steps > (step - 1) * PARTS // steps:
            row = {"method": kind, "seed": seed, "step": step, "rate": sum(part) / len(part)}
            folder.table("curves", CURVES).append(row)
            part.clear()

    training.train(policy, config.training, seed=derive_seed(seed, "training"), told=told)
    place = folder.path / "policies"
    make_folder(place)
    training.save(policy, place / f"{kind}-{seed}.safetensors")
    return policy


@torch.no_grad()
def _judge(config: Config, methods: dict[str, Method], seed: int, folder: RunFolder, progress: Progress) -> None:
    progress.begin(f"tests, seed {seed}", len(config.tests) * len(methods), "tests")
    done = 0
    for name in config.tests:
        test = test_of(name)
        channels_seed = derive_seed(seed, f"channels of test {name}")
        channel = beamforming.iid(config.test_samples, test.users, test.antennas, seed=channels_seed)
        problem = Downlink(channel, 10 ** (test.snr_db / 10))
        for method, precode in methods.items():
            begin = time.process_time()
            precoder = precode(problem)
            spent = time.process_time() - begin
            rate = float(problem.weighted_sum_rate(precoder).double().mean())
            row = {"method": method, "test": name, "seed": seed, "rate": rate}
            folder.table("rates", RATES).append(row | {"decision_ms": 1e3 * spent / config.test_samples})
            done += 1
            progress.step(done)
