# SPDX-License-Identifier: GPL-2.0-only
"""One policy for sites with different deployments, trained together without their channels: federated averaging.

Site s has s antennas more than users, and its own range of SNRs. In each round, the server sends what is trained of the
policy (adapters, message passing) to all sites, each trains on its own channels, on its machine, and sends it back; a
rule combines the adapters, and the server takes the mean of all else (FedAvg). Beside it: every site for itself, and
one policy on the channels of all sites, both with as many steps as a site.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import torch

from edgelam import cosim
from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import Kind, TrainingSettings
from edgelam.learning.aggregation import RULES, whole_models
from edgelam.random_streams import derive_seed

from .config import Config, needs, site_name
from .keeping import Whole
from .tables import Rates
from .trainer import Work

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


def run(work: Work) -> None:
    """Train each kind of policy in the three ways, and judge all on the channels of each site."""
    config, seed = work.config, work.seed
    sites = range(config.federated.sites)
    for kind in config.learned:

        def fresh(kind: Kind = kind) -> Policy:
            return training.make(kind, config.policy, seed=derive_seed(seed, f"weights of {kind}") % 2**31)

        def steps(policy: Policy, some: Sequence[int], number: int) -> None:
            """Do one round, the steps of a site, on the channels of these sites in turn."""
            for site in some:
                wanted = site_settings(config, site)
                part = dataclasses.replace(wanted, steps=max(1, wanted.steps // len(some)))
                training.train(policy, part, seed=_stream(seed, site, number))

        together = _federated(work, fresh(), kind)
        alone = [_by_itself(work, f"{kind}-local-{site}", fresh(), partial(steps, some=(site,))) for site in sites]
        pooled = _by_itself(work, f"{kind}-pooled", fresh(), partial(steps, some=sites))
        for site in sites:
            wanted = site_settings(config, site)
            snr_db = sum(wanted.snr_db) / 2
            channel = bf.iid(config.test_samples, USERS, USERS + site, seed=derive_seed(seed, f"tests of site {site}"))
            problem = bf.Downlink(channel, 10 ** (snr_db / 10))
            rates = Rates(work.folder, seed, config.test_samples)
            methods = {"rzf": bf.rzf, "wmmse": bf.wmmse} if kind == config.learned[0] else {}
            methods |= {f"{kind}-federated": together, f"{kind}-local": alone[site], f"{kind}-pooled": pooled}
            with torch.no_grad():
                for name, method in methods.items():
                    rates.add(site_name(site, USERS, USERS + site, snr_db), name, partial(method, problem),
                              problem.rates)  # fmt: skip


def _by_itself(work: Work, name: str, policy: Policy, steps: Callable[..., None]) -> Policy:
    """Train a policy without a network, or take it from a checkpoint. steps: policy and number of the round."""
    whole = Whole(work.store, f"{name}-seed{work.seed}")
    if whole.load(policy) is None:
        rounds = work.config.federated.rounds
        work.begin(name, rounds, "rounds")
        for number in range(rounds):
            steps(policy, number=number)
            work.progress.step(number + 1)
        whole.save(policy)
    return policy.eval()


def _federated(work: Work, policy: Policy, kind: Kind) -> Policy:
    """Train over the network, or take the result from a checkpoint; rows of table `rounds`."""
    config, seed = work.config, work.seed
    rounds, sites, rule = config.federated.rounds, config.federated.sites, RULES[config.federated.aggregation]
    rule.prepare(policy)
    table = work.folder.table("rounds", ROUNDS)
    whole = Whole(work.store, f"{kind}-federated-seed{seed}")
    if (rows := whole.load(policy)) is not None:
        for row in rows:
            table.append(row)
        return policy.eval()
    rows = []
    locals_ = [copy.deepcopy(policy) for _ in range(sites)]
    down = whole_models.first(policy, rule)
    work.begin(f"{kind}, federated", rounds, "rounds")

    async def main(sim: cosim.Simulation) -> None:
        nonlocal down
        nodes, (server,) = needs(config).nodes(sim)
        sent_bytes = 0

        async def at_site(site: int, number: int) -> None:
            nonlocal sent_bytes
            received = (await nodes[site].receive(server)).data
            whole_models.install(locals_[site], received, rule)
            async with nodes[site].compute("training", key=(kind, site)):
                training.train(locals_[site], site_settings(config, site), seed=_stream(seed, site, number))
            record = await nodes[site].send(server, whole_models.upload(locals_[site], rule))
            sent_bytes += record.size_bytes

        async def at_server(site: int) -> whole_models.Parts:
            nonlocal sent_bytes
            record = await server.send(nodes[site], down)
            sent_bytes += record.size_bytes
            found: whole_models.Parts = (await server.receive(nodes[site])).data
            return found

        for number in range(rounds):
            training_at_sites = [asyncio.create_task(at_site(site, number)) for site in range(sites)]
            found = await asyncio.gather(*(at_server(site) for site in range(sites)))
            await asyncio.gather(*training_at_sites)
            down = whole_models.merge(found, [1.0] * sites, rule)
            whole_models.install(policy, down, rule)
            rows.append({"method": f"{kind}-federated", "seed": seed, "round": number + 1, "time_s": sim.now_s,
                         "bytes": sent_bytes})  # fmt: skip
            table.append(rows[-1])
            work.progress.step(number + 1)

    label = f"{kind}-federated, seed {seed}"
    config.network.simulate(main, needs(config), work.folder, label, seed=seed)
    whole.save(policy, rows)
    return policy.eval()


def _stream(seed: int, site: int, number: int) -> int:
    return derive_seed(seed, f"training of site {site}, round {number}")
