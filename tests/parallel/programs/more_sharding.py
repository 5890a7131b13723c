# SPDX-License-Identifier: GPL-2.0-only
"""What users do with sharded models: clipping, accumulation, offloading, states, meshes, checkpoints, pipelines."""

import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoints
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    fully_shard,
)
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

dist.init_process_group("cpu:gloo")
rank, size = dist.get_rank(), dist.get_world_size()


def attempt(what, function):
    """Print a result, or that there is none."""
    try:
        print(what, function())
    except Exception as error:
        print(what, "refused", type(error).__name__)
    dist.barrier()


def network():
    torch.manual_seed(31)
    return torch.nn.Sequential(torch.nn.Linear(10, 14), torch.nn.Tanh(), torch.nn.Linear(14, 3)).double()


def batches(count, of=None):
    draw = torch.Generator().manual_seed(77 + (rank if of is None else of))
    return [torch.randn(4, 10, generator=draw, dtype=torch.float64) for _ in range(count)]


def total(model):
    return sum((p.full_tensor() if isinstance(p, DTensor) else p).square().sum().item() for p in model.parameters())


def clipped():
    model = network()
    for layer in (model[0], model[2]):
        fully_shard(layer)
    fully_shard(model)
    optimiser, norms = torch.optim.AdamW(model.parameters(), lr=0.01), []
    for batch in batches(3):
        model(batch).square().mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        norms.append(norm.full_tensor().item())
        optimiser.step()
        optimiser.zero_grad()
    return norms, total(model)


def accumulated():
    model = network()
    fully_shard(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for number, batch in enumerate(batches(4)):
        model.set_requires_gradient_sync(number % 2 == 1)
        model(batch).square().mean().backward()
        if number % 2:
            optimiser.step()
            optimiser.zero_grad()
    return total(model)


def offloaded():
    model = network()
    fully_shard(model, offload_policy=CPUOffloadPolicy(pin_memory=False))
    model(batches(1)[0]).square().mean().backward()
    return sum(p.grad.full_tensor().sum().item() for p in model.parameters())


def states():
    model = network()
    fully_shard(model)
    whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    other = network()
    fully_shard(other)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(other, {k: 2 * v for k, v in whole.items()} if rank == 0 else {}, options=options)
    return sorted((k, v.sum().item()) for k, v in whole.items()), total(other)


def resharded():
    """Saved from a mesh of four, loaded onto one of two by two."""
    folder = [tempfile.mkdtemp() if rank == 0 else None]
    dist.broadcast_object_list(folder, src=0)
    one = distribute_tensor(torch.arange(48.0).reshape(8, 6), init_device_mesh("cpu", (size,)), [Shard(0)])
    checkpoints.save({"x": one}, checkpoint_id=folder[0])
    mesh = init_device_mesh("cpu", (2, size // 2))
    other = {"x": distribute_tensor(torch.zeros(8, 6), mesh, [Replicate(), Shard(1)])}
    checkpoints.load(other, checkpoint_id=folder[0])
    return other["x"].to_local().tolist()


def saved_meanwhile():
    """A checkpoint that is written while training goes on."""
    folder = [tempfile.mkdtemp() if rank == 0 else None]
    dist.broadcast_object_list(folder, src=0)
    model = network()
    fully_shard(model)
    state = {"model": get_model_state_dict(model)}
    saving = checkpoints.async_save(state, checkpoint_id=folder[0], process_group=dist.new_group(backend="gloo"))
    model(batches(1)[0]).square().mean().backward()
    saving.result()
    read = {"model": get_model_state_dict(model)}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    checkpoints.load(read, checkpoint_id=folder[0])
    set_model_state_dict(model, read["model"])
    return total(model)


def meshes():
    grid = init_device_mesh("cpu", (2, size // 2), mesh_dim_names=("outer", "inner"))
    groups = [grid.get_group(name) for name in ("outer", "inner")]
    from_groups = DeviceMesh.from_group(groups, "cpu", mesh=grid.mesh, mesh_dim_names=("a", "b"))
    local = dist.new_group(sorted({rank, (rank + 2) % size}), use_local_synchronization=True)
    tensor = torch.tensor([3.0**rank])
    dist.all_reduce(tensor, group=local)
    shared = torch.tensor([rank])
    dist.broadcast(shared, group=groups[1], group_src=1)
    objects = [{"of": rank}]
    dist.broadcast_object_list(objects, group=local, group_src=0)
    return from_groups["b"].get_local_rank(), tensor.item(), shared.item(), objects


def coalesced_lists():
    """Several gathers or scatters as one, as optimisers of sharded states do."""
    shards = [torch.full((2,), float(rank + k)) for k in range(3)]
    wholes = [torch.empty(2 * size) for _ in shards]
    with dist._coalescing_manager(device=torch.device("cpu"), async_ops=True) as works:
        for whole, shard in zip(wholes, shards, strict=True):
            dist.all_gather_into_tensor(whole, shard)
    works.wait()
    sums = [torch.empty(2) for _ in shards]
    with dist._coalescing_manager(device=torch.device("cpu")):
        for whole, part in zip(wholes, sums, strict=True):
            dist.reduce_scatter_tensor(part, whole)
    return [w.tolist() for w in wholes], [s.tolist() for s in sums]


def random_tensors():
    from torch.distributed.tensor import randn

    torch.manual_seed(1)
    mesh = init_device_mesh("cpu", (size,))
    draw = randn(4 * size, 2, device_mesh=mesh, placements=[Replicate()])
    return draw.full_tensor().shape


def distributed_module():
    mesh = init_device_mesh("cpu", (size,))

    def partition(name, module, mesh):
        for key, parameter in list(module.named_parameters(recurse=False)):
            module.register_parameter(key, torch.nn.Parameter(distribute_tensor(parameter.data, mesh, [Shard(0)])))

    model = distribute_module(torch.nn.Linear(8, 8).double(), mesh, partition)
    torch.manual_seed(3)
    with torch.no_grad():
        model.weight.copy_(distribute_tensor(torch.randn(8, 8, dtype=torch.float64), mesh, [Shard(0)]))
        model.bias.zero_()
    out = model(distribute_tensor(torch.ones(2, 8, dtype=torch.float64), mesh, [Replicate()]))
    out.sum().backward()
    return out.full_tensor().tolist(), model.weight.grad.full_tensor().sum().item()


def three_ways():
    """Two stages, each with tensor parallelism of two, trained by 1F1B."""
    mesh = init_device_mesh("cpu", (2, size // 2), mesh_dim_names=("pp", "tp"))
    torch.manual_seed(32)
    halves = [torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8)).double()
              for _ in range(2)]  # fmt: skip
    place = mesh["pp"].get_local_rank()
    part = parallelize_module(halves[place], mesh["tp"], {"0": ColwiseParallel(), "2": RowwiseParallel()})
    stage = PipelineStage(part, place, 2, torch.device("cpu"), group=mesh.get_group("pp"))
    schedule = Schedule1F1B(stage, 4, loss_fn=torch.nn.functional.mse_loss)
    data, losses = torch.ones(8, 8, dtype=torch.float64).cumsum(0) / 8, []
    if place == 0:
        schedule.step(data)
    else:
        schedule.step(target=-data, losses=losses)
    return [loss.item() for loss in losses], sum(p.grad.full_tensor().sum().item() for p in part.parameters())


for function in (
    clipped, accumulated, offloaded, states, resharded, saved_meanwhile, meshes, coalesced_lists, random_tensors,
    distributed_module, three_ways,
):  # fmt: skip
    attempt(function.__name__, function)
dist.destroy_process_group()
