# SPDX-License-Identifier: GPL-2.0-only
"""Training that communicates seldom or in its own way: parameter servers, gossip, delayed outer steps, averaging."""

import copy
from collections import OrderedDict

import torch
import torch.distributed as dist
from torch.distributed.algorithms.join import Join
from torch.distributed.algorithms.model_averaging import hierarchical_model_averager, utils
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group(backend="nccl" if torch.cuda.is_available() else "gloo")
rank, size = dist.get_rank(), dist.get_world_size()


def network():
    torch.manual_seed(21)
    return torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.Tanh(), torch.nn.Linear(12, 2)).double()


def batch(number):
    draw = torch.Generator().manual_seed(1000 * rank + number)
    return torch.randn(4, 8, generator=draw, dtype=torch.float64)


def loss_of(model, number):
    return (model(batch(number)) - 1).square().mean()


def show(what, model, *more):
    print(what, *more, sum(p.square().sum().item() for p in model.parameters()))


def parameter_server():
    """Rank 0 has the weights; the workers send gradients in their own time and get the weights back."""
    model = network()
    flat = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    if rank == 0:
        came = {worker: [] for worker in range(1, size)}
        for _ in range(2 * (size - 1)):
            gradient = torch.empty_like(flat)
            worker = dist.recv(gradient)
            came[worker].append(gradient.norm().item())
            dist.send(flat - 0.1 * len(came[worker]), worker)
        print("server", sorted(came.items()))
        return
    for number in range(2):
        model.zero_grad()
        loss_of(model, number).backward()
        dist.send(torch.cat([p.grad.flatten() for p in model.parameters()]), 0)
        weights = torch.empty_like(flat)
        dist.recv(weights, 0)
        torch.nn.utils.vector_to_parameters(weights, model.parameters())
    show("worker", model)


def gossip():
    """Each step, a rank averages with one neighbour and then with the other."""
    model = network()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for number in range(4):
        optimiser.zero_grad()
        loss_of(model, number).backward()
        optimiser.step()
        peer = rank ^ 1 if number % 2 else (size - 1 - rank)
        mine = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        other = torch.empty_like(mine)
        works = dist.batch_isend_irecv([dist.P2POp(dist.isend, mine, peer), dist.P2POp(dist.irecv, other, peer)])
        for work in works:
            work.wait()
        torch.nn.utils.vector_to_parameters((mine + other) / 2, model.parameters())
    show("gossip", model)


def delayed_outer_steps():
    """An outer gradient is on its way while the next inner steps are done, as in streaming and eager DiLoCo."""
    model = network()
    anchor = copy.deepcopy(model)
    inner = torch.optim.AdamW(model.parameters(), lr=0.01)
    outer = torch.optim.SGD(anchor.parameters(), lr=0.7, momentum=0.9, nesterov=True)
    under_way = None
    for turn in range(3):
        for number in range(2):
            inner.zero_grad()
            loss_of(model, 2 * turn + number).backward()
            inner.step()
        own = [(a.detach() - m.detach()).clone() for a, m in zip(anchor.parameters(), model.parameters(), strict=True)]
        if under_way is not None:
            work, delta = under_way
            work.wait()
            start = 0
            for parameter in anchor.parameters():
                part = delta[start : start + parameter.numel()]
                parameter.grad, start = part.view_as(parameter) / size, start + parameter.numel()
            outer.step()
            with torch.no_grad():
                for parameter, merged, change in zip(model.parameters(), anchor.parameters(), own, strict=True):
                    parameter.copy_(merged - change)
        delta = torch.cat([change.flatten() for change in own])
        under_way = dist.all_reduce(delta, async_op=True), delta
    under_way[0].wait()
    show("delayed", anchor, under_way[1].norm().item())


def federated():
    """Rank 0 samples clients with pickled messages; the others train and return their weights."""
    model = network()
    for turn in range(2):
        message = [{"round": turn, "clients": [1 + turn, 3], "weights": model.state_dict()} if rank == 0 else None]
        dist.broadcast_object_list(message, src=0)
        model.load_state_dict(message[0]["weights"])
        update = None
        if rank in message[0]["clients"]:
            optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
            loss_of(model, turn).backward()
            optimiser.step()
            update = model.state_dict()
        updates = [None] * size if rank == 0 else None
        dist.gather_object(update, updates, dst=0)
        if rank == 0:
            given = [each for each in updates if each is not None]
            mean = {name: torch.stack([each[name] for each in given]).mean(0) for name in given[0]}
            model.load_state_dict(mean)
    show("federated", model)


def averaging():
    model = network()
    averager = hierarchical_model_averager.HierarchicalModelAverager(
        period_group_size_dict=OrderedDict([(2, 2), (4, size)]), warmup_steps=1
    )
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    for number in range(5):
        optimiser.zero_grad()
        loss_of(model, number).backward()
        optimiser.step()
        averager.average_parameters(model.parameters())
    show("hierarchical averager", model)
    utils.average_parameters(model.parameters(), dist.group.WORLD)
    show("averaged", model)


def uneven():
    """Ranks with more or fewer batches, with a sharded optimiser."""
    model = DistributedDataParallel(network())
    optimiser = ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=0.01)
    with Join([model, optimiser]):
        for number in range(2 + rank):
            optimiser.zero_grad()
            loss_of(model, number).backward()
            optimiser.step()
    show("uneven", model)


for function in (parameter_server, gossip, delayed_outer_steps, federated, averaging, uneven):
    function()
    dist.barrier()
dist.destroy_process_group()
