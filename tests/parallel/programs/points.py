# SPDX-License-Identifier: GPL-2.0-only
"""Messages between two ranks."""

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
following, before = (rank + 1) % size, (rank - 1) % size

if rank == 0:
    works = [dist.isend(torch.full((4,), float(tag)), 1, tag=tag) for tag in (5, 3)]
    for work in works:
        work.wait()
elif rank == 1:
    for tag in (3, 5):
        tensor = torch.empty(4)
        print("from", dist.recv(tensor, 0, tag=tag), tensor.tolist())

tensor = torch.empty(3, dtype=torch.int64)
sent = dist.isend(torch.arange(3) + 10 * rank, following)
received = dist.irecv(tensor, before)
received.wait()
sent.wait()
print(tensor.tolist())

one, other = torch.empty(2), torch.empty(2)
operations = [
    dist.P2POp(dist.isend, torch.full((2,), float(rank)), following),
    dist.P2POp(dist.irecv, one, before),
    dist.P2POp(dist.isend, torch.full((2,), -float(rank)), before),
    dist.P2POp(dist.irecv, other, following),
]
for work in dist.batch_isend_irecv(operations):
    work.wait()
print(one.tolist(), other.tolist())

if rank == 3:
    came = []
    for _ in range(3):
        tensor = torch.empty(1, dtype=torch.int64)
        came.append((dist.recv(tensor), tensor.item()))
    print(sorted(came))
else:
    dist.send(torch.tensor([rank]), 3)

if rank == 0:
    dist.send_object_list(["a", {"b": 1}], dst=2)
if rank == 2:
    objects = [None, None]
    dist.recv_object_list(objects, src=0)
    print(objects)
for step in range(4):
    if rank == 0:
        dist.send(torch.tensor([float(step)]), 1)
    elif rank == 1:
        tensor = torch.empty(1)
        dist.recv(tensor, 0)
        print(tensor.item())
dist.destroy_process_group()
