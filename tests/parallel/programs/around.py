# SPDX-License-Identifier: GPL-2.0-only
"""What stands around training: checkpoints, data loaders, the compiler, samplers."""

import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoints
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()

folder = [tempfile.mkdtemp() if rank == 0 else None]
dist.broadcast_object_list(folder, src=0)


def sharded(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Linear(8, 2)).double()
    fully_shard(model, mesh=init_device_mesh("cpu", (size,)))
    return model, torch.optim.AdamW(model.parameters())


def total(model):
    return sum(parameter.full_tensor().sum().item() for parameter in model.parameters())


model, optimiser = sharded(1)
model(torch.ones(2, 6, dtype=torch.float64) * rank).sum().backward()
optimiser.step()
state, states = get_state_dict(model, optimiser)
checkpoints.save({"model": state, "optimiser": states}, checkpoint_id=folder[0])
print("saved", total(model))
model, optimiser = sharded(2)
state, states = get_state_dict(model, optimiser)
checkpoints.load({"model": state, "optimiser": states}, checkpoint_id=folder[0])
set_state_dict(model, optimiser, model_state_dict=state, optim_state_dict=states)
print("loaded", total(model))

data = TensorDataset(torch.arange(48, dtype=torch.float64).reshape(24, 2))
sampler = DistributedSampler(data, shuffle=True, seed=3)
torch.manual_seed(6)
model = DistributedDataParallel(torch.nn.Linear(2, 1).double())
for epoch in range(2):
    sampler.set_epoch(epoch)
    for (batch,) in DataLoader(data, batch_size=3, sampler=sampler, num_workers=1 if epoch else 0):
        loss = model(batch).square().mean()
        loss.backward()
        print("batch", batch[:, 0].tolist(), loss.item())
    model.zero_grad()

torch.manual_seed(7)
network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()
model = DistributedDataParallel(network)
compiled = torch.compile(model, backend="eager")
for step in range(2):
    loss = compiled(torch.full((2, 4), rank + step + 1.0, dtype=torch.float64)).sum()
    loss.backward()
print("compiled", loss.item(), sum(parameter.grad.sum().item() for parameter in model.parameters()))
dist.destroy_process_group()
