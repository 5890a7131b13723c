# SPDX-License-Identifier: GPL-2.0-only
"""Several cells: each for itself, WMMSE for all of them, and policies on the graph of all users."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.coordinated import matched
from edgelam.air.beamforming.learned.ascent import ascend_sum_rate
from edgelam.air.beamforming.learned.cells import CoordinatedPolicy

from .config import cells_name
from .tables import Rates
from .trainer import Work, trained


def run(work: Work, policies: Mapping[str, CoordinatedPolicy]) -> dict[str, CoordinatedPolicy]:
    """Judge all methods on the same networks; policies: those from which training begins. Returns the trained ones."""
    settings = work.config.coordinated
    power = 10 ** (settings.snr_db / 10)
    draw = partial(bf.coordinated_iid, users=settings.users, antennas=settings.antennas, cross_db=settings.cross_db,
                   power=power)  # fmt: skip

    def networks(step: int) -> bf.CoordinatedDownlink:
        step_seed = work.seed_of(f"networks of step {step}")
        return draw(settings.policy_batch_size, settings.cells[0], seed=step_seed)

    ready: dict[str, CoordinatedPolicy] = {}
    for name, policy in policies.items():
        mine = copy.deepcopy(policy)
        train = partial(ascend_sum_rate, mine, networks, steps=settings.policy_steps,
                        seed=work.seed_of("training of cells"))  # fmt: skip
        trained(f"coordinated-{name}", mine, settings.policy_steps, train, work)
        ready[name] = mine
    rates = Rates(work.folder, work.seed, settings.samples)
    for cells in settings.cells:
        test = cells_name(cells, settings.users, settings.antennas, settings.snr_db)
        problem = draw(settings.samples, cells, seed=work.seed_of(f"networks of test {test}"))
        work.begin(test, 1, "networks")
        methods: dict[str, Callable[[bf.CoordinatedDownlink], Tensor]] = {
            "matched": matched, "selfish-rzf": partial(selfish, method=bf.rzf),
            "selfish-wmmse": partial(selfish, method=bf.wmmse), "coordinated-wmmse": bf.coordinated_wmmse,
            **{f"coordinated-{name}": policy for name, policy in ready.items()},
        }  # fmt: skip
        with torch.no_grad():
            for name, method in methods.items():
                rates.add(test, name, partial(method, problem), problem.rates)
        work.progress.step(1)
    return ready


def selfish(problem: bf.CoordinatedDownlink, method: Callable[[bf.Downlink], Tensor]) -> Tensor:
    """Each cell decides for its own users, as if the others sent nothing, with its whole power."""
    found = torch.zeros_like(matched(problem))
    for cell in range(problem.channel.shape[-2]):
        mine = (problem.serving == cell).nonzero()[:, 0]
        if len(mine):
            alone = bf.Downlink(problem.channel[..., mine, cell, :], problem.power, problem.noise_power)
            found[..., mine] = method(alone)
    return found
