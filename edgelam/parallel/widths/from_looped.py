# SPDX-License-Identifier: GPL-2.0-only
"""The problem of widths of a looped transformer: bytes and memory from its cost functions, seconds from counted work.

Columns are divided in groups, since a device's shard has hundreds of them and one more or less changes nothing.

The work of a device is counted once for each kind with all units and with one (or one group), by running its part on
random values of the right shape; between the two it is taken as linear. Seconds are those of each device's roofline.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import torch

from edgelam.cosim.devices import DeviceProfile
from edgelam.cosim.work import Work, WorkCounter
from edgelam.errors import ConfigurationError
from edgelam.parallel.looped_costs import HEADER, device_memory, wire_bytes
from edgelam.parallel.looped_model import LoopedConfig, LoopedModel
from edgelam.parallel.looped_parts import DevicePart, ServerPart
from edgelam.parallel.looped_split import Split, server_state, shard_state
from edgelam.parallel.widths.cell import Measured, State
from edgelam.parallel.widths.problem import Kind, Plan, Problem

Seconds = tuple[float, float]
"""Whatever the width, and for each unit."""


@dataclasses.dataclass(frozen=True)
class Units:
    """What is divided of a looped transformer, and the work of its parts for batches of one shape."""

    config: LoopedConfig
    batch: int
    length: int
    groups: int
    """Groups into which the columns are divided."""
    heads_work: tuple[tuple[Work, Work], ...]
    """(one unit, all units) of a visit: forward, backward."""
    columns_work: tuple[tuple[Work, Work], ...]
    server_work: Work
    """Of the server in a merge, mean of forward and backward, of both kinds."""

    @property
    def group(self) -> int:
        """Columns of a group."""
        return self.config.feed_forward // self.groups

    def split(self, devices: Sequence[str], plan: Plan) -> Split:
        """The plan's widths as a split of the model."""
        heads, groups = plan.widths
        return Split(tuple(devices), heads, tuple(n * self.group for n in groups))


@functools.cache
def units_of(config: LoopedConfig, batch: int, length: int, groups: int, num_devices: int) -> Units:
    """Count the work of a looped transformer's parts. Raises ConfigurationError for groups that do not divide it."""
    if groups < 1 or config.feed_forward % groups:
        raise ConfigurationError(
            f"feed_forward {config.feed_forward} columns in {groups} groups; a number that divides them is legal"
        )
    # the embedding and the head do not matter here, and may be large
    small = dataclasses.replace(config, vocabulary=1, num_outputs=1, max_length=length, inputs="replicated")
    group = config.feed_forward // groups
    one = _device_work(small, 1, group, batch, length)
    everything = _device_work(small, config.num_heads, config.feed_forward, batch, length)
    pairs = [(first, last) for first, last in zip(one, everything, strict=True)]
    server = _server_work(small, batch, length, num_devices)
    return Units(config, batch, length, groups, tuple(pairs[:2]), tuple(pairs[2:]), server)


def problem_of(units: Units, measured: Measured, server: DeviceProfile, *, band: float = 1.0) -> Problem:
    """The problem for these devices as they have reported their states and rates."""
    config, tokens = units.config, units.batch * units.length
    full = wire_bytes(config.encoding, tokens, config.width) + HEADER
    up = (8 * tokens * config.width if config.secure_aggregation else full - HEADER) + HEADER
    slices = own = 0.0
    if config.nonlinearity == "server":  # a further exchange in which a device has its columns only
        nothing = wire_bytes(config.encoding, tokens, 0)  # int8 has a scale for each token
        slices, own = wire_bytes(config.encoding, tokens, units.group) - nothing, nothing + HEADER
    base, head, column = _memory(units)
    heads_s = [_linear(units.heads_work, config.num_heads, state) for state in measured.states]
    columns_s = [_linear(units.columns_work, units.groups, state) for state in measured.states]
    again = measured.latency_s if config.nonlinearity == "server" else (0.0,) * len(measured.devices)
    merges, server_s = 2 * config.loops, server.seconds(units.server_work.flops, units.server_work.bytes)
    return Problem(
        devices=measured.devices,
        kinds=(
            Kind(
                "heads", config.num_heads, tuple(each for _, each in heads_s), up, 0.0, full, 0.0, head,
                tuple(fixed for fixed, _ in heads_s), server_s, merges,
            ),
            Kind(
                "columns", units.groups, tuple(each for _, each in columns_s), up + own, slices, full + own, slices,
                column, tuple(fixed[0] + more for fixed, more in zip(columns_s, again, strict=True)), server_s, merges,
            ),
        ),
        rate_up_bps=measured.rate_up_bps,
        rate_down_bps=measured.rate_down_bps,
        memory_bytes=tuple(int(state.free_bytes) for state in measured.states),
        latency_s=measured.latency_s,
        memory_base_bytes=base,
        band=band,
        multicast=config.downlink == "multicast",
    )  # fmt: skip


def _memory(units: Units) -> tuple[int, int, int]:
    """(base, for each head, for each group) bytes that are never less than what the looped device takes.

    Its buffers are the larger of several needs; their sum here is at least that, and what is taken of full width, or
    once however many units, is in the base.
    """
    config, b, n, group = units.config, units.batch, units.length, units.group

    def total(heads: int, columns: int) -> int:
        return device_memory(config, heads, columns, b, n).total

    head = max((total(h + 1, 0) - total(h, 0) for h in range(1, config.num_heads)), default=0)
    more = [total(0, (c + 1) * group) - total(0, c * group) for c in range(1, units.groups)]
    column, base = max(more, default=0), 0
    for heads in range(config.num_heads + 1):
        for columns in range(units.groups + 1):
            if heads or columns:
                base = max(base, total(heads, columns * group) - heads * head - columns * column)
    return base, head, column


def _device_work(config: LoopedConfig, heads: int, columns: int, batch: int, length: int) -> list[Work]:
    """Mean work of a visit: attention forward and backward, feed-forward forward and backward."""
    rest = (config.num_heads - heads, config.feed_forward - columns)
    split = Split(("this", "rest"), (heads, rest[0]), (columns, rest[1]))
    part = DevicePart(config, shard_state(LoopedModel(config).state_dict(), config, split, "this"), None, 0)
    x = torch.randn(batch, length, config.width, dtype=config.torch_dtype)
    steps = ["attend", "feed"] if config.nonlinearity == "device" else ["attend", "pre_activate", "project"]
    found = {step: (Work(), Work()) for step in steps}
    for visits in (1, config.loops - 1):  # at the first depth of the way back there are no gradients to add to
        for step in steps:
            given = torch.randn(batch, length, columns, dtype=x.dtype) if step == "project" else x
            with WorkCounter() as forward:
                made = getattr(part, step)(given)
            with WorkCounter() as backward:
                part.back(step, torch.ones_like(made))
            mean = visits / config.loops
            found[step] = found[step][0] + mean * forward.work, found[step][1] + mean * backward.work
    attention, *feeds = (found[step] for step in steps)
    feed = [sum((each[i] for each in feeds), start=Work()) for i in range(2)]
    return [*attention, *feed]


def _server_work(config: LoopedConfig, batch: int, length: int, num_devices: int) -> Work:
    """Mean work of the server in a merge: forward sum and norm, backward, and adding the gradients."""
    model = LoopedModel(config)
    part = ServerPart(config, server_state(model.state_dict(), config), None, 0)
    x = torch.randn(batch, length, config.width, dtype=config.torch_dtype)
    total = Work()
    for what in ("attention", "feed_forward"):
        with WorkCounter() as counter:
            made = part.merge(what, x, [x] * num_devices)
        total = total + counter.work
        with WorkCounter() as counter:
            [gradient] = part.back(what, torch.ones_like(made))
            part.add(gradient, [x] * num_devices)
        total = total + counter.work
    return 0.25 * total


def _linear(work: Sequence[tuple[Work, Work]], units: int, state: State) -> Seconds:
    """Mean of the visits' seconds, as those of no unit and of each further one."""
    fixed = each = 0.0
    for one, everything in work:
        least, most = (state.seconds(w) for w in (one, everything))
        slope = (most - least) / (units - 1) if units > 1 else 0.0
        fixed, each = fixed + (least - slope) / len(work), each + slope / len(work)
    return max(fixed, 0.0), each
