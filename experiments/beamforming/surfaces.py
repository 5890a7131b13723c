# SPDX-License-Identifier: GPL-2.0-only
"""The cell with a surface of arXiv 2009.14404: methods that know the channels, and methods that have pilots."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.channels.surface_cell import DOWNLINK_MW, NOISE_MW, PILOT_MW
from edgelam.air.beamforming.learned import pilots as learned_pilots
from edgelam.air.beamforming.learned import surfaces as learned_surfaces
from edgelam.air.beamforming.learned.policy import Policy

from .config import pilots_name
from .tables import Rates
from .trainer import Work, trained

Decision = tuple[Tensor, Tensor]
USERS = 3


def run(work: Work, policies: Mapping[str, Policy]) -> dict[str, learned_surfaces.SurfacePolicy]:
    """Judge all methods on the same cells; policies: of the downlink, from which those with surfaces begin.

    Returns those with surfaces by the names of the others.
    """
    trained_ones: dict[str, learned_surfaces.SurfacePolicy] = {}
    settings = work.config.surface
    rates = Rates(work.folder, work.seed, settings.samples)
    cell = bf.surface_cell(settings.samples, seed=work.seed_of("cells of tests"))

    def judge(test: str, method: str, decide: Callable[[], Decision]) -> None:
        with torch.no_grad():
            rates.add(test, method, decide, lambda decision: cell.at(decision[0]).rates(decision[1]))

    work.begin("surface", 1, "cells")
    random = bf.random_phases(settings.samples, cell.num_elements, seed=work.seed_of("random phases"))
    judge("surface", "random-phases", lambda: (random, bf.wmmse(cell.at(random), starts=1)))
    judge("surface", "bcd", lambda: bf.bcd(cell))
    work.progress.step(1)
    for name, policy in policies.items():
        both = learned_surfaces.SurfacePolicy(copy.deepcopy(policy), settings.rounds)
        train = partial(learned_surfaces.train, both, steps=settings.policy_steps,
                        batch_size=settings.policy_batch_size,
                        seed=work.seed_of("training with surfaces"))  # fmt: skip
        trained(f"surface-{name}", both, settings.policy_steps, train, work)
        trained_ones[name] = both
        judge("surface", f"surface-{name}", partial(both, cell))
    for count in settings.pilots:
        _from_pilots(work, count, cell, judge)
    return trained_ones


def _from_pilots(
    work: Work, count: int, cell: bf.SurfaceDownlink, judge: Callable[[str, str, Callable[[], Decision]], None]
) -> None:
    settings, test = work.config.surface, pilots_name(count)
    phases = bf.random_phases(count // USERS, cell.num_elements, seed=work.seed_of(f"phases of {test}"),
                              dtype=torch.complex128)  # fmt: skip
    known, variance = bf.receive_pilots(cell, phases, power=PILOT_MW, noise_power=NOISE_MW,
                                        seed=work.seed_of(f"noise of {test}"))  # fmt: skip
    past = bf.surface_cell(settings.draws, seed=work.seed_of("cells of the past"))
    before = bf.prior(past.direct, past.cascaded)

    def decide(estimate: Callable[[], tuple[Tensor, Tensor]]) -> Decision:
        direct, cascaded = (x.to(cell.direct.dtype) for x in estimate())
        return bf.bcd(bf.SurfaceDownlink(direct, cascaded, DOWNLINK_MW, NOISE_MW))

    judge(test, "lmmse", lambda: decide(lambda: bf.lmmse(known, phases, variance, before)))
    encoder = learned_pilots.PilotEncoder(past, phases, variance, codes=settings.codes)
    judge(test, "pilot-encoder-untrained", lambda: decide(lambda: encoder(known)))
    train = partial(learned_pilots.train, encoder, learned_pilots.cells, phases, power=PILOT_MW, noise_power=NOISE_MW,
                    steps=settings.steps, batch_size=settings.batch_size,
                    seed=work.seed_of(f"training with {test}"))  # fmt: skip
    name = f"pilot-encoder-{count}"
    trained(name, encoder, settings.steps, train, work)
    judge(test, "pilot-encoder", lambda: decide(lambda: encoder(known)))
