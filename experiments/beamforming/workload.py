# SPDX-License-Identifier: GPL-2.0-only
"""What the UEs of the closed loop are sent: full buffers, tensors one after the other, and rounds of fine-tuning."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import torch

from edgelam import cosim
from edgelam.air.cells import Air
from edgelam.air.full_buffers import fill
from edgelam.errors import TransferError

from .settings import LearningSettings, LoopSettings

if TYPE_CHECKING:
    from edgelam.federated import Setup

DRAINING_S = 5.0  # the longest time that full buffers may take to become empty


async def drained(sim: cosim.Simulation) -> None:
    """Wait until buffers are empty."""
    backlog, limit_s = sim.observable("ue_backlog_bytes"), sim.now_s + DRAINING_S
    while (await backlog.read()).value[0].any() and sim.now_s < limit_s:
        await asyncio.sleep(0.01)


async def tensors(
    sim: cosim.Simulation, server: cosim.Node, ues: list[cosim.Node], loop: LoopSettings
) -> list[dict[str, Any]]:
    """Send each UE its tensors when the buffers are empty; rows of table `loop_latencies`."""
    if not loop.tensors:
        return []
    await drained(sim)
    tensor = torch.zeros(int(loop.tensor_kb * 250))

    async def to(number: int, ue: cosim.Node) -> list[dict[str, Any]]:
        rows = []
        for index in range(loop.tensors):
            latency_ms, arrived = loop.longest_ms, False
            with contextlib.suppress(TransferError):  # it has not arrived in time
                sent = await server.send(ue, tensor, tag="tensor", deadline_s=loop.longest_ms / 1e3)
                await ue.receive(server, tag="tensor")
                latency_ms, arrived = 1e3 * (sent.last_byte_s - sent.queued_s), True
            rows.append({"ue": number, "number": index, "latency_ms": latency_ms, "arrived": arrived})
        return rows

    found = await asyncio.gather(*(to(number, ue) for number, ue in enumerate(ues)))
    return [row for rows in found for row in rows]


def prepared(learning: LearningSettings, seed: int) -> Setup | None:
    """Return what all methods of a seed learn; None: nothing."""
    if learning.method == "none":
        return None
    from edgelam.federated import SplitFedFTSettings, prepare

    settings = SplitFedFTSettings(
        task=learning.task, num_devices=learning.devices, rounds=learning.rounds, batch_size=learning.batch_size,
        evaluations=1, test_samples=learning.test_samples, local_steps=learning.local_steps,
        cut=learning.cut,
    )  # fmt: skip
    return prepare(settings, seed)


async def learn(
    sim: cosim.Simulation, server: cosim.Node, ues: list[cosim.Node], air: Air, learning: LearningSettings, *,
    setup: Setup,
) -> list[dict[str, Any]]:  # fmt: skip
    """Fine-tune on the first UEs while the others have full buffers; rows of table `loop_learning`, one a round.

    A round that has not ended when fine-tuning is given up is the last row.
    """
    from edgelam.federated import METHODS
    from edgelam.federated.records import EvaluationRecord, Record, RoundRecord

    await drained(sim)
    rounds: list[RoundRecord] = []
    accuracy = float("nan")

    def report(record: Record) -> None:
        nonlocal accuracy
        if isinstance(record, RoundRecord):
            rounds.append(record)
        elif isinstance(record, EvaluationRecord) and record.head == "average":
            accuracy = record.accuracy

    begin_s, ended = sim.now_s, False
    async with asyncio.TaskGroup() as group:
        first = learning.devices if learning.background else len(ues)
        filling = group.create_task(fill(sim, server, ues, prbs=air.prbs, slot_s=air.slot_s, first=first))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(METHODS[learning.method](sim, setup, report), learning.longest_s)
            ended = True
        filling.cancel()
    spans = [(each.start_s, each.end_s) for each in rounds]
    if not ended:
        spans.append((rounds[-1].end_s if rounds else begin_s, begin_s + learning.longest_s))
    return [
        {"learned": learning.method, "round": number + 1, "time_s": end_s - begin_s, "round_s": end_s - start_s,
         "accuracy": accuracy, "ended": ended or number < len(rounds)}
        for number, (start_s, end_s) in enumerate(spans)
    ]  # fmt: skip
