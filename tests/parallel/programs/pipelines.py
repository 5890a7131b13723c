# SPDX-License-Identifier: GPL-2.0-only
"""Pipelines: GPipe, one forward one backward, interleaved."""

import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe, ScheduleInterleaved1F1B

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(5)
layers = [torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh()).double() for _ in range(2 * size)]
data = torch.randn(8, 8, dtype=torch.float64)
target = torch.randn(8, 8, dtype=torch.float64)


def stage(index, stages):
    per_stage = len(layers) // stages
    part = torch.nn.Sequential(*layers[index * per_stage : (index + 1) * per_stage])
    return PipelineStage(part, index, stages, torch.device("cpu"))


def train(what, schedule, stages):
    optimiser = torch.optim.SGD([p for stage in stages for p in stage.submod.parameters()], lr=0.1)
    for _ in range(2):
        losses = []
        arguments = (data,) if rank == 0 else ()
        keywords = {"target": target, "losses": losses} if any(stage.is_last for stage in stages) else {}
        out = schedule.step(*arguments, **keywords)
        optimiser.step()
        optimiser.zero_grad()
        print(what, [loss.item() for loss in losses], out.sum().item() if out is not None else None)


loss = torch.nn.functional.mse_loss
one = stage(rank, size)
train("GPipe", ScheduleGPipe(one, 4, loss_fn=loss), [one])
one = stage(rank, size)
train("1F1B", Schedule1F1B(one, 4, loss_fn=loss), [one])
two = [stage(rank, 2 * size), stage(rank + size, 2 * size)]
train("interleaved", ScheduleInterleaved1F1B(two, 4, loss_fn=loss), two)
dist.destroy_process_group()
