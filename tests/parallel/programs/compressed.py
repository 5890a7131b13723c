# SPDX-License-Identifier: GPL-2.0-only
"""Data-parallel training with compressed gradients: all ranks keep the same weights, and the loss falls."""

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("ns3")
from edgelam.parallel.hooks import CompressionState, compressed_all_reduce  # noqa: E402

for kind in ("none", "fp16", "int8", "top-k", "powersgd"):
    torch.manual_seed(0)
    model = DistributedDataParallel(
        torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4)), bucket_cap_mb=0.001
    )
    model.register_comm_hook(CompressionState(kind, share=0.3), compressed_all_reduce)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    draw = torch.Generator().manual_seed(dist.get_rank())
    x, y = torch.randn(32, 16, generator=draw), torch.randn(32, 4, generator=draw)
    losses = []
    for _ in range(12):
        loss = (model(x) - y).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    everybody = [torch.empty_like(weights) for _ in range(dist.get_world_size())]
    dist.all_gather(everybody, weights)
    same = all(torch.equal(weights, each) for each in everybody)
    print("RESULT", kind, same, losses[-1] < 0.97 * losses[0])
dist.destroy_process_group()
