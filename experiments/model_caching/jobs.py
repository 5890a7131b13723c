# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: for each seed, probe the links; for each method, fill the caches and deliver the same requests."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
from collections.abc import Mapping

import numpy as np

from edgelam import cosim
from edgelam.caching import BlockCache, FixedCache, Library
from edgelam.caching.delivery import AT_USER, Cache, EdgeCaches
from edgelam.caching.families import frozen_bottoms
from edgelam.caching.placement import SOLVERS, Problem
from edgelam.caching.policies import POLICIES
from edgelam.caching.ratios import zipf
from edgelam.errors import ConfigurationError
from edgelam.inference.calibration import Links, fit, probed
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.runs import RunFolder

from . import needs
from .config import Config, Method

PROBES = (100_000, 1_000_000)
"""Bytes of the probes from which the time of blocks is predicted."""
ASKS = (100, 600)
"""The same for what users ask."""
CASE = {"method": str, "seed": int}
REQUESTS = CASE | {
    "request": int, "user": str, "model": str, "site": str, "asked_s": float, "deadline_s": float, "status": str,
    "on_time": bool, "e2e_s": float, "fill_s": float, "bytes": int, "site_bytes": int, "middle_bytes": int,
    "origin_bytes": int,
}  # fmt: skip
"""One row a request. fill_s: until the last block was at the site; site_bytes, middle_bytes, origin_bytes: where the
model's bytes were found."""
CACHES = CASE | {
    "models": int, "stored_bytes": int, "predicted": float, "wan_bytes": int, "backhaul_bytes": int,
    "radio_bytes": int, "declared": bool,
}  # fmt: skip
"""One row a simulation. models, stored_bytes: whole models and bytes that all nodes together have at the beginning;
predicted: share of requests that the placement expects within their deadline, NaN for caches that follow requests;
wan_bytes, backhaul_bytes, radio_bytes: blocks that crossed these links; declared: models have sizes, no weights."""


@dataclasses.dataclass(frozen=True)
class Seed:
    """What all methods of a seed have in common."""

    number: int
    library: Library
    popularity: np.ndarray
    """Probability of each model, [M]."""
    requests: list[tuple[float, int, int]]
    """Time, user and model of each."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    progress.begin("methods", config.num_seeds * (1 + len(config.methods)), "simulations")
    done = itertools.count(1)
    for number in range(config.seed, config.seed + config.num_seeds):
        seed = drawn(config, number)
        problem = predicted(config, seed, folder)
        progress.step(next(done))
        for method in config.methods:
            _simulate(config, method, seed, problem, folder)
            progress.step(next(done))


def drawn(config: Config, number: int) -> Seed:
    """Draw the library, the popularity of its models, and the requests of a seed."""
    library = frozen_bottoms(
        config.num_models, _rng(number, "library"), roots=config.roots, bytes_per_parameter=config.bytes_per_parameter,
        share=config.share,
    )  # fmt: skip
    rng = _rng(number, "requests")
    popularity = zipf(config.num_models, config.zipf)[_rng(number, "popularity").permutation(config.num_models)]
    times = np.cumsum(rng.exponential(1 / config.rate, config.requests))  # Poisson
    users = rng.integers(config.num_users, size=config.requests)
    models = rng.choice(config.num_models, size=config.requests, p=popularity)
    requests = list(zip(times.tolist(), users.tolist(), models.tolist(), strict=True))
    return Seed(number, library, popularity, requests)


async def sites_of(sim: cosim.Simulation, config: Config) -> list[str]:
    """Return the cache node at the site of each user. Raises ConfigurationError if it is the node in the middle."""
    edges = [node.name for node in sim.nodes.values() if node.role == "edge"]
    if config.middle not in edges:
        raise ConfigurationError(f"middle is {config.middle!r}; legal are the edge servers: {', '.join(edges)}")
    nearest = (await sim.observable("nearest_edge").read()).value
    found = [edges[int(edge)] for edge in nearest[: config.num_users]]
    if config.middle in found:
        raise ConfigurationError(
            f"{config.middle}, the node in the middle, is the nearest edge server of a user: sites need edge servers "
            "of their own (--options numSiteEdge=1)"
        )
    return found


def parents_of(sim: cosim.Simulation, config: Config) -> dict[str, str]:
    """Return node -> node that it asks: sites the one in the middle, which asks the cloud."""
    edges = [node.name for node in sim.nodes.values() if node.role == "edge"]
    cloud = next(node.name for node in sim.nodes.values() if node.role == "cloud")
    return {edge: cloud if edge == config.middle else config.middle for edge in edges}


def predicted(config: Config, seed: Seed, folder: RunFolder | None = None) -> Problem:
    """Send probes, each alone, in a simulation of their own; return the placement problem that follows from them."""

    async def main(sim: cosim.Simulation) -> tuple[Links, list[str], dict[str, str]]:
        sites, parents = await sites_of(sim, config), parents_of(sim, config)
        users = [f"ue{k}" for k in range(config.num_users)]
        roles = {node.name: node.role for node in sim.nodes.values()}
        down = [*zip(sites, users, strict=True), *((config.middle, site) for site in dict.fromkeys(sites))]
        taken = await probed(sim, down, PROBES, times=1)
        taken += await probed(sim, list(zip(users, sites, strict=True)), ASKS, times=1)
        return fit(taken, roles), sites, parents

    links, sites, parents = config.network.simulate(
        main, needs(config), folder, f"probes, seed {seed.number}", seed=seed.number
    )
    library, nodes = seed.library, tuple(parents)
    seconds = np.full((len(nodes), config.num_users, config.num_models), math.inf)
    largest = np.array([library.block_bytes[mine].max() for mine in library.needs])
    for k, site in enumerate(sites):
        ask_s = links.line(f"ue{k}", site).seconds(ASKS[-1])
        radio, wire = links.line(site, f"ue{k}"), links.line(config.middle, site)
        seconds[nodes.index(site), k] = ask_s + radio.latency_s + library.model_bytes * radio.byte_s
        # block by block: the slower link takes all bytes, the other one a block
        slow, fast = max(radio.byte_s, wire.byte_s), min(radio.byte_s, wire.byte_s)
        through_s = radio.latency_s + 2 * wire.latency_s + library.model_bytes * slow + largest * fast
        seconds[nodes.index(config.middle), k] = ask_s + through_s
    capacity = np.array([int(config.middle_bytes if node == config.middle else config.site_bytes) for node in nodes])
    demand = np.tile(seed.popularity, (config.num_users, 1))
    return Problem(nodes, library, capacity, demand, seconds <= config.deadline_s)


def filled(
    config: Config, method: Method, seed: Seed, problem: Problem, sites: list[str]
) -> tuple[Library, dict[str, Cache], float]:
    """Return the library as a method keeps it, the caches of all nodes, and the share of hits that it predicts.

    Independent caching keeps a copy of each block for each model, so a block of another model is of no use to it.
    """
    library = seed.library.unshared() if method == "independent" else seed.library
    if method == "everything":
        kept = np.ones((len(problem.nodes), len(library.models)), dtype=bool)
    elif method in SOLVERS:
        kept = SOLVERS[method](problem).kept
    else:
        return library, dict(_warmed(config, method, seed, problem, sites)), math.nan
    fixed: dict[str, Cache] = {
        node: FixedCache(library.blocks[j] for j in np.flatnonzero(library.needs[mine].any(axis=0)))
        for node, mine in zip(problem.nodes, kept, strict=True)
    }
    return library, fixed, problem.value(kept)


def _warmed(config: Config, method: Method, seed: Seed, problem: Problem, sites: list[str]) -> dict[str, BlockCache]:
    """Return caches that have followed requests, without a network."""
    caches = {
        node: BlockCache(int(capacity), POLICIES[method]())
        for node, capacity in zip(problem.nodes, problem.capacity_bytes, strict=True)
    }
    rng = _rng(seed.number, "warm")
    users = rng.integers(config.num_users, size=config.warm)
    models = rng.choice(config.num_models, size=config.warm, p=seed.popularity)
    for user, model in zip(users, models, strict=True):
        blocks = seed.library.of(int(model))
        missing = caches[sites[user]].request(blocks)
        if missing:
            caches[config.middle].request({block: blocks[block] for block in missing})
    return caches


def _simulate(config: Config, method: Method, seed: Seed, problem: Problem, folder: RunFolder) -> None:
    case = {"method": method, "seed": seed.number}

    async def main(sim: cosim.Simulation) -> None:
        sites, parents = await sites_of(sim, config), parents_of(sim, config)
        library, caches, expected = filled(config, method, seed, problem, sites)
        whole, stored = _content(library, caches)
        edge = EdgeCaches(sim, library, caches, parents)

        async def ask(at_s: float, user: int, model: int) -> None:
            await asyncio.sleep(at_s)
            site = (await sites_of(sim, config))[user]
            await edge.deliver(f"ue{user}", library.models[model], site, config.deadline_s, withdraw=False)

        await asyncio.gather(*(ask(*request) for request in seed.requests))
        await edge.close()
        for each in sorted(edge.deliveries, key=lambda each: each.request):
            at = {"site_bytes": each.site, "middle_bytes": config.middle, "origin_bytes": edge.origin}
            assert AT_USER not in each.found  # users keep nothing
            folder.table("requests", REQUESTS).append(
                case | {"request": each.request, "user": each.user, "model": each.model, "site": each.site,
                        "asked_s": each.asked_s, "deadline_s": each.deadline_s, "status": each.status,
                        "on_time": each.on_time, "e2e_s": each.e2e_s, "fill_s": each.fill_s, "bytes": each.bytes}
                | {column: each.found.get(node, 0) for column, node in at.items()}
            )  # fmt: skip
        crossed = {"wan_bytes": 0, "backhaul_bytes": 0, "radio_bytes": 0}
        for (source, to), size in edge.carried.items():
            link = "wan" if source == edge.origin else "radio" if sim.node(to).role == "ue" else "backhaul"
            crossed[f"{link}_bytes"] += size
        folder.table("caches", CACHES).append(
            case | {"models": whole, "stored_bytes": stored, "predicted": expected, "declared": library.declared}
            | crossed
        )  # fmt: skip

    label = f"{method}, seed {seed.number}"
    config.network.simulate(main, needs(config), folder, label, seed=seed.number)


def _content(library: Library, caches: Mapping[str, Cache]) -> tuple[int, int]:
    """Return how many whole models all caches have, each counted at each node, and bytes."""
    whole, stored = 0, 0
    for cache in caches.values():
        there = np.array([block in cache for block in library.blocks])  # type: ignore[operator]
        whole += int((~(library.needs & ~there).any(axis=1)).sum())
        stored += int(library.block_bytes[there].sum())
    return whole, stored


def _rng(seed: int, name: str) -> np.random.Generator:
    return from_numbers(derive_seed(seed, f"model-caching {name}"))
