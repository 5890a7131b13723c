# SPDX-License-Identifier: GPL-2.0-only
"""Pipelines as users write them: a decoder that is split by hand or by the tracer, over several schedules."""

import os

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import (
    PipelineStage,
    Schedule1F1B,
    ScheduleGPipe,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
    ScheduleLoopedBFS,
    SplitPoint,
    pipeline,
)  # fmt: skip

WORDS, WIDTH, LENGTH, LAYERS, BATCH, CHUNKS = 50, 16, 6, 8, 8, 4


class Decoder(nn.Module):
    """A small language model; parts of it may be missing, so that it can be a stage."""

    def __init__(self, layers):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleDict(
            {str(number): nn.TransformerDecoderLayer(WIDTH, 4, 32, dropout=0.0) for number in range(layers)}
        )
        self.norm, self.output = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, tokens):
        hidden = self.embedding(tokens) if self.embedding else tokens
        for layer in self.layers.values():
            hidden = layer(hidden, hidden)
        hidden = self.norm(hidden) if self.norm else hidden
        return self.output(hidden) if self.output else hidden


def whole(layers=LAYERS):
    torch.manual_seed(11)
    return Decoder(layers).double()


def by_hand(index, count):
    model, per_stage = whole(), LAYERS // count
    for number in range(LAYERS):
        if number // per_stage != index:
            del model.layers[str(number)]
    if index:
        model.embedding = None
    if index < count - 1:
        model.norm = model.output = None
    return PipelineStage(model, index, count, device, group=group)


def traced():
    tokens = torch.zeros(BATCH // CHUNKS, LENGTH, dtype=torch.long)
    split = {f"layers.{number}": SplitPoint.BEGINNING for number in range(1, size)}
    return pipeline(whole(size), mb_args=(tokens,), split_spec=split).build_stage(rank, device, group)


def loss_of(output, target):
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def train(what, schedule, stages):
    optimiser = torch.optim.AdamW([p for stage in stages for p in stage.submod.parameters()], lr=0.01)
    draw = torch.Generator().manual_seed(12)
    for _ in range(2):
        tokens = torch.randint(0, WORDS, (BATCH, LENGTH), generator=draw)
        target = torch.randint(0, WORDS, (BATCH, LENGTH), generator=draw)
        optimiser.zero_grad()
        losses = []
        given = (tokens,) if any(stage.is_first for stage in stages) else ()
        if any(stage.is_last for stage in stages):
            output = schedule.step(*given, target=target, losses=losses)
            print(what, torch.stack(losses).mean().item(), output.square().sum().item() if output is not None else "")
        else:
            schedule.step(*given)
        optimiser.step()
    print(what, sum(p.abs().sum().item() for stage in stages for p in stage.submod.parameters()))


rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
device = torch.device(f"cuda:{rank}") if torch.cuda.is_available() else torch.device("cpu")
dist.init_process_group()
group = dist.new_group()
for name, schedule, make in (
    ("GPipe", ScheduleGPipe, lambda: by_hand(rank, size)),
    ("1F1B", Schedule1F1B, lambda: by_hand(rank, size)),
    ("GPipe, traced", ScheduleGPipe, traced),
):
    stage = make()
    train(name, schedule(stage, CHUNKS, loss_fn=loss_of), [stage])
for name, schedule in (
    ("interleaved", ScheduleInterleaved1F1B),
    ("breadth first", ScheduleLoopedBFS),
    ("zero bubble", ScheduleInterleavedZeroBubble),
):
    stages = [by_hand(rank + turn * size, 2 * size) for turn in range(2)]
    train(name, schedule(stages, CHUNKS, loss_fn=loss_of), stages)
dist.destroy_process_group()
