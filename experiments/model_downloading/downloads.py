# SPDX-License-Identifier: GPL-2.0-only
"""Part downloads: for each seed and method, all users download at the same time and ask what they have meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam import cosim
from edgelam.caching import BlockCache, BlockStore, FixedCache
from edgelam.caching.delivery import Cache, EdgeCaches
from edgelam.caching.policies import Lru
from edgelam.cosim.node import Node
from edgelam.cosim.transport import Transport
from edgelam.downloading import (
    At,
    Device,
    Download,
    Lattice,
    Limits,
    Point,
    Received,
    Selector,
    Serving,
    Way,
    first,
    keep,
    library_of,
    nearest_site,
)
from edgelam.downloading.work import work_of
from edgelam.errors import EdgelamError
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.runs import RunFolder

from . import needs
from .config import Config, Method
from .models import INPUT_BYTES, Tests, encoded, held_out, load, same

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

CASE = {"method": str, "seed": int, "user": str}
DOWNLOADS = CASE | {
    "status": str, "reason": str, "begin_s": float, "usable_s": float, "end_s": float, "depth": int, "width": int,
    "bits": int, "accuracy": float, "bytes": int, "plans": int, "swaps": int, "kept_back": int,
}  # fmt: skip
"""One row a download. usable_s: from the beginning until something could answer, NaN if nothing could; depth to
accuracy: of what there was at the end (0: nothing); plans: how often the target was chosen anew; swaps: sizes that
served one after another; kept_back: sizes for which there was no memory."""
STEPS = CASE | {"at_s": float, "depth": int, "width": int, "bits": int, "accuracy": float, "bytes": int}
"""One row a size that became usable; at_s: since the beginning of the download; bytes: that had come."""
REQUESTS = CASE | {
    "request": int, "asked_s": float, "e2e_s": float, "answered": bool, "depth": int, "bits": int, "accuracy": float,
    "right": float, "up_bytes": int,
}  # fmt: skip
"""One row a request; asked_s: since the beginning of the download; e2e_s: NaN if nothing had answered at the end;
answered: within patience; accuracy: of the size that answered, 0 if none did; right: whether the answer to a real input
was right, NaN with declared weights; up_bytes: that left the device."""
TIERS = {"method": str, "seed": int, "source": str, "receiver": str, "bytes": int}
"""One row a pair of nodes: blocks that went from one to the other."""
EARLY_S = 0.05
"""Downloads begin within so many seconds."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One simulation."""

    config: Config
    method: Method
    seed: int
    lattice: Lattice
    quality: dict[Point, float]
    store: BlockStore | None
    """The library's blocks, with trained weights."""
    whole: Received | None
    """The whole model, for the server."""
    inputs: Tests | None
    folder: Path
    """For the stores of devices."""
    budgets: dict[str, float]
    """For the oracle: user -> bytes that come until the deadline."""


def simulations(config: Config) -> int:
    """Return how many simulations this part runs."""
    return config.num_seeds * (len(config.methods) + ("oracle" in config.methods))


def run(config: Config, folder: RunFolder, step: Callable[[], object]) -> None:
    """Run all methods and seeds; step: called after each simulation."""
    known = load(config.model)
    store, inputs, whole = None, None, None
    with tempfile.TemporaryDirectory(prefix="edgelam-") as place:
        if config.weights == "trained":
            same(config.model)
            lattice, contents = encoded(config.model)
            known = dataclasses.replace(known, lattice=lattice)
            store = BlockStore(Path(place) / "library")
            keep(lattice, contents, store)
            inputs = held_out(config.model, config.samples, config.seed)
            whole = Received(lattice, lattice.whole, store.content)
        for seed in range(config.seed, config.seed + config.num_seeds):
            budgets: dict[str, float] = {}
            if "oracle" in config.methods:
                probe = Case(config, "full", seed, known.lattice, known.quality, None, None, None, Path(place), {})
                budgets = _simulate(probe, None, f"rates, seed {seed}")
                step()
            for method in config.methods:
                case = Case(
                    config, method, seed, known.lattice, known.quality, store, whole, inputs, Path(place), budgets
                )
                _simulate(case, folder, f"{method}, seed {seed}")
                step()


def _simulate(case: Case, folder: RunFolder | None, label: str) -> dict[str, float]:
    """Run one simulation; return user -> bytes that came until the deadline."""
    rows: dict[str, list[dict[str, Any]]] = {"downloads": [], "steps": [], "requests": [], "tiers": []}

    async def main(sim: cosim.Simulation) -> dict[str, float]:
        users, _, clouds = needs(case.config).nodes(sim)
        edges = [node.name for node in sim.nodes_with_role("edge") if node not in clouds]
        devices = {
            node.name: Device(node, None if case.store is None else
                              BlockStore(case.folder / f"{case.method} {case.seed} {node.name}"))
            for node in users[: case.config.num_users]
        }  # fmt: skip
        edge = _tiers(sim, case, edges, clouds[0].name, devices)
        transport = Transport()
        found = await asyncio.gather(*(_user(sim, case, edge, devices[name], transport, rows) for name in devices))
        await edge.close()
        await transport.close()
        for (source, receiver), size in sorted(edge.carried.items()):
            rows["tiers"].append(
                {"method": case.method, "seed": case.seed, "source": source, "receiver": receiver, "bytes": size}
            )
        return dict(zip(devices, found, strict=True))

    result = case.config.network.simulate(main, needs(case.config), folder, label, seed=case.seed)
    if folder is not None:
        for name, columns in (("downloads", DOWNLOADS), ("steps", STEPS), ("requests", REQUESTS), ("tiers", TIERS)):
            for row in rows[name]:
                folder.table(name, columns).append(row)
    return result


def _tiers(sim: Simulation, case: Case, edges: list[str], cloud: str, devices: dict[str, Device]) -> EdgeCaches:
    """Return the library over edge, middle and cloud; the method says which of them has the model at the beginning.

    The last edge server is the one in the middle: the others ask it, and it asks the cloud.
    """
    library = library_of([case.lattice])
    everything = FixedCache(library.blocks)
    room = int(library.block_bytes.sum())
    *sites, middle = edges
    caches: dict[str, Cache] = dict.fromkeys(sites, everything)
    if case.method in ("middle", "central"):
        caches = {name: BlockCache(room, Lru()) for name in sites}
    caches[middle] = BlockCache(room, Lru()) if case.method == "central" else everything
    stores = {name: device.store for name, device in devices.items() if device.store is not None}
    parents = dict.fromkeys(sites, middle) | {middle: cloud}
    return EdgeCaches(sim, library, caches | devices, parents, store=case.store, user_stores=stores)


async def _user(  # noqa: PLR0917
    sim: Simulation, case: Case, edge: EdgeCaches, device: Device, transport: Transport,
    rows: dict[str, list[dict[str, Any]]],
) -> float:  # fmt: skip
    """Download and ask; return the bytes that came."""
    config, user = case.config, device.node.name
    draw = from_numbers(derive_seed(case.seed, f"requests of {user} of model_downloading"))
    await first(sim, user, [At(float(draw.uniform(0, EARLY_S)))])
    begin_s = sim.now_s
    serving = Serving(device.node, case.lattice, device if case.store is not None else None)
    asking = asyncio.create_task(_ask(sim, case, serving, device.node, transport, draw), name=f"asks of {user}")
    labels = {"method": case.method, "seed": case.seed, "user": user}
    if case.method == "split":
        rows["requests"] += [labels | row for row in await asking]
        return 0.0
    limits = Limits(storage_bytes=config.storage_bytes, seconds=config.inference_s)
    way = way_of(case, user, limits, device)
    download = Download(
        sim, edge, device, functools.partial(nearest_site, sim, user), case.lattice, case.quality, way, limits
    )
    swaps: list[asyncio.Task[bool]] = []
    download.on_usable.append(
        lambda step: swaps.append(asyncio.create_task(serving.swap(step.point), name=f"swap of {user} {len(swaps)}"))
    )
    progress = await download.run()
    requests = await asking
    await asyncio.gather(*swaps)
    last = progress.usable
    rows["downloads"].append(labels | {
        "status": progress.status, "reason": progress.reason, "begin_s": begin_s,
        "usable_s": progress.steps[0].at_s - begin_s if progress.steps else math.nan,
        "end_s": progress.end_s - begin_s, "depth": last.depth if last else 0, "width": last.width if last else 0,
        "bits": last.bits if last else 0, "accuracy": case.quality[last] if last else 0.0, "bytes": progress.bytes,
        "plans": len(progress.plans), "swaps": len(serving.swaps), "kept_back": len(serving.kept_back),
    })  # fmt: skip
    rows["steps"] += [
        labels | {"at_s": step.at_s - begin_s, "depth": step.point.depth, "width": step.point.width,
                  "bits": step.point.bits, "accuracy": case.quality[step.point], "bytes": step.bytes}
        for step in progress.steps
    ]  # fmt: skip
    rows["requests"] += [labels | row for row in requests]
    serving.close()
    return float(progress.bytes)


def way_of(case: Case, user: str, limits: Limits, device: Device) -> Way:
    """Return how a method chooses."""
    config, whole = case.config, case.lattice.whole
    way = Way(config.deadline_s, config.predicted_mbps * 1e6)
    match case.method:
        case "full":
            return dataclasses.replace(way, only=whole, progressive=False)
        case "fixed":
            return dataclasses.replace(way, only=Point(*config.fixed_size), progressive=False)
        case "planned-once":
            return dataclasses.replace(way, replan=False, learn=False)
        case "oracle":
            profile = device.node.device
            selector = Selector(case.lattice, case.quality, dataclasses.replace(
                limits, flops_per_s=profile.flops_per_s, bytes_per_s=profile.memory_bandwidth_bytes_per_s))  # fmt: skip
            plan = selector.plan((), 8 * case.budgets[user] / config.deadline_s, config.deadline_s)
            return dataclasses.replace(way, only=plan.target)
    return way


async def _ask(  # noqa: PLR0917
    sim: Simulation, case: Case, serving: Serving, node: Node, transport: Transport, draw: np.random.Generator,
) -> list[dict[str, Any]]:  # fmt: skip
    """Ask at random times until the deadline; each request waits for its answer as long as its patience lasts."""
    config, begin_s = case.config, sim.now_s
    asking: list[asyncio.Task[dict[str, Any]]] = []
    while True:
        wait_s = float(draw.exponential(1 / config.request_rate))
        if sim.now_s + wait_s > begin_s + config.deadline_s:
            break
        await asyncio.sleep(wait_s)
        sample = int(draw.integers(config.samples))
        one = _one(sim, case, serving, node, transport, sample)
        asking.append(asyncio.create_task(one, name=f"request {len(asking):04d} of {node.name}"))
    found = [await task for task in asking]
    return [row | {"request": i, "asked_s": row["asked_s"] - begin_s} for i, row in enumerate(found)]


async def _one(  # noqa: PLR0917
    sim: Simulation, case: Case, serving: Serving, node: Node, transport: Transport, sample: int
) -> dict[str, Any]:
    """Ask once."""
    asked_s, up = sim.now_s, 0
    row = {"asked_s": asked_s, "e2e_s": math.nan, "answered": False, "depth": 0, "bits": 0, "accuracy": 0.0,
           "right": 0.0 if case.inputs else math.nan}  # fmt: skip
    inputs = label = None
    if case.inputs is not None:
        x, mask, labels = case.inputs
        inputs = (x[sample : sample + 1], None if mask is None else mask[sample : sample + 1])
        label = int(labels[sample])
    try:
        async with asyncio.timeout(case.config.patience_s):
            if case.method == "split":
                up = INPUT_BYTES[case.config.model]
                point, logits = await _at_the_edge(sim, case, node, transport, inputs)
            else:
                answer = await serving.answer(inputs)
                point, logits = answer.point, answer.logits
            row |= {"e2e_s": sim.now_s - asked_s, "answered": True, "depth": point.depth, "bits": point.bits,
                    "accuracy": case.quality[point]}  # fmt: skip
            if logits is not None:
                row["right"] = float(int(logits.argmax()) == label)
    except (TimeoutError, EdgelamError):
        pass  # the row says that there was no answer
    return row | {"up_bytes": up}


async def _at_the_edge(sim: Simulation, case: Case, node: Node, transport: Transport, inputs: Any) -> tuple[Point, Any]:
    """Send an input to the server, which has the whole model, and get its answer."""
    server, whole = sim.node(await nearest_site(sim, node.name)), case.lattice.whole
    await transport.carry(node, server, np.zeros(INPUT_BYTES[case.config.model], np.uint8), f"input {node.name}")
    async with server.compute("infer", work=work_of(case.lattice, whole).work):
        logits = case.whole.run(*inputs) if case.whole is not None and inputs is not None else None
    await transport.carry(server, node, np.zeros(4 * case.lattice.shape.classes, np.uint8), f"answer {node.name}")
    return whole, logits
