# SPDX-License-Identifier: GPL-2.0-only
"""Groups of some of the ranks, meshes, stores and barriers."""

from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()


def total(group):
    tensor = torch.tensor([2.0**rank])
    dist.all_reduce(tensor, group=group)
    return tensor.item()


odd, even = dist.new_group([1, 3]), dist.new_group([0, 2])
mine = odd if rank % 2 else even
print(total(mine), dist.get_rank(mine), dist.get_world_size(mine), dist.get_process_group_ranks(mine))
print(dist.get_rank(odd), dist.get_backend(mine), dist.get_backend())
tensor = torch.tensor([rank])
dist.broadcast(tensor, dist.get_global_rank(mine, 1), group=mine)
print(tensor.item())
own, _ = dist.new_subgroups(2)
print(total(own))
own, _ = dist.new_subgroups_by_enumeration([[0, 3], [1, 2]])
print(total(own))
both = [dist.all_reduce(torch.ones(1), group=mine, async_op=True), dist.all_reduce(torch.ones(1), async_op=True)]
for work in both:
    work.wait()
mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
print(mesh.get_coordinate(), total(mesh["shard"].get_group()), total(mesh["replicate"].get_group()))
print(mesh["replicate", "shard"].mesh.tolist(), total(mesh._flatten("all").get_group()))
dist.monitored_barrier(timeout=timedelta(seconds=30))
dist.monitored_barrier(group=mine, timeout=timedelta(seconds=30), wait_all_ranks=True)
store = dist.distributed_c10d._get_default_store()
if rank == 0:
    store.set("key", "value")
print(store.get("key"), store.add("count", 0) >= 0, store.check(["key"]))
store.add("count", rank)
dist.barrier()
print(store.add("count", 0), store.compare_set("other", "", "set").decode())
dist.destroy_process_group(mine)
dist.barrier()
dist.destroy_process_group()
print(dist.is_initialized())
