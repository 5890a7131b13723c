# SPDX-License-Identifier: GPL-2.0-only
"""The server of looped tensor parallelism: it leads every step, merges, and knows the last consistent state.

A step is consistent when the server has every gradient of it; then it tells all devices to update. If a device is lost
before everybody has heard of that, or at any other time, all go back to the last checkpoint.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from edgelam.errors import ConfigurationError, RunEnded, TransferError
from edgelam.learning.conversation import expect, number
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.secure_sum import unmasked_sum
from edgelam.parallel.looped_costs import device_memory, server_memory, shard_bytes
from edgelam.parallel.looped_device import DOWN, REPAIR, fixed_point
from edgelam.parallel.looped_fleet import Job, Lost
from edgelam.parallel.looped_model import Batch
from edgelam.parallel.looped_parts import ServerPart
from edgelam.parallel.looped_records import DepartureRecord, PlanRecord, StepRecord
from edgelam.parallel.looped_split import Split, State, server_state, shard_state, whole_state

if TYPE_CHECKING:
    from edgelam import cosim

Planner = Callable[[int, tuple[str, ...]], Split | Awaitable[Split]]
"""The split from a step on, for the devices that are there; called within the run, so it may transfer and compute."""
MULTICAST_GIVE_UP_S = 0.1
"""How long after the last datagram what is missing counts as lost, and is asked for."""


@dataclass
class Snapshot:
    """The whole model before a step, with the optimiser's moments (None before the first step)."""

    step: int
    weights: State
    moments: dict[str, State] | None


class Server:
    """The server's side: `run` does all steps."""

    def __init__(self, job: Job, planner: Planner, weights: State) -> None:
        """weights: of the whole model, to begin with."""
        self.sim, self.node, self.nodes, self.config = job.sim, job.server, job.nodes, job.config
        self._batches, self._fleet, self._planner, self._report = job.batches, job.fleet, planner, job.report
        self._snapshot = Snapshot(0, weights, None)
        self._split: Split | None = None
        self._part = ServerPart(job.config, {}, None, 0)
        self._attempt = -1
        self._merge_s = 0.0
        self._leaving: list[str] = []
        self._going: list[str] = []

    async def run(self, steps: int, replan_every: int) -> tuple[list[float], State]:
        """Losses of the steps that count, and the whole model's weights after the last."""
        losses: list[float] = []
        step, reason, weights = 0, "the run begins", None
        farewells = [asyncio.create_task(self._farewell(name), name=f"farewell of {name}") for name in self.nodes]
        try:
            while weights is None:
                try:
                    if reason:
                        await self._plan(step, reason)
                        reason = ""
                    if step == steps:
                        weights = (await self._collect(step, moments=False)).weights
                        break
                    losses[step:] = [await self._step(step)]
                    step += 1
                    await self._between_steps(step, steps, replan_every)
                except Lost as lost:
                    reason = self._go_back(step, lost)
                    step = self._snapshot.step
        finally:
            for task in farewells:
                task.cancel()
            await asyncio.gather(*farewells, return_exceptions=True)
            for label in self.node.memory.held():
                if label.startswith("looped "):
                    self.node.memory.free(label)
        await self._end(self._fleet.present)
        return losses, weights

    # ---- one step --------------------------------------------------------------------------------------------------

    async def _step(self, step: int) -> float:
        config, part, split = self.config, self._part, self._split
        assert split is not None
        self._attempt += 1
        start_s, self._merge_s = self.sim.now_s, 0.0
        part.forget()
        batch = self._batches(step)
        batch.check(config)
        need = server_memory(config, *batch.shape, len(split.taking_part))
        self.node.memory.allocate("looped activations", need.total - need.resident)
        x, batch = await self._embedded(step, batch)
        heads, columns = split.with_heads, split.with_columns
        for _ in range(config.loops):
            sums = await self._ask(heads, "attend", x, "attention")
            x = await self._merged("attention", x, sums)
            if config.nonlinearity == "server":
                parts = await self._ask(columns, "pre_activate", x, "pre_activation")
                slices = await self._compute("activate", x.shape, False, partial(part.activate, parts))
                sums = await self._ask(columns, "project", slices, "feed_forward")
            else:
                sums = await self._ask(columns, "feed", x, "feed_forward")
            x = await self._merged("feed_forward", x, sums)
        loss, gradient = await self._compute("loss", x.shape, True, lambda: part.loss(x, batch))
        refuse_divergence(loss, f"the loss of step {step}", f"A smaller rate than {config.learning_rate:g} may help")
        for _ in range(config.loops):
            gradient = await self._merge_back("feed_forward", gradient)
            if config.nonlinearity == "server":
                parts = await self._ask(columns, "project_back", gradient, "activation_gradient")
                slices = await self._compute("activate_back", x.shape, False, partial(part.activate_back, parts))
                others = await self._ask(columns, "pre_activate_back", slices, "feed_forward_gradient")
            else:
                others = await self._ask(columns, "feed_back", gradient, "feed_forward_gradient")
            gradient = await self._added("feed_forward", gradient, others)
            gradient = await self._merge_back("attention", gradient)
            others = await self._ask(heads, "attend_back", gradient, "attention_gradient")
            gradient = await self._added("attention", gradient, others)
        await self._embedded_back(gradient)
        await self._ask(split.taking_part, "commit", number(step), None, multicast=False)
        await self._compute("update", (), False, part.update)
        self._report(
            StepRecord(step, self._attempt, start_s, self.sim.now_s, loss, self._merge_s, len(split.taking_part))
        )
        return loss

    async def _embedded(self, step: int, batch: Batch) -> tuple[Tensor, Batch]:
        """The embedded tokens, and the batch as far as the server knows it."""
        config, part = self.config, self._part
        assert self._split is not None
        heads = self._split.with_heads
        if config.owner is not None:
            [data] = await self._ask([config.owner], "data", number(step), "data", multicast=False)
            inputs = data["inputs"].long() if "inputs" in data else batch.inputs
            batch = Batch(inputs, data["labels"].long())
        elif config.inputs == "encoded":
            await self._ask(heads, "encode", number(step), None, multicast=False)
        if config.inputs == "replicated":
            return await self._compute("embed", batch.shape, False, lambda: part.embed(batch.inputs)), batch
        columns = await self._answers(heads, "encoded")
        x = await self._compute("embed", batch.shape, False, lambda: part.merge_encoded(columns))
        return x, batch

    async def _embedded_back(self, gradient: Tensor) -> None:
        part, split = self._part, self._split
        assert split is not None
        slices = await self._compute("embed_back", gradient.shape, True, lambda: part.back("embed", gradient))
        if self.config.inputs == "encoded":
            await self._ask(split.with_heads, "encode_back", slices, None)

    async def _merged(self, what: str, x: Tensor, sums: Sequence[Tensor]) -> Tensor:
        def merge() -> Tensor:
            if self.config.secure_aggregation:
                return self._part.merge(what, x, [unmasked_sum(sums, fixed_point(what))])
            return self._part.merge(what, x, sums)

        return await self._compute(f"merge {what}", (x.shape, len(sums)), False, merge)

    async def _merge_back(self, what: str, gradient: Tensor) -> Tensor:
        first = self._part.pieces(what) == self.config.loops
        return await self._compute(
            f"merge {what} back", gradient.shape, first, lambda: self._part.back(what, gradient)[0]
        )

    async def _added(self, what: str, gradient: Tensor, others: Sequence[Tensor]) -> Tensor:
        def add() -> Tensor:
            if self.config.secure_aggregation:
                return self._part.add(gradient, [unmasked_sum(others, fixed_point(f"{what}_gradient"))])
            return self._part.add(gradient, others)

        return await self._compute("add gradients", (gradient.shape, len(others)), False, add)

    async def _compute(self, label: str, shape: Any, first: bool, work: Callable[[], Any]) -> Any:
        begin_s = self.sim.now_s
        async with self.node.compute(label, key=(self.config, shape, first)):
            result = work()
        self._merge_s += float(self.sim.now_s - begin_s)
        return result

    # ---- messages --------------------------------------------------------------------------------------------------

    async def _ask(
        self, devices: Sequence[str], kind: str, values: Any, answer: str | None, *, multicast: bool = True,
        encoding: str | None = None,
    ) -> list[Any]:  # fmt: skip
        """Send one value to all `devices`, or its own to each (a sequence), and wait for their answers."""
        common = isinstance(values, Tensor)
        encoding = encoding or self.config.encoding
        at_once: asyncio.Task[dict[str, Any]] | None = None
        if common and multicast and self.config.downlink == "multicast" and len(devices) > 1:
            at_once = asyncio.create_task(self._multicast(devices, kind, values, encoding), name=f"multicast of {kind}")

        async def exchange(name: str) -> Any:
            to, value = self.nodes[name], values if common else values[list(devices).index(name)]
            if at_once is None:
                data = {"step": number(self._attempt), kind: value}
                await self.node.send(to, data, tag=DOWN, encoding=encoding)
            else:
                await self._repair(to, (await asyncio.shield(at_once))[name], kind, value, encoding)
            return None if answer is None else await self._answer(name, answer)

        try:
            return await self._fleet.with_each(devices, exchange, self.sim, self.config.patience_s)
        finally:
            if at_once is not None and not at_once.done():
                at_once.cancel()
                await asyncio.gather(at_once, return_exceptions=True)

    async def _answers(self, devices: Sequence[str], answer: str) -> list[Any]:
        async def exchange(name: str) -> Any:
            return await self._answer(name, answer)

        return await self._fleet.with_each(devices, exchange, self.sim, self.config.patience_s)

    async def _answer(self, name: str, answer: str) -> Any:
        return (await expect(self.node, self.nodes[name], answer, self._attempt)).data["value"]

    async def _multicast(self, devices: Sequence[str], kind: str, value: Tensor, encoding: str) -> dict[str, Any]:
        """The record of each receiver."""
        data = {"step": number(self._attempt), kind: value}
        to = [self.nodes[name] for name in devices]
        try:
            records = await self.node.send(
                to, data, tag=DOWN, protocol="udp", encoding=encoding, give_up_s=MULTICAST_GIVE_UP_S
            )
        except TransferError as error:
            if len(error.records) != len(devices):
                raise
            records = list(error.records)
        return dict(zip(devices, records, strict=True))

    async def _repair(self, to: cosim.Node, record: cosim.TransferRecord, kind: str, value: Tensor,
                      encoding: str) -> None:  # fmt: skip
        """Give a receiver of a multicast what it has lost: the rows that it asks for, or everything."""
        if record.delivered_bytes == 0:
            data = {"step": number(self._attempt), kind: value}
            await self.node.send(to, data, tag=DOWN, encoding=encoding)
        elif record.delivered_bytes < record.size_bytes:
            rows = (await self.node.receive(to, tag="missing")).data["rows"].long()
            data = {"step": number(self._attempt), "rows": value.reshape(-1, value.shape[-1])[rows]}
            await self.node.send(to, data, tag=REPAIR, encoding=encoding)

    # ---- plans, checkpoints, departures ----------------------------------------------------------------------------

    async def _decide(self, step: int) -> Split:
        self._going = list(self._leaving)  # who says so only now stays for this plan
        present = tuple(name for name in self._fleet.present if name not in self._going)
        self._fleet.refuse_empty(present, step)
        decision = self._planner(step, present)
        split = await decision if inspect.isawaitable(decision) else decision
        split.check(self.config)
        absent = [name for name in split.taking_part if name not in present]
        if absent:
            raise ConfigurationError(f"the plan gives work to {', '.join(absent)}; there are: {', '.join(present)}")
        owner = self.config.owner
        if owner is not None and owner not in present:
            gone = self._fleet.reason(owner) if owner not in self._fleet.present else "it leaves"
            raise RunEnded(f"{owner} owned the data, so there is none for step {step}: {gone}")
        return split

    async def _plan(self, step: int, reason: str, split: Split | None = None) -> None:
        """Hand out the shards of the snapshot by a new split."""
        split = split or await self._decide(step)
        config, snapshot = self.config, self._snapshot
        shape = self._batches(step).shape
        needs = {name: device_memory(config, *split.share(name), *shape) for name in split.taking_part}
        for name, need in needs.items():
            heads, columns = split.share(name)
            need.check(name, self.nodes[name].device, f"training with {heads} heads and {columns} columns")
        server = server_memory(config, *shape, len(split.taking_part))
        server.check(self.node.name, self.node.device, "merging")
        await self._let_go(step)
        self._split, self._attempt = split, self._attempt + 1
        moments = None
        if snapshot.moments is not None:
            moments = {kind: server_state(tensors, config) for kind, tensors in snapshot.moments.items()}
        self._part = ServerPart(config, server_state(snapshot.weights, config), moments, snapshot.step)
        self.node.memory.allocate("looped model", server.resident)
        groups = {"attention": list(split.with_heads), "feed_forward": list(split.with_columns)}
        if config.secure_aggregation and min(map(len, groups.values())) < 2:
            raise ConfigurationError(
                f"secure_aggregation with heads on {len(split.with_heads)} and columns on {len(split.with_columns)} "
                "devices: a sum over one device hides nothing; at least two of each are needed"
            )
        present = self._fleet.present
        plans = [self._shard(split, name, groups, snapshot) for name in present]
        await self._ask(present, "plan", plans, None, encoding=config.weight_encoding)
        if config.secure_aggregation:
            found = await self._answers(split.taking_part, "public_key")
            keys = dict(zip(split.taking_part, found, strict=True))
            await self._ask(split.taking_part, "keys", [keys] * len(keys), None)
        for name, need in needs.items():
            heads, columns = split.share(name)
            num_bytes = shard_bytes(config, heads, columns, moments=snapshot.moments is not None)
            self._report(PlanRecord(step, self.sim.now_s, reason, name, heads, columns, need.total, num_bytes))

    async def _let_go(self, step: int) -> None:
        """End the lives of the devices that said that they leave, whose shards are in the snapshot."""
        going, split = [name for name in self._going if name in self._fleet.present], self._split
        for name in going:
            heads, columns = split.share(name) if split is not None else (0, 0)
            self._report(DepartureRecord(step, self.sim.now_s, name, "it left", heads, columns, step, 0))
        await self._end(going)
        self._leaving = [name for name in self._leaving if name not in self._going]
        self._going = []

    def _shard(self, split: Split, name: str, groups: dict[str, list[str]], snapshot: Snapshot) -> dict[str, Any]:
        heads, columns = split.share(name)
        plan: dict[str, Any] = {"groups": groups, "heads": number(heads), "columns": number(columns)}
        if heads or columns:
            plan["weights"] = shard_state(snapshot.weights, self.config, split, name)
            plan["steps_done"] = number(snapshot.step)
            if snapshot.moments is not None:
                plan["moments"] = {
                    kind: shard_state(tensors, self.config, split, name) for kind, tensors in snapshot.moments.items()
                }
        return plan

    async def _collect(self, step: int, *, moments: bool) -> Snapshot:
        """The whole model, from every device's shard."""
        config, split = self.config, self._split
        assert split is not None
        self._attempt += 1
        devices = split.taking_part
        shards = await self._ask(devices, "keep", number(int(moments)), "shard", multicast=False)
        held = dict(zip(devices, shards, strict=True))
        weights = whole_state(
            self._part.state(), {name: shard["weights"] for name, shard in held.items()}, config, split
        )
        if not moments:
            return Snapshot(step, weights, None)
        own = self._part.moments()
        whole = {
            kind: whole_state(own[kind], {name: shard["moments"][kind] for name, shard in held.items()}, config, split)
            for kind in own
        }
        return Snapshot(step, weights, whole)

    async def _between_steps(self, step: int, steps: int, replan_every: int) -> None:
        config = self.config
        if step == steps:
            return
        split: Split | None = None
        if self._leaving or (replan_every and step % replan_every == 0):
            decided = await self._decide(step)
            split = decided if decided != self._split or self._going else None
        if split is not None or (config.checkpoint_every and step % config.checkpoint_every == 0):
            self._snapshot = await self._collect(step, moments=True)
            self.node.storage.store("looped checkpoint", 3 * _num_bytes(self._snapshot.weights))
        if split is not None:
            left = f"{', '.join(self._going)} left" if self._going else "planned again"
            await self._plan(step, left, split)

    def _go_back(self, step: int, lost: Lost) -> str:
        """Devices are lost: report it; why there must be a new plan."""
        split = self._split
        assert split is not None
        for name, reason in lost.reasons.items():
            self._fleet.lose(name, reason)
            heads, columns = split.share(name)
            resumed = self._snapshot.step
            self._report(
                DepartureRecord(step, self.sim.now_s, name, reason, heads, columns, resumed, step - resumed)
            )  # fmt: skip
            self._leaving = [other for other in self._leaving if other != name]
        return f"{', '.join(lost.reasons)} lost"

    async def _farewell(self, name: str) -> None:
        await self.node.receive(self.nodes[name], tag="leave")
        self._leaving.append(name)

    async def _end(self, names: Sequence[str]) -> None:
        """Tell devices that they are not needed any more; who cannot be told is gone anyway."""
        try:
            await self._ask(names, "end", [number(0)] * len(names), None)
        except Lost as lost:
            for name, reason in lost.reasons.items():
                self._fleet.lose(name, reason)


def _num_bytes(state: State) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())
