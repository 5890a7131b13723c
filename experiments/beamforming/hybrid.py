# SPDX-License-Identifier: GPL-2.0-only
"""Few RF chains behind phase shifters: precoders of several users made hybrid, by classical methods and policies."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.hybrid import HybridPolicy, Structure
from edgelam.air.beamforming.learned.policy import Policy

from .config import hybrid_name
from .tables import Rates
from .trainer import Work, trained


def run(work: Work, policies: Mapping[str, Policy]) -> None:
    """Judge all methods on the same channels; policies: of the downlink, from which those behind shifters begin."""
    config, settings = work.config, work.config.hybrid
    users, antennas, power = settings.users, settings.antennas, 10 ** (settings.snr_db / 10)
    rates = Rates(work.folder, work.seed, settings.samples)
    channel = bf.iid(settings.samples, users, antennas, seed=work.seed_of("channels of hybrid tests"))
    problem = bf.Downlink(channel, power)
    digital = bf.wmmse(problem)
    cases: list[tuple[int, Structure]] = [(1, "fully"), (2, "fully")]
    if antennas % users == 0:
        cases.append((1, "partly"))
    for chains_per_user, structure in cases:
        chains = users * chains_per_user
        test = hybrid_name(chains, structure)

        def judge(method: str, decide: Callable[[], Tensor], test: str = test) -> None:
            with torch.no_grad():
                rates.add(test, method, decide, problem.rates)

        work.begin(test, 1, "channels")
        judge("digital", partial(bf.wmmse, problem))
        if structure == "partly":
            judge("partly-connected", partial(_product, bf.partly_connected, digital, chains))
        else:
            judge("pe-altmin", partial(_product, bf.pe_altmin, digital, chains))
            judge("mo-altmin", partial(_product, bf.mo_altmin, digital, chains))
        work.progress.step(1)
        few = dataclasses.replace(
            config.training, steps=settings.policy_steps, users=(users, users),
            extra_antennas=(antennas - users, antennas - users), snr_db=(settings.snr_db, settings.snr_db),
            gain_range_db=0.0,
        )  # fmt: skip
        for name, policy in policies.items():
            behind = HybridPolicy(copy.deepcopy(policy), chains_per_user, structure)
            train = partial(training.train, behind, few, seed=work.seed_of(f"training, {test}"))
            label = f"hybrid-{name}-{chains}-{structure}"
            trained(label, behind, few.steps, train, work)
            judge(f"hybrid-{name}", partial(behind, problem))


def _product(method: Callable[[Tensor, int], bf.Hybrid], target: Tensor, chains: int) -> Tensor:
    return method(target, chains).product
