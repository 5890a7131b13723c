# SPDX-License-Identifier: GPL-2.0-only
"""DTensor: placements, tensor parallelism and sequence parallelism."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    loss_parallel,
    parallelize_module,
)  # fmt: skip

dist.init_process_group()
rank, size = dist.get_rank(), dist.get_world_size()
mesh = init_device_mesh("cpu", (size,))
whole = torch.arange(40.0, dtype=torch.float64).reshape(10, 4)
shards = distribute_tensor(whole, mesh, [Shard(0)])
print(shards.to_local().tolist(), shards.full_tensor().sum().item())
print(shards.redistribute(mesh, [Shard(1)]).to_local().tolist())
print(
    (shards @ distribute_tensor(whole.t().contiguous(), mesh, [Replicate()]))
    .redistribute(mesh, [Replicate()])
    .to_local()
    .sum()
    .item()
)
print(DTensor.from_local(whole * rank, mesh, [Partial()]).full_tensor()[1].tolist())
print(shards.sum().full_tensor().item(), shards.mean(dim=0).full_tensor().tolist())


class Network(torch.nn.Module):
    """A block of a transformer: attention and two layers."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(16)
        self.q, self.k, self.v, self.o = (torch.nn.Linear(16, 16) for _ in range(4))
        self.norm2 = torch.nn.LayerNorm(16)
        self.up, self.down = torch.nn.Linear(16, 32), torch.nn.Linear(32, 16)

    def forward(self, x):
        y = self.norm(x)
        q, k, v = (layer(y).unflatten(-1, (-1, 4)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.o(y)
        return x + self.down(torch.relu(self.up(self.norm2(x))))


def train(what, plan):
    torch.manual_seed(4)
    model = parallelize_module(Network().double(), mesh, plan)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    draw = torch.Generator().manual_seed(9)
    losses = []
    for _ in range(3):
        out = model(torch.randn(2, 8, 16, generator=draw, dtype=torch.float64))
        loss = (out.full_tensor() if isinstance(out, DTensor) else out).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    print(what, losses)


columns, rows = {name: ColwiseParallel() for name in "qkv"}, {"o": RowwiseParallel(), "down": RowwiseParallel()}
train("tensor parallel", columns | rows | {"up": ColwiseParallel()})
train(
    "sequence parallel",
    {
        "": PrepareModuleInput(input_layouts=(Replicate(),), desired_input_layouts=(Shard(1),)),
        "norm": SequenceParallel(),
        "norm2": SequenceParallel(),
        **{name: ColwiseParallel(input_layouts=Shard(1)) for name in ("q", "k", "v", "up")},
        **{name: RowwiseParallel(output_layouts=Shard(1), use_local_output=False) for name in ("o", "down")},
    },
)
logits = DTensor.from_local(
    torch.arange(12.0, dtype=torch.float64).reshape(4, 3) * (rank + 1), mesh, [Shard(1)], run_check=False
)
logits.requires_grad_()
with loss_parallel():
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 5, 7, 11]))
    loss.backward()
print("loss parallel", loss.full_tensor().item() if isinstance(loss, DTensor) else loss.item())
dist.destroy_process_group()
