# SPDX-License-Identifier: GPL-2.0-only
"""Every collective of torch.distributed; every reduction of every dtype."""

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip
OPS = ["SUM", "PRODUCT", "MIN", "MAX", "BAND", "BOR", "BXOR", "AVG"]


def attempt(what, function):
    """Print a result, or that there is none."""
    try:
        print(what, function())
    except Exception as error:
        print(what, "refused", type(error).__name__)


def own(dtype, factor=1):
    """A tensor of this rank's."""
    return ((torch.arange(6) % 4 + 1) * factor + rank).to(dtype)


def reduced(dtype, op):
    tensor = own(dtype)
    dist.all_reduce(tensor, op=getattr(dist.ReduceOp, op))
    return tensor.tolist()


for dtype in DTYPES:
    for op in OPS:
        attempt(f"all_reduce {dtype} {op}", lambda dtype=dtype, op=op: reduced(dtype, op))


def reduce(root, op):
    tensor = own(torch.float64)
    dist.reduce(tensor, root, op=op)
    return tensor.tolist() if rank == root else None


def broadcast(root, dtype):
    tensor = own(dtype)
    dist.broadcast(tensor, root)
    return tensor.tolist()


def all_gather(dtype):
    places = [torch.empty(6, dtype=dtype) for _ in range(size)]
    dist.all_gather(places, own(dtype))
    return [place.tolist() for place in places]


def all_gather_uneven():
    places = [torch.empty(place + 1, 2) for place in range(size)]
    dist.all_gather(places, torch.full((rank + 1, 2), float(rank)))
    return [place.tolist() for place in places]


def all_gather_single(shape):
    output = torch.empty(shape, dtype=torch.float64)
    dist.all_gather_into_tensor(output, own(torch.float64).reshape(2, 3))
    return output.tolist()


def gather(root):
    places = [torch.empty(6) for _ in range(size)] if rank == root else None
    dist.gather(own(torch.float32), places, dst=root)
    return [place.tolist() for place in places] if rank == root else None


def scatter(root):
    output = torch.empty(6)
    dist.scatter(output, [own(torch.float32, 10 * place) for place in range(size)] if rank == root else None, src=root)
    return output.tolist()


def reduce_scatter(op):
    output = torch.empty(6, dtype=torch.float64)
    dist.reduce_scatter(output, [own(torch.float64, place + 1) for place in range(size)], op=op)
    return output.tolist()


def reduce_scatter_single():
    output = torch.empty(2, 3, dtype=torch.float64)
    whole = torch.cat([own(torch.float64, place + 1).reshape(2, 3) for place in range(size)])
    dist.reduce_scatter_tensor(output, whole)
    return output.tolist()


def all_to_all():
    outputs = [torch.empty(3) for _ in range(size)]
    dist.all_to_all(outputs, [torch.full((3,), float(10 * rank + place)) for place in range(size)])
    return [output.tolist() for output in outputs]


def all_to_all_single():
    output = torch.empty(2 * size)
    dist.all_to_all_single(output, torch.arange(2.0 * size) + 100 * rank)
    return output.tolist()


def all_to_all_uneven():
    sent, received = [place + rank for place in range(size)], [rank + place for place in range(size)]
    output = torch.empty(sum(received), 2, dtype=torch.int64)
    given = torch.arange(2 * sum(sent)).reshape(-1, 2) + 1000 * rank
    dist.all_to_all_single(output, given, received, sent)
    return output.tolist()


def coalesced():
    one, other = torch.ones(3) * rank, torch.ones(2, 2, dtype=torch.float64) * (rank + 1)
    with dist._coalescing_manager():
        dist.all_reduce(one)
        dist.all_reduce(one)
    dist.all_reduce_coalesced([one, one.clone()])
    dist.all_reduce(other)
    return one.tolist(), other.tolist()


def several_at_once():
    tensors = [torch.full((4,), float(rank + index)) for index in range(5)]
    works = [dist.all_reduce(tensor, async_op=True) for tensor in tensors]
    for work in reversed(works):
        work.wait()
    return [tensor.tolist() for tensor in tensors], all(work.is_completed() for work in works)


def by_future():
    tensor = torch.ones(2) * (rank + 1)
    future = dist.all_reduce(tensor, async_op=True).get_future().then(lambda done: done.value()[0] / size)
    return future.wait().tolist()


def strided():
    tensor = (torch.arange(12.0).reshape(3, 4) + rank).t()
    dist.all_reduce(tensor)
    places = [torch.empty(3, 4).t() for _ in range(size)]
    dist.all_gather(places, tensor)
    return tensor.tolist(), places[1].tolist()


def empty():
    tensor = torch.empty(0, 3)
    dist.all_reduce(tensor)
    dist.broadcast(tensor, 0)
    places = [torch.empty(0, 3) for _ in range(size)]
    dist.all_gather(places, tensor)
    return [place.shape for place in places]


def scalar():
    tensor = torch.tensor(float(rank))
    dist.all_reduce(tensor)
    return tensor.item()


def objects():
    found = [None] * size
    dist.all_gather_object(found, {"rank": rank, "text": "x" * rank})
    shared = [("from", rank), None, rank]
    dist.broadcast_object_list(shared, src=1)
    gathered = [None] * size if rank == 2 else None
    dist.gather_object([rank] * rank, gathered, dst=2)
    mine = [None]
    dist.scatter_object_list(mine, [{"for": place} for place in range(size)], src=0)
    return found, shared, gathered, mine


def minimal():
    """PyTorch's own functional collectives."""
    import torch.distributed._functional_collectives as functional

    tensor = own(torch.float64)
    return (
        functional.all_reduce(tensor, "sum", dist.group.WORLD).tolist(),
        functional.all_gather_tensor(tensor, 0, dist.group.WORLD).tolist(),
        functional.reduce_scatter_tensor(torch.cat([tensor] * size), "avg", 0, dist.group.WORLD).tolist(),
        functional.all_to_all_single(torch.cat([tensor] * size), None, None, dist.group.WORLD).tolist(),
        functional.broadcast(tensor, 1, dist.group.WORLD).tolist(),
        [t.tolist() for t in functional.all_reduce_coalesced([tensor, tensor * 2], "sum", dist.group.WORLD)],
        [t.tolist() for t in functional.all_gather_into_tensor_coalesced([tensor, tensor], dist.group.WORLD)],
    )


for root in range(size):
    attempt(f"reduce {root}", lambda root=root: reduce(root, dist.ReduceOp.SUM))
    attempt(f"broadcast {root}", lambda root=root: broadcast(root, DTYPES[root]))
    attempt(f"gather {root}", lambda root=root: gather(root))
    attempt(f"scatter {root}", lambda root=root: scatter(root))
for dtype in DTYPES:
    attempt(f"all_gather {dtype}", lambda dtype=dtype: all_gather(dtype))
    attempt(f"broadcast {dtype}", lambda dtype=dtype: broadcast(2, dtype))
attempt("uneven", all_gather_uneven)
attempt("single", lambda: all_gather_single((2 * size, 3)))
attempt("single stacked", lambda: all_gather_single((size, 2, 3)))
for op in (dist.ReduceOp.SUM, dist.ReduceOp.MAX, dist.ReduceOp.AVG):
    attempt(f"reduce_scatter {op}", lambda op=op: reduce_scatter(op))
attempt("reduce_scatter single", reduce_scatter_single)
for function in (
    all_to_all, all_to_all_single, all_to_all_uneven, coalesced, several_at_once, by_future, strided, empty, scalar,
    objects, minimal,
):  # fmt: skip
    attempt(function.__name__, function)
dist.barrier()
dist.barrier(async_op=True).wait()
dist.destroy_process_group()
