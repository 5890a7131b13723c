# SPDX-License-Identifier: GPL-2.0-only
"""A device of looped tensor parallelism: it does what the server's messages ask for, one after the other.

All that comes to it has the tag DOWN and is headed by the number of the server's attempt; a new number means that what
was done of the one before is given up. What an answer holds is its tag.

message          what it holds                        answer
plan             weights (and moments) of a shard     public_key, with secure aggregation
keys             everybody's public keys
data             number of the batch (to the owner)   data: labels, and the raw input (replicated inputs)
encode, inputs   number of the batch, or raw input    encoded: columns of the embedded tokens
attend           x [B, L, D]                          attention: partial sum [B, L, D]
feed             x [B, L, D]                          feed_forward: partial sum [B, L, D]
  pre_activate   x [B, L, D]                          pre_activation [B, L, F] (GELU at the server)
  project        activated columns [B, L, F]          feed_forward: partial sum [B, L, D]
feed_back, attend_back, project_back, pre_activate_back: gradient of the answer; answer: gradient of what was held
encode_back      gradient of the encoded columns
commit           the step is done: the optimiser's step
keep             with or without moments              shard
end
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgelam.cosim.work import Work
from edgelam.errors import BatteryEmpty, TransferError
from edgelam.learning.conversation import Link, Parts, number, on_its_way
from edgelam.learning.secure_sum import EXPONENTIATION_OPERATIONS, MASK_OPERATIONS_A_BYTE, FixedPoint, Masker
from edgelam.parallel.looped_costs import device_memory
from edgelam.parallel.looped_fleet import Job
from edgelam.parallel.looped_parts import DevicePart
from edgelam.parallel.looped_records import DeviceStepRecord
from edgelam.random_streams import derive_seed, torch_generator

if TYPE_CHECKING:
    from edgelam import cosim

DOWN = "looped"
"""Tag of everything that goes to a device."""
REPAIR = "looped_repair"
"""Tag of rows that a multicast had lost."""
ANSWERS = {
    "attend": "attention", "feed": "feed_forward", "pre_activate": "pre_activation", "project": "feed_forward",
    "attend_back": "attention_gradient", "feed_back": "feed_forward_gradient",
    "project_back": "activation_gradient", "pre_activate_back": "feed_forward_gradient",
}  # fmt: skip
SUMMED = ("attention", "feed_forward", "attention_gradient", "feed_forward_gradient")
"""Answers that the server sums over the devices."""
VALUES = FixedPoint(44)
GRADIENTS = FixedPoint(54)
"""Fixed point of masked partial sums: values below 2^19 / devices, gradients below 2^9 / devices."""


def fixed_point(answer: str) -> FixedPoint:
    """That of an answer which goes up under masks."""
    return GRADIENTS if answer.endswith("gradient") else VALUES


class Device:
    """One device's side: `live` until the server ends it."""

    def __init__(self, job: Job, node: cosim.Node) -> None:
        """The batches of the job are read by the owner of the data, and by every device where inputs are encoded and
        nobody owns them."""
        self.link = Link(job.sim, node, job.server, job.config.encoding)
        self.config, self.fleet, self.report = job.config, job.fleet, job.report
        self.node = node
        self._batches, self._others, self._seed = job.batches, job.nodes, job.sim.seed
        self._part: DevicePart | None = None
        self._heads = self._columns = 0
        self._attempt = -1
        self._step_start_s = job.sim.now_s
        self._noise = torch_generator(derive_seed(job.sim.seed, f"looped noise of {node.name}"))
        self._masker: Masker | None = None
        self._groups: dict[str, list[str]] = {}

    async def live(self) -> None:
        """Do what is asked for, until the end."""
        farewell = asyncio.create_task(self._farewell(), name=f"farewell of {self.node.name}")
        try:
            await self._serve()
        finally:
            farewell.cancel()
            await asyncio.gather(farewell, return_exceptions=True)
            self._free_memory()

    async def _farewell(self) -> None:
        """Tell the server when this device is to leave; it then ends its life between two steps."""
        await self.fleet.asked_to_leave(self.node.name)
        with contextlib.suppress(TransferError, BatteryEmpty):  # who cannot say so is lost
            await self.node.send(self.link.server, number(self._attempt), tag="leave")

    async def _serve(self) -> None:
        while True:
            since_s = self.link.sim.now_s
            message = await self.node.receive(tag=DOWN)
            self.link.parts.downlink_s += float(on_its_way(message, since_s, self.link.sim.now_s))
            data = dict(message.data)
            if message.lost:
                data = await self._repaired(message, data)
            attempt = int(data.pop("step"))
            [(kind, value)] = data.items()
            if attempt != self._attempt:
                self._attempt = attempt
                if self._part is not None:
                    self._part.forget()
            if kind == "end":
                return
            if kind in ANSWERS:
                await self._work(kind, value)
            else:
                await getattr(self, f"_{kind}")(value)

    # ---- a step ----------------------------------------------------------------------------------------------------

    async def _work(self, kind: str, value: Tensor) -> None:
        part = self._part
        assert part is not None
        self._take_memory(value)
        work = kind.removesuffix("_back")
        forward = work == kind
        answer, depth = ANSWERS[kind], part.pieces(work)
        first = not forward and depth == self.config.loops
        with self.link.accounting():
            async with self.node.compute(kind, key=self._key(value.shape, first)):
                result = getattr(part, kind)(value) if forward else part.back(work, value)[0]
                result = self._noisy(result)
        masked = self.config.secure_aggregation and answer in SUMMED
        await self._send(answer, await self._masked(result, answer, depth) if masked else result)

    async def _data(self, step: Tensor) -> None:
        """The owner's: labels, and the raw input to whoever needs it. The number of the batch is of the step."""
        batch = self._batches(int(step))
        labels, inputs = batch.labels.int(), batch.inputs.int()
        if self.config.inputs == "replicated":
            await self._send("data", {"inputs": inputs, "labels": labels})
            return
        await self._send("data", {"labels": labels})
        for name in self._groups.get("attention", ()):
            if name != self.node.name:
                data = {"step": number(self._attempt), "inputs": inputs}
                await self.node.send(self._others[name], data, tag=DOWN)
        if self._heads:
            await self._inputs(inputs)

    async def _encode(self, step: Tensor) -> None:
        await self._inputs(self._batches(int(step)).inputs)

    async def _inputs(self, inputs: Tensor) -> None:
        part = self._part
        assert part is not None
        ids = inputs.long()
        self._take_memory(ids)
        with self.link.accounting():
            async with self.node.compute("encode", key=self._key(ids.shape, False)):
                encoded = self._noisy(part.encode(ids))
        await self._send("encoded", encoded)

    async def _encode_back(self, gradient: Tensor) -> None:
        part = self._part
        assert part is not None
        with self.link.accounting():
            async with self.node.compute("encode_back", key=self._key(gradient.shape, True)):
                part.back("encode", gradient)

    async def _commit(self, step: Tensor) -> None:
        part = self._part
        assert part is not None
        self._note_step(int(step))
        with self.link.accounting():
            async with self.node.compute("update", key=self._key(torch.Size(), False)):
                part.update()

    def _note_step(self, step: int) -> None:
        parts, now_s = self.link.parts, self.link.sim.now_s
        left = now_s - self._step_start_s - parts.compute_s - parts.uplink_s - parts.downlink_s
        self.report(
            DeviceStepRecord(
                step, self.node.name, self._heads, self._columns, self._step_start_s, now_s,
                float(parts.compute_s), float(parts.uplink_s), float(parts.downlink_s), max(0.0, float(left)),
            )
        )  # fmt: skip
        self.link.parts, self._step_start_s = Parts(), now_s

    # ---- shards ----------------------------------------------------------------------------------------------------

    async def _plan(self, plan: dict[str, Any]) -> None:
        """A new shard, or none: what was there before is thrown away."""
        config, self._groups = self.config, {name: list(group) for name, group in plan["groups"].items()}
        self._free_memory()
        self._part = None
        weights = plan.get("weights")
        self._heads, self._columns = int(plan["heads"]), int(plan["columns"])
        self.link.parts, self._step_start_s = Parts(), self.link.sim.now_s
        if weights is None:
            return
        need = device_memory(config, self._heads, self._columns, 1, 1)
        self.node.memory.allocate("looped weights and moments", need.resident)
        self._part = DevicePart(config, weights, plan.get("moments"), int(plan["steps_done"]))
        if config.secure_aggregation:
            self._masker = Masker(self.node.name, derive_seed(self._seed, f"masks of plan {self._attempt}"))
            with self.link.accounting():
                async with self.node.compute("mask key", work=_exponentiations(1)):
                    key = self._masker.public_key
            await self._send("public_key", key)

    async def _keys(self, keys: dict[str, bytes]) -> None:
        assert self._masker is not None
        with self.link.accounting():
            async with self.node.compute("mask secrets", work=_exponentiations(len(keys) - 1)):
                self._masker.meet(keys)

    async def _keep(self, with_moments: Tensor) -> None:
        part = self._part
        assert part is not None
        shard: dict[str, Any] = {"weights": part.state()}
        if int(with_moments):
            shard["moments"] = part.moments()
        await self._send("shard", shard, encoding=self.config.weight_encoding)

    def _take_memory(self, like: Tensor) -> None:
        """What a step with sequences as in `like` [B, L, ...] holds beside the weights and moments."""
        need = device_memory(self.config, self._heads, self._columns, like.shape[0], like.shape[1])
        self.node.memory.allocate("looped activations", need.total - need.resident)

    def _free_memory(self) -> None:
        for label in self.node.memory.held():
            if label.startswith("looped "):
                self.node.memory.free(label)

    # ---- sending ---------------------------------------------------------------------------------------------------

    async def _send(self, tag: str, value: Any, *, encoding: str | None = None) -> None:
        await self.link.send(tag, self._attempt, {"value": value}, encoding=encoding)

    def _key(self, shape: torch.Size, first: bool) -> Any:
        return self.config, tuple(shape), self._heads, self._columns, first

    def _noisy(self, x: Tensor) -> Tensor:
        if not self.config.noise:
            return x
        noise = torch.randn(x.shape, generator=self._noise, dtype=x.dtype)
        return x + noise * (self.config.noise * x.square().mean().sqrt())

    async def _masked(self, x: Tensor, answer: str, depth: int) -> Tensor:
        assert self._masker is not None
        group = self._groups["attention" if answer.startswith("attention") else "feed_forward"]
        num_bytes = 8 * x.numel() * (len(group) - 1)
        # the masks' hash counts as operations; adding them as traffic: read and write both sides
        work = Work(flops=MASK_OPERATIONS_A_BYTE * num_bytes, bytes=3 * num_bytes)
        with self.link.accounting():
            async with self.node.compute("mask", work=work):
                return self._masker.masked(x, f"{self._attempt}/{answer}/{depth}", group, fixed_point(answer))

    # ---- multicast -------------------------------------------------------------------------------------------------

    async def _repaired(self, message: cosim.Message, data: dict[str, Any]) -> dict[str, Any]:
        """Ask for the rows of which a multicast has lost bytes, and put them in."""
        [(kind, value)] = [(key, value) for key, value in data.items() if key != "step"]
        rows = value.reshape(-1, value.shape[-1])
        missing = lost_rows(message.lost, message.size_bytes, len(rows))
        link, since_s = self.link, self.link.sim.now_s
        await self.node.send(link.server, {"count": number(len(missing)), "rows": missing}, tag="missing")
        link.parts.uplink_s += link.sim.now_s - since_s
        since_s = link.sim.now_s
        answer = await self.node.receive(link.server, tag=REPAIR)
        link.parts.downlink_s += float(on_its_way(answer, since_s, link.sim.now_s))
        rows = rows.clone()
        rows[missing.long()] = answer.data["rows"]
        return {"step": answer.data["step"], kind: rows.reshape(value.shape)}


def lost_rows(lost: list[tuple[int, int]], size_bytes: int, num_rows: int) -> Tensor:
    """Rows of the tensor behind a header of 4 bytes that miss bytes: int32, ascending (empty: the header only)."""
    row_bytes = (size_bytes - 4) // num_rows
    missing: set[int] = set()
    for begin, end in lost:
        if end > 4:
            missing.update(range(max(0, begin - 4) // row_bytes, (end - 5) // row_bytes + 1))
    return torch.tensor(sorted(missing), dtype=torch.int32)


def _exponentiations(count: int) -> Work:
    return Work(flops=count * EXPONENTIATION_OPERATIONS)
