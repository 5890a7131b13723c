# SPDX-License-Identifier: GPL-2.0-only
"""Data-parallel training, as in PyTorch's tutorial, with gradient accumulation."""

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4)).double()
model = DistributedDataParallel(network, bucket_cap_mb=0.001)
optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
draw = torch.Generator().manual_seed(rank)
for step in range(3):
    with model.no_sync():
        model(torch.randn(8, 16, generator=draw, dtype=torch.float64)).square().mean().backward()
    loss = model(torch.randn(8, 16, generator=draw, dtype=torch.float64)).square().mean()
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    dist.all_reduce(loss.detach())
    print("loss", step, loss.item())
print(sum(parameter.sum().item() for parameter in model.parameters()))
dist.destroy_process_group()
