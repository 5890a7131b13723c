# SPDX-License-Identifier: GPL-2.0-only
"""Participant 0 of a run of ranks: it keeps their store, records what they do, and knows when they have ended."""

from __future__ import annotations

import asyncio
import dataclasses
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError
from edgelam.parallel.collectives import THROUGH_A_SERVER
from edgelam.parallel.job import FIRST, Job
from edgelam.parallel.store_host import StoreHost

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation


@dataclasses.dataclass
class Outcome:
    """What became of the ranks."""

    statuses: dict[int, int] = dataclasses.field(default_factory=dict)
    """Rank -> the exit status that it announced."""
    results: dict[int, Any] = dataclasses.field(default_factory=dict)
    """Rank -> what its function returned (`launch`)."""


def environment(sim: Simulation, rank: int, job: Job) -> dict[str, str]:
    """Variables with which the process of a rank finds the run; add them to its environment."""
    if rank not in range(len(job.ranks)):
        raise ConfigurationError(f"rank {rank!r} of {len(job.ranks)}")
    if sim.participants != job.participants:
        raise ConfigurationError(
            f"participants = {sim.participants}: {len(job.ranks)} ranks and this process are {job.participants}"
        )
    size = str(len(job.ranks))
    return {
        **sim.environment(rank + FIRST),
        **job.variables(),
        # what torchrun sets (docs.pytorch.org: torchrun, environment variables), as on one machine
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": size,
        "LOCAL_WORLD_SIZE": size,
        "GROUP_RANK": "0",
        "GROUP_WORLD_SIZE": "1",
        "ROLE_RANK": str(rank),
        "ROLE_WORLD_SIZE": size,
        "ROLE_NAME": "default",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
        "TORCHELASTIC_RUN_ID": "edgelam",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }


async def serve(
    sim: Simulation,
    job: Job,
    *,
    on_record: Callable[[Any], object] | None = None,
    call: bytes | None = None,
) -> Outcome:
    """Serve the ranks until all have ended; then return what they have announced.

    on_record: is told of each TransferRecord, ComputeRecord and CollectiveRecord of a rank; call: what `launch` hands
    to the ranks.
    """
    for name in [*job.ranks, *([job.server] if job.server else [])]:
        sim.node(name)
    store, outcome = StoreHost(sim), Outcome()

    async def follow(rank: int) -> None:
        participant = rank + FIRST
        while rank not in outcome.statuses:
            kind, number, *content = await sim.collect(participant, "rank")
            match kind:
                case "store":
                    await store.asked(participant, number, *content)
                case "forget":
                    store.forget(participant, number)
                case "records":
                    for record in pickle.loads(bytes(content[0])):  # noqa: S301  # of a process of this run
                        if on_record is not None:
                            on_record(record)
                case "call":
                    await sim.post(participant, f"{content[0]} ({number})", call or b"")
                case "result":
                    outcome.results[rank] = pickle.loads(bytes(content[0]))  # noqa: S301
                case "done":
                    outcome.statuses[rank] = int(content[0])
                case _:
                    raise AssertionError(f"rank {rank} says {kind!r}")

    server = job.server_node(sim) if job.algorithm in THROUGH_A_SERVER else None
    if server is not None:
        from edgelam.parallel.collectives import star  # here: it imports PyTorch, which takes seconds

    async with asyncio.TaskGroup() as group:
        serving = None if server is None else group.create_task(star.serve(sim, server), name=f"star at {server.name}")
        async with asyncio.TaskGroup() as followers:
            for rank in range(len(job.ranks)):
                followers.create_task(follow(rank), name=f"rank {rank} at {job.ranks[rank]}")
        if serving is not None:
            serving.cancel()
    return outcome
