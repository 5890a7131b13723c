# SPDX-License-Identifier: GPL-2.0-only
"""Optimisers that communicate: sharded states, averaging now and then, outer steps as in DiLoCo."""

import copy

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks.post_localSGD_hook import PostLocalSGDState, post_localSGD_hook
from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager
from torch.distributed.optim import PostLocalSGDOptimizer, ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()


def network():
    torch.manual_seed(2)
    return torch.nn.Sequential(torch.nn.Linear(12, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3)).double()


def batches(count):
    draw = torch.Generator().manual_seed(50 + rank)
    return [torch.randn(5, 12, generator=draw, dtype=torch.float64) for _ in range(count)]


def show(what, model, losses):
    print(what, losses, sum(parameter.square().sum().item() for parameter in model.parameters()))


def step(model, optimiser, batch):
    optimiser.zero_grad()
    loss = model(batch).square().mean()
    loss.backward()
    optimiser.step()
    return loss.item()


model = DistributedDataParallel(network())
optimiser = ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=0.01)
show("ZeRO", model, [step(model, optimiser, batch) for batch in batches(3)])
optimiser.consolidate_state_dict(to=0)
print(len(optimiser.state_dict()["state"]) if rank == 0 else 0)

model = network()
averager = PeriodicModelAverager(period=2, warmup_steps=1)
optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
losses = []
for batch in batches(4):
    losses.append(step(model, optimiser, batch))
    averager.average_parameters(model.parameters())
show("averager", model, losses)

model = DistributedDataParallel(network())
model.register_comm_hook(PostLocalSGDState(None, dist.new_subgroups(2)[0], start_localSGD_iter=2), post_localSGD_hook)
local = torch.optim.SGD(model.parameters(), lr=0.05)
optimiser = PostLocalSGDOptimizer(local, PeriodicModelAverager(period=2, warmup_steps=2))
show("post-local", model, [step(model, optimiser, batch) for batch in batches(5)])

model = network()
anchor = copy.deepcopy(model)
inner = torch.optim.AdamW(model.parameters(), lr=0.01)
outer = torch.optim.SGD(anchor.parameters(), lr=0.7, momentum=0.9, nesterov=True)
losses = []
for number, batch in enumerate(batches(4)):
    losses.append(step(model, inner, batch))
    if number % 2:
        works = []
        for mine, shared in zip(model.parameters(), anchor.parameters(), strict=True):
            shared.grad = (shared.detach() - mine.detach()) / size
            works.append(dist.all_reduce(shared.grad, async_op=True))
        for work in works:
            work.wait()
        outer.step()
        model.load_state_dict(anchor.state_dict())
show("outer steps", model, losses)
dist.destroy_process_group()
