# SPDX-License-Identifier: GPL-2.0-only
"""FSDP1, FSDP2, hybrid sharding, and FSDP2 with tensor parallelism on a mesh of two dimensions."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, ShardingStrategy, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()


class Block(torch.nn.Module):
    """Two layers."""

    def __init__(self):
        super().__init__()
        self.up, self.down = torch.nn.Linear(16, 32), torch.nn.Linear(32, 16)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(x)))


def network():
    torch.manual_seed(3)
    return torch.nn.Sequential(Block(), Block(), torch.nn.Linear(16, 5)).double()


def train(what, model, data=None, steps=3):
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    draw = torch.Generator().manual_seed(rank if data is None else data)
    losses = []
    for _ in range(steps):
        loss = model(torch.randn(4, 16, generator=draw, dtype=torch.float64)).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    print(what, losses)


def attempt(what, function):
    try:
        function()
    except Exception as error:
        print(what, "refused", type(error).__name__)


def fsdp1(strategy):
    train(
        f"FSDP1 {strategy.name}", FullyShardedDataParallel(network(), sharding_strategy=strategy, use_orig_params=True)
    )


for strategy in (ShardingStrategy.FULL_SHARD, ShardingStrategy.SHARD_GRAD_OP, ShardingStrategy.NO_SHARD):
    attempt(f"FSDP1 {strategy.name}", lambda strategy=strategy: fsdp1(strategy))
grid = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))


def hybrid():
    train(
        "HSDP", FullyShardedDataParallel(network(), device_mesh=grid, sharding_strategy=ShardingStrategy.HYBRID_SHARD)
    )


attempt("HSDP", hybrid)


def fsdp2(what, mesh, **options):
    model = network()
    for block in model[:2]:
        fully_shard(block, mesh=mesh, **options)
    fully_shard(model, mesh=mesh, **options)
    train(what, model)
    total = sum(parameter.full_tensor().sum().item() for parameter in model.parameters())
    print(what, total)


fsdp2("FSDP2", init_device_mesh("cpu", (size,)))
fsdp2("FSDP2 that keeps", init_device_mesh("cpu", (size,)), reshard_after_forward=False)
fsdp2("FSDP2 hybrid", grid)
fsdp2("FSDP2 mixed", init_device_mesh("cpu", (size,)), mp_policy=MixedPrecisionPolicy(reduce_dtype=torch.float64))

mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
model = network()
for block in model[:2]:
    parallelize_module(block, mesh["tp"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    fully_shard(block, mesh=mesh["dp"])
fully_shard(model, mesh=mesh["dp"])
train("FSDP2 with tensor parallelism", model, data=mesh.get_coordinate()[0])
dist.destroy_process_group()
