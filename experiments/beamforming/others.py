# SPDX-License-Identifier: GPL-2.0-only
"""Problems beside the rate of single streams: bits per joule, several streams for each user, sensing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned import sensing as learned_sensing
from edgelam.air.beamforming.learned.ascent import ascend_sum_rate
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.sensing import SensingPolicy
from edgelam.air.beamforming.learned.streams import StreamPolicy

from .config import energy_name, streams_name
from .tables import ENERGY, SENSING, Rates
from .trainer import Work, trained

REFERENCE = "optimiser"


def energy(work: Work, policies: Mapping[str, Policy]) -> None:
    """Table `energy`: bits per joule of each method with all power, and with the power that is best for it."""
    settings = work.config.energy
    test = energy_name(settings.users, settings.antennas, settings.snr_db)
    channel = bf.iid(settings.samples, settings.users, settings.antennas, seed=work.seed_of(f"channels of {test}"))
    noise = settings.power_w / 10 ** (settings.snr_db / 10)
    problem = bf.Downlink(channel, settings.power_w, noise)
    consumption = bf.Consumption.of_station(settings.antennas, settings.users, fixed_w=settings.fixed_w)
    methods: dict[str, Callable[[bf.Downlink], Tensor]] = {
        "mrt": bf.mrt, "rzf": bf.rzf, "wmmse": partial(bf.wmmse, starts=4), **policies,
    }  # fmt: skip
    table = work.folder.table("energy", ENERGY)
    work.begin(test, len(methods), "methods")
    for number, (name, method) in enumerate(methods.items(), 1):
        with torch.no_grad():
            for label, precoder in ((f"{name}, all power", method(problem)),
                                    (name, bf.most_efficient(problem, consumption, method))):  # fmt: skip
                row = {"method": label, "test": test, "seed": work.seed,
                       "efficiency": float(bf.energy_efficiency(problem, precoder, consumption).mean()),
                       "rate": float(problem.weighted_sum_rate(precoder).mean()),
                       "radiated_w": float(bf.transmit_power(precoder).mean())}  # fmt: skip
                table.append(row)
        work.progress.step(number)


def streams(work: Work, policies: Mapping[str, Policy]) -> None:
    """Judge methods for users with several antennas; policies begin as those of the downlink."""
    settings = work.config.streams
    power = 10 ** (settings.snr_db / 10)
    test = streams_name(settings.users, settings.received, settings.antennas, settings.streams, settings.snr_db)

    def draw(samples: int, name: str) -> bf.StreamDownlink:
        channel = bf.stream_iid(samples, settings.users, settings.received, settings.antennas,
                                seed=work.seed_of(name))  # fmt: skip
        return bf.StreamDownlink(channel, settings.streams, power)

    problem = draw(settings.samples, f"channels of {test}")
    rates = Rates(work.folder, work.seed, settings.samples)
    methods: dict[str, Callable[[bf.StreamDownlink], Tensor]] = {"eigenbeams": bf.eigenbeams}
    if settings.antennas - (settings.users - 1) * settings.received >= settings.streams:
        methods["block-diagonal"] = bf.block_diagonal
    methods["stream-wmmse"] = bf.stream_wmmse
    for name, policy in policies.items():
        mine = StreamPolicy(copy.deepcopy(policy))
        train = partial(ascend_sum_rate, mine, lambda step: draw(64, f"channels of step {step}"),
                        steps=settings.policy_steps, seed=work.seed_of("training of streams"))  # fmt: skip
        trained(f"streams-{name}", mine, settings.policy_steps, train, work)
        methods[f"streams-{name}"] = mine
    work.begin(test, len(methods), "methods")
    for number, (name, method) in enumerate(methods.items(), 1):
        with torch.no_grad():
            rates.add(test, name, partial(method, problem), problem.rates)
        work.progress.step(number)


def sensing(work: Work, policies: Mapping[str, Policy]) -> None:
    """Table `sensing`: rate and error of the beam pattern for each share of sensing, beside an optimiser."""
    settings = work.config.sensing
    directions = torch.arange(-90.0, 90.5, 1.0)
    desired = bf.beams_at(settings.targets_deg, settings.width_deg, directions)
    pattern = bf.BeamPattern(bf.steering(settings.antennas, directions), desired)

    def draw(samples: int, name: str) -> bf.SensingDownlink:
        channel = bf.iid(samples, settings.users, settings.antennas, seed=work.seed_of(name))
        downlink = bf.Downlink(channel, 10 ** (settings.snr_db / 10))
        return bf.SensingDownlink(downlink, pattern, settings.probing)

    problem = draw(settings.samples, "channels of sensing")
    reference = problem.downlink.weighted_sum_rate(bf.wmmse(problem.downlink))
    methods: dict[str, Callable[[bf.SensingDownlink, float], Tensor]] = {REFERENCE: bf.sense_and_send}
    for name, policy in policies.items():
        mine = SensingPolicy(copy.deepcopy(policy), settings.rounds)
        train = partial(learned_sensing.train, mine, lambda step: draw(32, f"channels of sensing in step {step}"),
                        steps=settings.policy_steps, seed=work.seed_of("training of sensing"))  # fmt: skip
        trained(f"sensing-{name}", mine, settings.policy_steps, train, work)
        methods[f"sensing-{name}"] = mine
    least = float(pattern.error(pattern.beams))
    table = work.folder.table("sensing", SENSING)
    work.begin("sensing", len(methods) * len(settings.shares), "trades")
    done = 0
    for name, method in methods.items():
        for share in settings.shares:
            with torch.no_grad():
                precoder = method(problem, share)
                row = {"method": name, "seed": work.seed, "share": share,
                       "rate": float(problem.rates(precoder).sum(-1).mean()),
                       "error": float(pattern.error(precoder).mean()), "least_error": least,
                       "value": float(problem.value(precoder, share, reference).mean())}  # fmt: skip
            table.append(row)
            done += 1
            work.progress.step(done)
