# SPDX-License-Identifier: GPL-2.0-only
"""What a rank does in the methods ddp and pipeline: ordinary programs of torch.distributed.

They import nothing of edgelam but the model; `time.perf_counter` is simulated time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe
from torch.nn.parallel import DistributedDataParallel

from edgelam.learning import optimisers
from edgelam.parallel.looped_model import Batch, LoopedConfig, LoopedModel, attend, loss_of

Step = tuple[float, float]
"""When the step was over on this rank (simulated seconds), and the loss of its part of the batch (NaN: none)."""


def data_parallel(config: LoopedConfig, batches: Sequence[Batch], seed: int) -> list[Step]:
    """PyTorch's DistributedDataParallel; rank r trains on rows r, r + ranks, ... of each batch, which it owns."""
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    model = DistributedDataParallel(LoopedModel(config, seed))
    optimiser = optimisers.make("adamw", model.parameters(), config.learning_rate)
    dist.barrier()
    done = [(time.perf_counter(), float("nan"))]
    for batch in batches:
        optimiser.zero_grad()
        mine = Batch(batch.inputs[rank::ranks], batch.labels[rank::ranks])
        # so that the mean over ranks is that over all rows, also where some ranks have one more
        weight = len(mine.inputs) * ranks / len(batch.inputs)
        loss = weight * loss_of(model(mine.inputs), mine.labels)
        loss.backward()
        optimiser.step()
        done.append((time.perf_counter(), float(loss.detach())))
    dist.destroy_process_group()
    return done


class Stage(nn.Module):
    """Some of the loops of a `LoopedModel`, with its embedding in the first stage and its head in the last."""

    def __init__(self, model: LoopedModel, stage: int, stages: int) -> None:
        """Loops are divided as evenly as they can be."""
        super().__init__()
        config = model.config
        self.config, self.first, self.last = config, stage == 0, stage == stages - 1
        self.loops = config.loops // stages + (stage < config.loops % stages)
        if self.first:
            self.tokens, self.positions, self.embedding_norm = model.tokens, model.positions, model.embedding_norm
        self.block = nn.ModuleDict({name: getattr(model, name) for name in _BLOCK})
        if self.last:
            self.head = model.head

    def forward(self, x: Tensor) -> Tensor:
        """[B, L] int64 in the first stage, otherwise [B, L, D]; logits in the last stage, otherwise [B, L, D]."""
        block, config = self.block, self.config
        if self.first:
            x = self.embedding_norm(self.tokens(x) + self.positions.weight[: x.shape[1]])
        for _ in range(self.loops):
            context = attend(
                block["query"](x), block["key"](x), block["value"](x), head_width=config.head_width,
                causal=config.causal,
            )  # fmt: skip
            x = block["attention_norm"](x + block["output"](context))
            x = block["feed_forward_norm"](x + block["outer"](F.gelu(block["inner"](x))))
        return self.head(x) if self.last else x


_BLOCK = ("query", "key", "value", "output", "attention_norm", "inner", "outer", "feed_forward_norm")


def _sum_over_ranks(block: nn.Module) -> None:
    """Sum the gradients of all copies of the block, in one all-reduce."""
    gradients = [parameter.grad for parameter in block.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def pipeline(config: LoopedConfig, batches: Sequence[Batch], seed: int, microbatches: int) -> list[Step]:
    """PyTorch's GPipe schedule; each rank has a copy of the block and some of the loops.

    The data are on rank 0, which sends the labels to the last rank. The block's gradients are summed over the ranks, so
    that all copies stay the same.
    """
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    stage = Stage(LoopedModel(config, seed), rank, ranks)
    optimiser = optimisers.make("adamw", stage.parameters(), config.learning_rate)
    schedule = ScheduleGPipe(
        PipelineStage(stage, rank, ranks, torch.device("cpu")), microbatches,
        loss_fn=loss_of,
    )  # fmt: skip
    dist.barrier()
    done = [(time.perf_counter(), float("nan"))]
    for batch in batches:
        optimiser.zero_grad()
        losses: list[Tensor] = []
        labels = batch.labels.int()
        if ranks > 1 and rank == 0:
            dist.send(labels, ranks - 1)
        elif rank == ranks - 1 and ranks > 1:
            labels = torch.empty_like(labels)
            dist.recv(labels, 0)
        inputs = (batch.inputs,) if rank == 0 else ()
        if rank == ranks - 1:
            schedule.step(*inputs, target=labels.long(), losses=losses)
        else:
            schedule.step(*inputs)
        _sum_over_ranks(stage.block)
        optimiser.step()
        loss = float(torch.stack(losses).mean().detach()) if losses else float("nan")
        done.append((time.perf_counter(), loss))
    dist.destroy_process_group()
    return done
