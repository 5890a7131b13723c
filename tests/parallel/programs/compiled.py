# SPDX-License-Identifier: GPL-2.0-only
"""The compiler around communication: sharded models, tensor parallelism, functional collectives, recomputation."""

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
mesh = init_device_mesh("cpu", (size,))


def attempt(what, function):
    """Print a result, or that there is none."""
    torch._dynamo.reset()
    try:
        print(what, function())
    except Exception as error:
        print(what, "refused", type(error).__name__)
    dist.barrier()


class Block(torch.nn.Module):
    """Two layers."""

    def __init__(self):
        super().__init__()
        self.up, self.down = torch.nn.Linear(8, 16), torch.nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(x)))


def network():
    torch.manual_seed(41)
    return torch.nn.Sequential(Block(), Block()).double()


def train(model, of=None, original=None):
    optimiser = torch.optim.SGD((original or model).parameters(), lr=0.1)
    draw, losses = torch.Generator().manual_seed(42 + (rank if of is None else of)), []
    for _ in range(2):
        optimiser.zero_grad()
        loss = model(torch.randn(4, 8, generator=draw, dtype=torch.float64)).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def sharded():
    model = network()
    for block in model:
        fully_shard(block)
    fully_shard(model)
    return train(torch.compile(model, backend="eager"))


def parallel(backend):
    model = network()
    for block in model:
        parallelize_module(block, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    return train(torch.compile(model, backend=backend), of=0)


def by_blocks():
    model = network()
    apply_activation_checkpointing(model, check_fn=lambda module: isinstance(module, Block))
    for block in model:
        block.compile(backend="eager")
    return train(DistributedDataParallel(model))


def whole_graph():
    @torch.compile(backend="eager", fullgraph=True)
    def mean_of(x):
        return functional.all_reduce(torch.tanh(x), "sum", dist.group.WORLD) / size

    return mean_of(torch.ones(3, dtype=torch.float64) * rank).tolist()


def synchronous():
    @torch.compile(backend="eager")
    def step(x):
        y = x * 2
        dist.all_reduce(y)
        return y + 1

    return step(torch.ones(2, dtype=torch.float64) * rank).tolist()


attempt("sharded", sharded)
attempt("parallel", lambda: parallel("eager"))
attempt("parallel, ahead of time", lambda: parallel("aot_eager"))
for function in (by_blocks, whole_graph, synchronous):
    attempt(function.__name__, function)
attempt("default", lambda: train(torch.compile(DistributedDataParallel(network()), backend="aot_eager")))
dist.destroy_process_group()
