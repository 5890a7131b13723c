# SPDX-License-Identifier: GPL-2.0-only
"""DDP with hooks, unused parameters, a static graph, buffers, uneven inputs and checkpointed activations."""

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook
from torch.distributed.algorithms.join import Join
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
rank = dist.get_rank()


class Network(torch.nn.Module):
    """Layers of which some are not used."""

    def __init__(self, unused=False, remember=False):
        super().__init__()
        self.first, self.second, self.third = (torch.nn.Linear(24, 24) for _ in range(3))
        self.norm = torch.nn.BatchNorm1d(24)
        self.unused, self.remember = unused, remember

    def forward(self, x):
        x = self.norm(torch.tanh(self.first(x)))
        x = checkpoint(self.second, x, use_reentrant=False) if self.remember else self.second(x)
        return x if self.unused and rank % 2 else self.third(x)


def train(what, *, hook=None, steps=3, unused=False, remember=False, uneven=False, dtype=torch.float64, **options):
    torch.manual_seed(1)
    network = Network(unused, remember).to(dtype)
    model = DistributedDataParallel(network, bucket_cap_mb=None if steps > 3 else 0.002, **options)
    if hook is not None:
        model.register_comm_hook(*hook)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    draw = torch.Generator().manual_seed(100 + rank)
    losses = []
    with Join([model]) if uneven else torch.enable_grad():
        for _ in range(steps + (rank if uneven else 0)):
            optimiser.zero_grad()
            loss = model(torch.randn(6, 24, generator=draw, dtype=dtype)).square().mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    gradient = sum(p.grad.square().sum().item() for p in model.parameters() if p.grad is not None)
    print(what, losses, gradient if not uneven else "", sum(p.sum().item() for p in model.parameters()))


train("plain", gradient_as_bucket_view=True)
train("unused", find_unused_parameters=True, unused=True)
train("static", static_graph=True)
train("checkpointed", remember=True)
train("uneven", uneven=True)
train("allreduce hook", hook=(None, default_hooks.allreduce_hook))
# halved gradients are rounded in the order in which they are summed: what is printed must not depend on it
torch.manual_seed(1)
model = DistributedDataParallel(torch.nn.Linear(4, 4))
model.register_comm_hook(None, default_hooks.fp16_compress_hook)
model(torch.full((2, 4), float(rank + 1))).sum().backward()
print("fp16", model.module.weight.grad.tolist())
torch.manual_seed(2)
model = DistributedDataParallel(torch.nn.EmbeddingBag(10, 3, sparse=True).double())
model(torch.tensor([[rank, 2, 3], [rank + 4, 5, 2]])).square().sum().backward()
print("sparse", model.module.weight.grad.to_dense().tolist())
state = powerSGD_hook.PowerSGDState(None, matrix_approximation_rank=1, start_powerSGD_iter=2, min_compression_rate=1)
train("PowerSGD", hook=(state, powerSGD_hook.powerSGD_hook), steps=5)
dist.destroy_process_group()
