# SPDX-License-Identifier: GPL-2.0-only
"""One policy for sites with different deployments, trained together without their channels: federated averaging.

Site s has s antennas more than users, and its own range of SNRs. In each round, the server sends what is trained of the
policy (adapters, message passing) to all sites, each trains on its own channels, on its machine, and sends it back; the
server takes the mean, tensor by tensor (FedAvg; of adapters, the mean of A and of B, as the rule fedit). Beside it:
every site for itself, and one policy on the channels of all sites, both with as many steps as a site.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from functools import partial

import torch
from torch import Tensor

from edgelam import cosim
from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import Kind, TrainingSettings
from edgelam.learning.averaging import weighted_average
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder

from .config import Config, needs, site_name
from .tables import Rates

ROUNDS = {"method": str, "seed": int, "round": int, "time_s": float, "bytes": int}
"""One row for each round of a policy: simulated time at its end, and bytes that were sent, both ways."""
USERS = 4


def site_settings(config: Config, site: int) -> TrainingSettings:
    """Return what a site trains on in a round: `site` antennas more than users, SNRs of 10 dB from 2.5 dB x site on."""
    low = 2.5 * site
    return dataclasses.replace(
        config.training, steps=config.federated.steps, users=(USERS, USERS), extra_antennas=(site, site),
        snr_db=(low, low + 10.0),
    )  # fmt: skip


def run(config: Config, seed: int, folder: RunFolder, progress: Progress) -> None:
    """Train each kind of policy in the three ways, and judge all on the channels of each site."""
    sites = range(config.federated.sites)
    for kind in config.learned:

        def fresh(kind: Kind = kind) -> Policy:
            return training.make(kind, config.policy, seed=derive_seed(seed, f"weights of {kind}") % 2**31)

        together = _federated(config, fresh(), kind, seed=seed, folder=folder, progress=progress)
        alone = [fresh() for _ in sites]
        pooled = fresh()
        progress.begin(f"{kind}, alone and pooled, seed {seed}", config.federated.rounds, "rounds")
        for number in range(config.federated.rounds):
            for site, policy in enumerate(alone):
                training.train(policy, site_settings(config, site), seed=_stream(seed, site, number))
            for site in sites:  # in turn, a part of the steps each
                part = dataclasses.replace(
                    site_settings(config, site), steps=max(1, config.federated.steps // len(sites))
                )
                training.train(pooled, part, seed=_stream(seed, site, number))
            progress.step(number + 1)
        for site in sites:
            wanted = site_settings(config, site)
            snr_db = sum(wanted.snr_db) / 2
            channel = bf.iid(config.test_samples, USERS, USERS + site, seed=derive_seed(seed, f"tests of site {site}"))
            problem = bf.Downlink(channel, 10 ** (snr_db / 10))
            rates = Rates(folder, seed, config.test_samples)
            methods = {"rzf": bf.rzf, "wmmse": bf.wmmse} if kind == config.learned[0] else {}
            methods |= {f"{kind}-federated": together, f"{kind}-local": alone[site], f"{kind}-pooled": pooled}
            with torch.no_grad():
                for name, method in methods.items():
                    rates.add(site_name(site, USERS, USERS + site, snr_db), name, partial(method, problem),
                              problem.rates)  # fmt: skip


def _federated(
    config: Config, policy: Policy, kind: Kind, *, seed: int, folder: RunFolder, progress: Progress
) -> Policy:
    rounds, sites = config.federated.rounds, config.federated.sites
    locals_ = [copy.deepcopy(policy) for _ in range(sites)]
    progress.begin(f"{kind}, federated, seed {seed}", rounds, "rounds")

    async def main(sim: cosim.Simulation) -> None:
        nodes, (server,) = needs(config).nodes(sim)
        sent_bytes = 0

        async def at_site(site: int, number: int) -> None:
            nonlocal sent_bytes
            received = (await nodes[site].receive(server)).data
            _put(locals_[site], received)
            async with nodes[site].compute("training", key=(kind, site)):
                training.train(locals_[site], site_settings(config, site), seed=_stream(seed, site, number))
            record = await nodes[site].send(server, _taken(locals_[site]))
            sent_bytes += record.size_bytes

        async def at_server(site: int) -> dict[str, Tensor]:
            nonlocal sent_bytes
            record = await server.send(nodes[site], _taken(policy))
            sent_bytes += record.size_bytes
            found: dict[str, Tensor] = (await server.receive(nodes[site])).data
            return found

        for number in range(rounds):
            training_at_sites = [asyncio.create_task(at_site(site, number)) for site in range(sites)]
            found = await asyncio.gather(*(at_server(site) for site in range(sites)))
            await asyncio.gather(*training_at_sites)
            _put(policy, weighted_average(found, [1.0] * sites))
            row = {"method": f"{kind}-federated", "seed": seed, "round": number + 1, "time_s": sim.now_s}
            folder.table("rounds", ROUNDS).append(row | {"bytes": sent_bytes})
            progress.step(number + 1)

    label = f"{kind}-federated, seed {seed}"
    config.network.simulate(main, needs(config), folder, label, seed=seed)
    return policy.eval()


def _stream(seed: int, site: int, number: int) -> int:
    return derive_seed(seed, f"training of site {site}, round {number}")


def _taken(policy: Policy) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in policy.named_parameters() if value.requires_grad}


def _put(policy: Policy, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in policy.named_parameters():
            if value.requires_grad:
                value.copy_(values[name])
