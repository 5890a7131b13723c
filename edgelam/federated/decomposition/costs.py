# SPDX-License-Identifier: GPL-2.0-only
"""What each cut takes, for one device: arithmetic, memory traffic, memory, and bytes of every message.

Arithmetic and memory are counted while one batch goes forward and backward through both sides, once for each cut, with
the server's rank (adapters are a small part of it); they are scaled by the tokens of the device's next batch. Bytes are
those of the messages (edgelam/federated/decomposed.py) for that many tokens.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch

from edgelam import cosim
from edgelam.cosim.work import Work, WorkCounter
from edgelam.federated.decomposition.choice import Option, Predicted
from edgelam.federated.decomposition.parts import DeviceBlocks, ServerBlocks
from edgelam.federated.setup import Setup
from edgelam.models.blocks import Blocks

HEAD = 8  # bytes of a step and of the shape of what follows, about
INT_BYTES = 4


@dataclass(frozen=True)
class Cut:
    """What one cut takes for the reference batch."""

    device: Work
    server: Work
    resident_bytes: int
    """On the device, with the weights of its blocks."""
    saved_bytes: int
    """Activations on the device."""


@dataclass(frozen=True)
class Measured:
    """What a device has told of itself: its link, and its next round."""

    up_latency_s: float = 0.0
    up_s_a_byte: float = 0.0
    down_latency_s: float = 0.0
    down_s_a_byte: float = 0.0
    up_w: float = 0.0
    """Joules of sending for each second of it."""
    tokens: float = 0.0
    """Of a batch of the next round; 0: as many as the reference has."""
    samples: float = 0.0
    """In a batch of the next round."""


REPORT = INT_BYTES + 8 * (1 + len(dataclasses.fields(Measured)))
"""Samples, loss, and what a device has measured."""


class Costs:
    """All cuts of one model."""

    def __init__(self, setup: Setup) -> None:
        """Count every cut, with models of its own."""
        settings = setup.settings
        encoder = setup.encoder()
        blocks = Blocks(encoder, setup.backbone.width)
        shard = setup.shards[0]
        batch = shard.batch(0, 0)
        self.tokens, self.samples = int(batch.mask.sum()), len(batch)
        self.width, self.pooled = setup.backbone.hidden_width, settings.cut == "pooled"
        self.count, self.settings = blocks.count, settings
        worker = DeviceBlocks(setup.embedding(), setup.head(), shard, settings, Blocks(encoder.twin(), blocks.width))
        server = ServerBlocks(blocks, settings)
        self.rank = settings.lora.rank
        self._adapter_values = [
            sum(w.numel() for w in server.adapters(cut, 1).values()) for cut in range(self.count + 1)
        ]
        self._base_bytes = [
            cosim.encode(blocks.weights(encoder.base(), 0, cut), settings.weight_encoding).nbytes
            for cut in range(self.count + 1)
        ]
        self._head_bytes = cosim.encode(dict(worker.head.state_dict()), settings.weight_encoding).nbytes
        self.cuts = []
        for cut in range(self.count + 1):
            with WorkCounter() as below:
                worker.begin(cut, server.adapters(cut, self.rank))
                tokens, lengths = worker.lower(batch)
            saved, on_device, on_server = worker.saved_bytes, below.work, Work()
            if cut < self.count:
                with WorkCounter() as above:
                    ready = server.represent({"it": (tokens, lengths, cut)})["it"]
                    gradients = server.backward({"it": torch.ones_like(ready)})
                on_server = above.work
            else:
                ready, gradients = tokens, {"it": torch.ones_like(tokens)}
            with WorkCounter() as rest:
                worker.loss_and_jacobian(ready, batch)
                if cut:
                    worker.backward(gradients["it"], batch)
            worker.held = cut
            self.cuts.append(Cut(on_device + rest.work, on_server, worker.resident_bytes(), saved))
            worker.adapter_gradients(1)
            worker.give_up()

    def options(self) -> list[Option]:
        """Return all options that the settings allow."""
        chosen = self.settings.decomposition
        blocks = range(self.count + 1) if chosen.all_blocks else sorted(set(chosen.blocks))
        ranks = sorted(set(chosen.ranks), reverse=True) or [self.rank]
        # without blocks on the device, there is no rank to choose, and with all of them nothing is sent that is encoded
        found = {
            Option(cut, rank if cut else self.rank, each if cut < self.count else chosen.activations[0])
            for cut in blocks for rank in ranks for each in chosen.activations
        }  # fmt: skip
        return sorted(found, key=lambda each: (each.blocks, -each.rank, each.activation))

    def messages(self, option: Option, tokens: float, samples: float) -> tuple[list[float], list[float]]:
        """Return the bytes of each message of a round, up and down."""
        settings, parts = self.settings, self.settings.accumulation
        cut, weight = option.blocks, value_bytes(settings.weight_encoding)
        if cut:
            tokens = settings.decomposition.token_share * tokens
        rows = samples if self.pooled else tokens
        adapters = HEAD + weight * option.rank * self._adapter_values[cut]
        up, down = [HEAD + adapters + REPORT], [HEAD + INT_BYTES * 3 + adapters]
        on_the_way = value_bytes(settings.encoding)
        if cut < self.count:
            share = settings.decomposition.jacobian_share
            jacobian = self.width * rows * (on_the_way if share == 1.0 else share * (4 + 2))
            activations = tokens * row_bytes(option.activation, self.width) + INT_BYTES * samples
            up += [HEAD + activations, HEAD + jacobian] * parts
            down += [HEAD + self.width * rows * on_the_way] * parts
            if cut:
                down += [HEAD + self.width * tokens * on_the_way] * parts
        if settings.head_averaging == "server":
            up, down = [*up, HEAD + self._head_bytes], [*down, HEAD + self._head_bytes]
        return up, down

    def computing_s(self, option: Option, measured: Measured, device: cosim.DeviceProfile) -> float:
        """Return how long a device computes in a round."""
        work, scale = self.cuts[option.blocks].device, self._scale(measured)
        return device.seconds(work.flops * scale, work.bytes * scale)

    def _scale(self, measured: Measured) -> float:
        return self.settings.accumulation * (measured.tokens or self.tokens) / self.tokens

    def predict(
        self, option: Option, measured: Measured, device: cosim.DeviceProfile, server: cosim.DeviceProfile, held: int
    ) -> Predicted:
        """Return what an option takes. held: blocks whose frozen weights are on the device."""
        tokens, samples = measured.tokens or self.tokens, measured.samples or self.samples
        scale, cut = self._scale(measured), self.cuts[option.blocks]
        compute_s = self.computing_s(option, measured, device)
        server_s = server.seconds(cut.server.flops * scale, cut.server.bytes * scale)
        up, down = self.messages(option, tokens, samples)
        up_s = len(up) * measured.up_latency_s + sum(up) * measured.up_s_a_byte
        down_s = len(down) * measured.down_latency_s + sum(down) * measured.down_s_a_byte
        seconds = compute_s + server_s + up_s + down_s
        missing = max(0, self._base_bytes[option.blocks] - self._base_bytes[min(held, option.blocks)])
        before_s = missing * measured.down_s_a_byte + (measured.down_latency_s if missing else 0.0)
        busy_w = device.busy_w - device.idle_w
        return Predicted(
            option, seconds, device.idle_w * seconds + busy_w * compute_s + measured.up_w * up_s,
            sum(up) + sum(down), cut.device.flops * scale,
            cut.resident_bytes + cut.saved_bytes * tokens / self.tokens,
            before_s, float(missing), device.idle_w * before_s,
        )  # fmt: skip


def value_bytes(encoding: str) -> float:
    """Return the bytes of one value of an encoding of cosim, without scales."""
    return {"fp64": 8, "fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}[encoding]


def row_bytes(activation: str, width: int) -> float:
    """Return the bytes of one token of that width."""
    if activation == "int4":
        return 4 + math.ceil(width / 2)
    return 4 + width if activation == "int8" else value_bytes(activation) * width
