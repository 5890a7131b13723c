# SPDX-License-Identifier: GPL-2.0-only
"""What a step of looped tensor parallelism costs, as functions of the configuration and the split: bytes that cross the
network, floating-point operations, memory. Nothing is run.

The tests compare the bytes with the transfers of a run, the operations with those that the compute blocks counted, and
the memory with the peak of a real step.

Shape letters: T = B L tokens, D width, N features of a device's heads, F its columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgelam.cosim.devices import DeviceProfile
from edgelam.errors import OutOfDeviceMemory
from edgelam.parallel.looped_model import LoopedConfig
from edgelam.parallel.looped_split import Split

HEADER = 4
"""Bytes of the number of the attempt that heads a message."""
_WIRE = {"fp64": 8, "fp32": 4, "fp16": 2, "bf16": 2}


def wire_bytes(encoding: str, rows: int, width: int) -> int:
    """Bytes of [rows, width] values on the wire, see cosim/encoding.py."""
    return rows * (4 + width) if encoding == "int8" else rows * width * _WIRE[encoding]


@dataclass(frozen=True)
class StepBytes:
    """Payload bytes of one step by device, without those of plans, checkpoints and repairs."""

    up: dict[str, int]
    """From each device to the server."""
    down: dict[str, int]
    """From the server to each device, by unicast or multicast."""
    between: dict[str, int]
    """From the owner to each other device (encoded inputs)."""
    sent: int
    """What the server sends: a multicast counts once."""


def step_bytes(config: LoopedConfig, split: Split, batch: int, length: int) -> StepBytes:
    """The bytes that one step transfers for sequences [batch, length].

    A device with heads gets and sends [T, D] twice a depth (forward and backward), one with columns twice more; with
    nonlinearity "server", [T, F] twice more each way. Partial sums under masks take 8 bytes a value.
    """
    tokens = batch * length
    ranges = split.ranges(config)
    full = wire_bytes(config.encoding, tokens, config.width) + HEADER
    partial = (8 * tokens * config.width if config.secure_aggregation else full - HEADER) + HEADER
    up, down, between, alone = {}, {}, {}, 0
    for name, heads, columns in zip(split.devices, split.heads, split.columns, strict=True):
        visits = 2 * ((heads > 0) + (columns > 0)) * config.loops
        up[name] = visits * partial
        down[name] = visits * full
        alone_here = 0
        if columns and config.nonlinearity == "server":
            slices = 2 * config.loops * (wire_bytes(config.encoding, tokens, columns) + HEADER)
            up[name] += slices
            alone_here += slices
        if heads and config.inputs == "encoded":
            own = ranges[name]["heads"]
            columns_bytes = wire_bytes(config.encoding, tokens, own.stop - own.start) + HEADER
            up[name] += columns_bytes
            alone_here += columns_bytes
            if config.owner is None:
                alone_here += 2 * HEADER  # which batch
            elif name != config.owner:
                between[name] = 4 * tokens + HEADER
        if heads or columns:
            alone_here += 2 * HEADER  # which step is done
        down[name] += alone_here
        alone += alone_here
    if config.owner is not None:
        labels = 4 * (tokens if config.head == "tokens" else batch) + HEADER
        inputs = 4 * tokens if config.inputs == "replicated" else 0
        up[config.owner] = up.get(config.owner, 0) + labels + inputs
        down[config.owner] = down.get(config.owner, 0) + 2 * HEADER  # which batch
        alone += 2 * HEADER
    phases = 2 * config.loops
    if config.downlink == "multicast":
        common = phases * full * (bool(split.with_heads) + bool(split.with_columns))
    else:
        common = phases * full * (len(split.with_heads) + len(split.with_columns))
    return StepBytes(up, down, between, common + alone)


def shard_values(config: LoopedConfig, heads: int, columns: int) -> int:
    """Parameters of a device with so many heads and columns."""
    own = heads * config.head_width
    values = own * (4 * config.width + 3) + columns * (2 * config.width + 1)
    if config.inputs == "encoded":
        values += own * (config.vocabulary + config.max_length)
    return values


def server_values(config: LoopedConfig) -> int:
    """Parameters of the server: norms, biases behind the sums, head, and the replicated embedding."""
    values = (6 + 2) * config.width + (config.width + 1) * config.num_outputs
    if config.inputs == "replicated":
        values += config.width * (config.vocabulary + config.max_length)
    return values


def shard_bytes(config: LoopedConfig, heads: int, columns: int, *, moments: bool) -> int:
    """Bytes of a shard on the wire, with or without the optimiser's two moments."""
    return shard_values(config, heads, columns) * _WIRE[config.weight_encoding] * (3 if moments else 1)


# ---- floating-point operations -------------------------------------------------------------------------------------


def device_flops(config: LoopedConfig, heads: int, columns: int, batch: int, length: int) -> int:
    """Floating-point operations of a device in one step, forward and backward.

    Products only (a multiplication and an addition are two), as the compute blocks count them; backward is twice
    forward. The optimiser's step and element-wise work cost memory traffic, no FLOPs.
    """
    tokens, own = batch * length, heads * config.head_width
    projections = 4 * 2 * tokens * config.width * own
    scores = 2 * 2 * batch * heads * length * length * config.head_width
    feed_forward = 2 * 2 * tokens * config.width * columns
    flops = 3 * config.loops * (projections + scores + feed_forward)
    return flops + (tokens * own if config.inputs == "encoded" else 0)


def server_flops(config: LoopedConfig, batch: int, length: int) -> int:
    """Floating-point operations of the server in one step: norms (8 a value forward, 14 backward), head, and the sum
    of gradients by token of the replicated embedding."""
    tokens = batch * length
    predictions = tokens if config.head == "tokens" else batch
    norms = (8 + 14) * tokens * config.width * (2 * config.loops + 1)
    head = 3 * 2 * predictions * config.width * config.num_outputs
    return norms + head + (tokens * config.width if config.inputs == "replicated" else 0)


def step_flops(config: LoopedConfig, split: Split, batch: int, length: int) -> dict[str, int]:
    """`device_flops` of every device of a split, by name."""
    return {
        name: device_flops(config, heads, columns, batch, length)
        for name, heads, columns in zip(split.devices, split.heads, split.columns, strict=True)
    }


# ---- memory --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that training holds on one device at the worst moment of a step, by what they are for."""

    weights: int
    optimiser: int
    """AdamW's two moments."""
    gradients: int
    """Of weights, as far as there are any at that moment: the first backward pass makes them."""
    activations: int
    """What is saved for the backward pass and not used yet."""
    buffers: int
    """Temporary tensors of that moment: what arrives, what leaves, gradients in between."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.optimiser + self.gradients + self.activations + self.buffers

    @property
    def resident(self) -> int:
        """What is held all the time: weights and moments."""
        return self.weights + self.optimiser

    def check(self, name: str, profile: DeviceProfile, what: str) -> None:
        """Raise OutOfDeviceMemory, with both numbers, if the device holds less."""
        if self.total > profile.memory_bytes:
            raise OutOfDeviceMemory(
                f"{name} ({profile.name}): {what} needs {self.total:,} bytes (weights {self.weights:,}, optimiser "
                f"{self.optimiser:,}, gradients {self.gradients:,}, activations {self.activations:,}, buffers "
                f"{self.buffers:,}), but it holds {profile.memory_bytes:,}"
            )


def _need(values: int, moments: Sequence[tuple[int, int, int]], value_bytes: int) -> MemoryNeed:
    """The worst of the moments (gradients, activations, buffers), all in values."""
    gradients, activations, buffers = max(moments, key=sum)
    size = value_bytes
    return MemoryNeed(values * size, 2 * values * size, gradients * size, activations * size, buffers * size)


def device_memory(config: LoopedConfig, heads: int, columns: int, batch: int, length: int) -> MemoryNeed:
    """The memory of a device with so many heads and columns, for sequences [batch, length].

    Weights, gradients and two moments are 16 bytes a parameter in float32. Saved at every depth are, in values:
    attention T D (its input) + 4 T N (queries, keys, values, context) + B H L^2 (probabilities); feed-forward T D + 2 T
    F (before and after GELU), or T D + T F where the server applies it. A device's input is of full width, however
    small its shard. A device with neither needs nothing.
    """
    tokens, own, width, loops = batch * length, heads * config.head_width, config.width, config.loops
    full, slim, part = tokens * width, tokens * own, tokens * columns
    scores = batch * heads * length * length
    values = shard_values(config, heads, columns)
    outer = width * columns
    of_columns = columns * (2 * width + 1)
    of_heads = own * (4 * width + 3)
    attention = full + 4 * slim + scores if heads else 0
    feed = full + (2 if config.nonlinearity == "device" else 1) * part if columns else 0
    raw = 2 * tokens if heads and config.inputs == "encoded" else 0  # ids of 8 bytes
    saved = raw + loops * (attention + feed)
    moments = [(values, 0, 2 * max(width * own, outer, own * config.vocabulary * (raw > 0)))]  # the update
    if heads:
        last = saved - feed
        moments += [
            (0, last, scores + 3 * slim),  # scores beside probabilities; queries, keys, values before they are cut
            (0, last, full + 3 * slim),  # what leaves
            (of_columns + width * own, last, full + 2 * scores - slim),  # backward: of probabilities and scores
            (of_columns + of_heads, last - scores - 4 * slim, 4 * full + slim),  # three gradients of the input, added
        ]
    if columns:
        moments += [
            (outer, saved, full + part),
            (of_columns, saved - feed + full, 2 * full + part),
            (values if loops > 1 else 0, saved - attention - feed, full + part + outer),  # the next depth's
        ]
    return _need(values, moments, config.value_bytes)


def split_memory(config: LoopedConfig, split: Split, batch: int, length: int) -> dict[str, MemoryNeed]:
    """`device_memory` of every device of a split, by name."""
    return {
        name: device_memory(config, heads, columns, batch, length)
        for name, heads, columns in zip(split.devices, split.heads, split.columns, strict=True)
    }


def server_memory(config: LoopedConfig, batch: int, length: int, num_devices: int) -> MemoryNeed:
    """The memory of the server. Saved at every depth: 2 T D for each of two merges, and with nonlinearity "server" the
    pre-activations T F. Beside them it holds what the devices have sent for one merge, and running sums."""
    tokens, width = batch * length, config.width
    predictions = tokens if config.head == "tokens" else batch
    inner = tokens * config.feed_forward if config.nonlinearity == "server" else 0
    full, head = tokens * width, (width + 1) * config.num_outputs
    saved = config.loops * (4 * full + inner) + full
    received = num_devices * full * (8 // config.value_bytes if config.secure_aggregation else 1)
    values = server_values(config)
    embedding = values - head - 8 * width
    moments = [
        (values, 0, 2 * max(head, embedding)),  # the update
        (0, saved - full, max(received + 4 * full, 2 * inner)),  # the last merge
        (head, saved + full + predictions * (config.num_outputs + width), 2 * predictions * config.num_outputs + full),
        (head + 3 * width, saved - full, max(received + 4 * full, 3 * inner)),  # the first gradients, added
        (values, 2 * full, 2 * full),  # the embedding's gradient
    ]
    return _need(values, moments, config.value_bytes)


def single_device_memory(config: LoopedConfig, batch: int, length: int, *, shared: bool = True) -> MemoryNeed:
    """The memory of `LoopedModel` on one device. shared False: every depth with a block of its own, as BERT has.

    Saved at every depth are T (8 D + 2 F) + B H L^2 values: those of a device with everything, and the inputs of two
    norms, which are the next part's input.
    """
    tokens, width, inner, loops = batch * length, config.width, config.feed_forward, config.loops
    predictions = tokens if config.head == "tokens" else batch
    full, part, scores = tokens * width, tokens * inner, batch * config.num_heads * length * length
    of_heads, of_columns = width * (4 * width + 4) + 2 * width, inner * (2 * width + 1) + 3 * width
    of_head = (width + 1) * config.num_outputs
    values = (of_heads + of_columns) * (1 if shared else loops) + of_head
    values += width * (config.vocabulary + config.max_length + 2)
    feed = 2 * full + 2 * part
    attention = 6 * full + scores
    saved = loops * (attention + feed) + 3 * full + predictions * (config.num_outputs + width)
    on_top = saved - feed
    moments = [
        (values, 0, 2 * max(width * inner, width * config.vocabulary)),
        (of_head, saved, 2 * predictions * config.num_outputs),
        (of_head + width * inner, saved, 2 * full + part),
        (of_head + of_columns + width * width, on_top, 2 * full + 2 * scores - full),
        (of_head + of_columns + of_heads, on_top - scores - 4 * full, 6 * full),
        (values - width * config.vocabulary, saved - attention - feed, 2 * full + part + width * inner),
    ]
    return _need(values, moments, config.value_bytes)
