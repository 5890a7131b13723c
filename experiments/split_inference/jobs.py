# SPDX-License-Identifier: GPL-2.0-only
"""The run itself: quality of all cuts and formats; for each seed, every cut over the network, and every method."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import math
from typing import Any

import torch

from edgelam import cosim
from edgelam.cosim.node import Node
from edgelam.cosim.transport import Transport
from edgelam.inference.calibration import Links, fit, probed
from edgelam.inference.split import (
    Answered,
    Chain,
    Choice,
    Experience,
    Neurosurgeon,
    Planner,
    Route,
    Side,
    answer,
    best,
    measured,
    predicted_s,
    with_leaving,
)
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.runs import RunFolder

from . import decoding, leakage, needs, rounding
from .config import Config, Method
from .workloads import Workload, agreements, make, states_at_exits

PROBES = (500, 5_000, 60_000, 200_000)
"""Bytes of the probes from which lines are fitted."""
TIMES = 2
"""How often each choice of the sweep is run."""
CUT = {"model": str, "cut": int, "stage": str, "format": str, "confidence": float}
"""Columns of a choice; stage: the last one on the device; confidence: from which the exit there answers, or NaN."""
QUALITY = CUT | {"agreement": float, "bytes": int}
"""One row a choice: the share of answers that are the whole model's, and bytes that cross if it does not leave."""
STAGES = {"model": str, "stage": str, "flops": float, "memory_traffic_bytes": float, "weight_bytes": float}
SWEEP = CUT | {"seed": int, "e2e_s": float, "predicted_s": float}
"""One row a cut and format that was run alone: the mean time it took, and what the planner thought."""
PLANNED = CUT | {"seed": int, "e2e_s": float, "least_s": float}
"""One row a model: the planner's choice for a device alone, the time that this choice took, and the least of all."""
REQUESTS = CUT | {
    "method": str, "seed": int, "user": str, "request": int, "server": str, "start_s": float, "e2e_s": float,
    "near_s": float, "up_s": float, "far_s": float, "down_s": float, "up_bytes": int, "wan_bytes": int,
    "raw_bytes_leaving": int, "left": bool, "agrees": bool, "right": bool,
}  # fmt: skip
"""One row a request. wan_bytes: over the WAN to the cloud; raw_bytes_leaving: of the input itself, out of the site;
left: whether an exit of the device answered."""


class _Study:
    """What all simulations share."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.loads = [make(name, config) for name in config.models]
        formats = tuple(dict.fromkeys((*config.formats, "fp32")))
        self.chains = [measured(load.name, load.cuts, load.inputs[0], formats) for load in self.loads]
        self.agree: list[dict[Choice, float]] = []
        for i, load in enumerate(self.loads):
            if load.exits is not None:
                self.chains[i] = with_leaving(
                    self.chains[i], load.exits, states_at_exits(load.trial or load), config.confidences
                )

    def good(self, index: int, *, exits: bool) -> list[Choice]:
        """Return the choices of a model whose quality is good enough. exits: those with an exit, too."""
        return [choice for choice, share in self.agree[index].items()
                if share >= self.config.least_agreement and (exits or choice.confidence is None)]  # fmt: skip


@dataclasses.dataclass
class _Case:
    """One seed of it."""

    study: _Study
    folder: RunFolder
    seed: int
    links: Links = dataclasses.field(init=False)
    """How long transfers take; from the simulation `calibration`."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run what `config` names."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the same seed gives the same bytes on every machine
    try:
        _run(config, folder, progress)
    finally:
        torch.set_num_threads(before)


def _run(config: Config, folder: RunFolder, progress: Progress) -> None:
    if config.leakage.models:
        leakage.run(config, folder, progress)
    if config.rounding.models:
        rounding.run(config, folder, progress)
    if config.decoding.methods:
        decoding.run(config, folder, progress)
    if not config.models:
        return
    progress.begin("models", len(config.models), "models")
    study = _Study(config)
    for index, (load, chain) in enumerate(zip(study.loads, study.chains, strict=True)):
        study.agree.append(agreements(load.trial or load, config.formats, config.confidences))
        for stage in chain.stages:
            folder.table("stages", STAGES).append(
                {"model": load.name, "stage": stage.name, "flops": stage.work.flops,
                 "memory_traffic_bytes": stage.work.bytes, "weight_bytes": stage.weight_bytes}
            )  # fmt: skip
        for choice, share in study.agree[index].items():
            folder.table("quality", QUALITY).append(
                _cut(chain, choice) | {"agreement": share, "bytes": chain.crossing[choice.format][choice.cut]}
            )
        progress.step(index + 1)
    seeds = range(config.seed, config.seed + config.num_seeds)
    progress.begin("network", len(seeds) * (1 + config.sweep + len(config.methods)), "simulations")
    done = itertools.count(1)
    for seed in seeds:
        case = _Case(study, folder, seed)
        case.links = _simulate(case, "calibration", _calibrate)
        progress.step(next(done))
        if config.sweep:
            _simulate(case, "sweep", _sweep)
            progress.step(next(done))
        for method in config.methods:
            _simulate(case, method, functools.partial(_serve, method=method))
            progress.step(next(done))


def _simulate(case: _Case, label: str, main: Any) -> Any:
    config = case.study.config
    name = label if config.num_seeds == 1 else f"{label}, seed {case.seed}"
    return config.network.simulate(lambda sim: main(sim, case), needs(config), case.folder, name, seed=case.seed)


def _nodes(sim: cosim.Simulation, config: Config) -> tuple[list[Node], Node, Node]:
    users, edges, clouds = needs(config).nodes(sim)
    return users, edges[0], clouds[0]


async def _calibrate(sim: cosim.Simulation, case: _Case) -> Links:
    users, edge, cloud = _nodes(sim, case.study.config)
    pairs = [pair for user in users for server in (edge, cloud) for pair in (
        (user.name, server.name), (server.name, user.name))]  # fmt: skip
    return fit(await probed(sim, pairs, PROBES, times=1), {node.name: node.role for node in sim.nodes.values()})


def _route(links: Links, near: Node, far: Node) -> Route:
    up, down = links.line(near.name, far.name), links.line(far.name, near.name)
    return Route(Side(near.device), Side(far.device), up, down)


async def _sweep(sim: cosim.Simulation, case: _Case) -> None:
    """Run every cut in every format, one after the other, each several times; note the planner's choice among them."""
    study, folder, seed = case.study, case.folder, case.seed
    (user, *_), edge, _ = _nodes(sim, study.config)
    transport, route = Transport(), _route(case.links, user, edge)
    for load, chain in zip(study.loads, study.chains, strict=True):
        await answer(user, edge, load.cuts, load.inputs[0], Choice(0, "fp32"), transport, name=load.name)  # opens TCP
        taken: dict[Choice, float] = {}
        for choice in _different(load, study.config):
            found = [
                (await answer(user, edge, load.cuts, load.inputs[0], choice, transport, name=load.name)).e2e_s
                for _ in range(TIMES)
            ]
            taken[choice] = sum(found) / TIMES
            folder.table("sweep", SWEEP).append(
                _cut(chain, choice) | {"seed": seed, "e2e_s": taken[choice],
                                       "predicted_s": predicted_s(chain, choice, route)}
            )  # fmt: skip
        planned, _ = best(chain, route, list(taken))
        folder.table("planned", PLANNED).append(
            _cut(chain, planned) | {"seed": seed, "e2e_s": taken[planned], "least_s": min(taken.values())}
        )
    await transport.close()


def _different(load: Workload, config: Config) -> list[Choice]:
    """Return all choices; where nothing is rounded, one number format stands for all."""
    return [Choice(cut, form) for cut in load.legal
            for form in (config.formats if cut in load.rounded else config.formats[:1])]  # fmt: skip


async def _serve(sim: cosim.Simulation, case: _Case, method: Method) -> None:
    """Let all users ask at the same time, each one request after the other."""
    users, edge, cloud = _nodes(sim, case.study.config)
    transport = Transport()
    far = cloud if method == "cloud-only" else edge
    rows = await asyncio.gather(*(_user(case, method, i, user, far, transport) for i, user in enumerate(users)))
    await transport.close()
    for row in itertools.chain(*rows):
        case.folder.table("requests", REQUESTS).append(row)


async def _user(  # noqa: PLR0917
    case: _Case, method: Method, index: int, near: Node, far: Node, transport: Transport
) -> list[dict[str, Any]]:
    study, loop = case.study, asyncio.get_running_loop()
    rows = []
    draw = from_numbers(derive_seed(case.seed, f"requests of user {index} of split_inference"))
    for m, (load, chain) in enumerate(zip(study.loads, study.chains, strict=True)):
        experience = Experience(_route(case.links, near, far))
        choose = _chooser(study, m, method, experience)
        for request in range(study.config.requests):
            await asyncio.sleep(float(draw.exponential(study.config.pause_s)))
            which = int(draw.integers(len(load.inputs)))
            start_s = loop.time()
            choice = choose(start_s)
            found = await answer(near, far, load.cuts, load.inputs[which], choice, transport, name=load.name,
                                 exits=load.exits)  # fmt: skip
            experience.seen(chain, choice, found, loop.time())
            crossed = found.up_bytes > 0
            cloud = far.role == "cloud"
            said = int(found.answer)
            rows.append(
                _cut(chain, choice) | _times(found) | {
                    "method": method, "seed": case.seed, "user": near.name, "request": request,
                    "server": far.name if crossed else "", "start_s": start_s,
                    "wan_bytes": found.up_bytes if cloud else 0,
                    "raw_bytes_leaving": found.up_bytes if cloud and choice.cut == 0 else 0,
                    "left": choice.cut < len(chain.stages) and not crossed, "agrees": said == load.answers[which],
                    "right": said == (load.labels or load.answers)[which],
                }
            )  # fmt: skip
    return rows


def _times(found: Answered) -> dict[str, Any]:
    return {"e2e_s": found.e2e_s, "near_s": found.near_s, "up_s": found.up_s, "far_s": found.far_s,
            "down_s": found.down_s, "up_bytes": found.up_bytes}  # fmt: skip


def _chooser(study: _Study, index: int, method: Method, experience: Experience) -> Any:
    """Return a function from the time to a choice."""
    load, chain = study.loads[index], study.chains[index]
    last = len(chain.stages)
    fixed = {
        "device-only": Choice(last, "fp32"), "edge-only": Choice(0, "fp32"), "cloud-only": Choice(0, "fp32"),
        "static": Choice(load.legal[len(load.legal) // 2], "fp16"),
    }  # fmt: skip
    if method in fixed:
        return lambda now_s: fixed[method]
    route = experience.route(0.0)
    if method == "neurosurgeon":
        known = [other for other in study.chains if other is not chain] or [chain]
        surgeon = Neurosurgeon(known, route.near, route.far)
        return lambda now_s: surgeon.choose(chain, experience.route(now_s))
    planner = Planner(chain, study.good(index, exits=method == "exits"), margin=study.config.margin)
    return lambda now_s: planner.choose(experience.route(now_s))


def _cut(chain: Chain, choice: Choice) -> dict[str, Any]:
    stage = "" if choice.cut == 0 else chain.stages[choice.cut - 1].name
    return {"model": chain.name, "cut": choice.cut, "stage": stage, "format": choice.format,
            "confidence": math.nan if choice.confidence is None else choice.confidence}  # fmt: skip
