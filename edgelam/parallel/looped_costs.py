# SPDX-License-Identifier: GPL-2.0-only
"""What a step of looped tensor parallelism costs, as functions of the configuration and the split: bytes that cross the
network, floating-point operations, memory. Nothing is run.

The tests compare the bytes with the transfers of a run, the operations with those that the compute blocks counted, and
the memory with the peak of a real step.

Shape letters: T = B L tokens, D width, N features of a device's heads, F its columns.
"""

from __future__ import annotations

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
    """Bytes that training takes on one device, by what they are for."""

    weights: int
    gradients: int
    optimiser: int
    """AdamW's two moments."""
    activations: int
    """What is saved for the backward pass, of all depths."""
    buffers: int
    """The largest temporary tensors beside them, at the worst moment of a step."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimiser + self.activations + self.buffers

    def check(self, name: str, profile: DeviceProfile, what: str) -> None:
        """Raise OutOfDeviceMemory, with both numbers, if the device holds less."""
        if self.total > profile.memory_bytes:
            raise OutOfDeviceMemory(
                f"{name} ({profile.name}): {what} needs {self.total:,} bytes (weights {self.weights:,}, gradients "
                f"{self.gradients:,}, optimiser {self.optimiser:,}, activations {self.activations:,}, buffers "
                f"{self.buffers:,}), but it holds {profile.memory_bytes:,}"
            )


def device_memory(config: LoopedConfig, heads: int, columns: int, batch: int, length: int) -> MemoryNeed:
    """The memory of a device with so many heads and columns, for sequences [batch, length].

    Weights, gradients and two moments are 16 bytes a parameter in float32. Saved at every depth are, in values:
    attention T D (its input) + 4 T N (queries, keys, values, context) + B H L^2 (probabilities); feed-forward T D + 2 T
    F (before and after GELU), or T D + T F where the server applies it. A device's input is of full width, however
    small its shard.
    """
    tokens, own, width = batch * length, heads * config.head_width, config.width
    scores = batch * heads * length * length
    values = shard_values(config, heads, columns)
    attention = tokens * (width + 4 * own) + scores if heads else 0
    feed = tokens * (width + (2 if config.nonlinearity == "device" else 1) * columns) if columns else 0
    largest = max(width * own, width * columns, own * config.vocabulary if config.inputs == "encoded" else 0)
    # backward: what arrives and what leaves (full width), the gradients in between, and one weight's own gradient
    feed_back = tokens * (2 * width + 2 * columns) + width * columns if columns else 0
    attention_back = tokens * (width + 2 * own) + 2 * scores + width * own if heads else 0
    # forward: queries, keys and values before they are put in order, scores beside probabilities, what leaves
    attention_forward = tokens * (width + 3 * own) + scores if heads else 0
    buffers = max(feed_back, attention_back - feed, attention_forward - feed, 2 * largest - attention - feed)
    size = config.value_bytes
    raw = 8 * tokens if heads and config.inputs == "encoded" else 0
    return MemoryNeed(
        values * size, values * size, 2 * values * size, config.loops * (attention + feed) * size + raw, buffers * size
    )


def split_memory(config: LoopedConfig, split: Split, batch: int, length: int) -> dict[str, MemoryNeed]:
    """`device_memory` of every device of a split, by name."""
    return {
        name: device_memory(config, heads, columns, batch, length)
        for name, heads, columns in zip(split.devices, split.heads, split.columns, strict=True)
    }


def server_memory(config: LoopedConfig, batch: int, length: int, num_devices: int) -> MemoryNeed:
    """The memory of the server. Saved at every depth: 2 T D for each of two merges, and with nonlinearity "server" the
    pre-activations T F. Beside them it holds what the devices have sent for one merge."""
    tokens, width = batch * length, config.width
    predictions = tokens if config.head == "tokens" else batch
    depth = 4 * tokens * width + (tokens * config.feed_forward if config.nonlinearity == "server" else 0)
    saved = config.loops * depth + 2 * tokens * width + predictions * (config.num_outputs + width)
    received = num_devices * tokens * width + 2 * tokens * config.feed_forward * (config.nonlinearity == "server")
    if config.secure_aggregation:
        received *= 8 // config.value_bytes
    buffers = max(received + 2 * tokens * width, 2 * predictions * config.num_outputs)
    values, size = server_values(config), config.value_bytes
    return MemoryNeed(values * size, values * size, 2 * values * size, saved * size + 8 * tokens, buffers * size)


def single_device_memory(config: LoopedConfig, batch: int, length: int, *, shared: bool = True) -> MemoryNeed:
    """The memory of `LoopedModel` on one device. shared False: every depth with a block of its own, as BERT has.

    Saved at every depth are T (8 D + 2 F) + B H L^2 values: those of a device with everything, and the inputs of two
    norms and of what is between them.
    """
    tokens, width, inner = batch * length, config.width, config.feed_forward
    predictions = tokens if config.head == "tokens" else batch
    scores = batch * config.num_heads * length * length
    block = width * (4 * width + 4) + inner * (2 * width + 1) + width + 4 * width
    values = block * (1 if shared else config.loops) + width * (config.vocabulary + config.max_length + 2)
    values += (width + 1) * config.num_outputs
    feed = tokens * (2 * width + 2 * inner)
    depth = tokens * 6 * width + scores + feed
    saved = config.loops * depth + 2 * tokens * width + predictions * (config.num_outputs + width)
    largest = max(width * inner, width * config.vocabulary)
    feed_back = tokens * (2 * width + 2 * inner) + width * inner
    attention_back = tokens * 4 * width + 2 * scores + width * width - feed
    head_back = 2 * predictions * config.num_outputs
    buffers = max(feed_back, attention_back, head_back, 2 * largest - config.loops * depth)
    size = config.value_bytes
    return MemoryNeed(values * size, values * size, 2 * values * size, saved * size + 8 * tokens, buffers * size)
