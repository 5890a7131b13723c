# SPDX-License-Identifier: GPL-2.0-only
"""Communication that gradients go through: contrastive losses, experts, attention around a ring."""

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
import torch.distributed.nn.functional as differentiable

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
world = {"group": dist.group.WORLD}  # not the one that was there when the functions were imported


def attempt(what, function):
    """Print a result, or that there is none."""
    try:
        print(what, function())
    except Exception as error:
        print(what, "refused", type(error).__name__)
    dist.barrier()


def values(*shape, seed=0):
    draw = torch.Generator().manual_seed(100 * seed + rank)
    return torch.randn(*shape, generator=draw, dtype=torch.float64, requires_grad=True)


def gradient_of(result, *inputs):
    weights = torch.arange(1.0, result.numel() + 1, dtype=torch.float64).reshape(result.shape) * (rank + 1)
    return [each.tolist() for each in torch.autograd.grad((result * weights).sum(), inputs)]


def of(operation, *arguments):
    x = values(size, 3)
    result = operation(x, *arguments, **world)
    result = torch.stack(tuple(result)) if isinstance(result, (tuple, list)) else result
    return result.tolist(), gradient_of(result, x)


attempt("all_reduce", lambda: of(differentiable.all_reduce))
attempt("all_gather", lambda: of(differentiable.all_gather))
attempt("broadcast", lambda: of(differentiable.broadcast, 1))
attempt("reduce", lambda: of(differentiable.reduce, 2)[rank != 2 :])  # gloo leaves partial sums on the others
attempt("gather", lambda: of(differentiable.gather, 0))
attempt("scatter", lambda: of(lambda x, group: differentiable.scatter(list(x.unbind(0)), 1, group)))
attempt(
    "reduce_scatter",
    lambda: of(lambda x, group: differentiable.reduce_scatter(torch.empty_like(x[0]), list(x.unbind(0)), group=group)),
)
attempt(
    "all_to_all",
    lambda: of(
        lambda x, group: differentiable.all_to_all(
            [torch.empty_like(x[0]) for _ in range(size)], list(x.unbind(0)), group
        )
    ),
)
attempt(
    "all_to_all_single",
    lambda: of(lambda x, group: differentiable.all_to_all_single(torch.empty_like(x), x, group=group)),
)
attempt("all_gather autograd", lambda: of(lambda x, group: functional.all_gather_tensor_autograd(x, 0, group)))
attempt(
    "reduce_scatter autograd",
    lambda: of(lambda x, group: functional.reduce_scatter_tensor_autograd(x, "sum", 0, group)),
)


def contrastive():
    """Two views of a batch; every rank's are negatives for all."""
    torch.manual_seed(5)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(6, 4).double())
    one, other = (torch.nn.functional.normalize(model(values(3, 6, seed=s)), dim=1) for s in (1, 2))
    everything = [torch.cat(differentiable.all_gather(each, **world)) for each in (one, other)]
    loss = torch.nn.functional.cross_entropy(everything[0] @ everything[1].t() / 0.1, torch.arange(3 * size))
    loss.backward()
    return loss.item(), model.module.weight.grad.tolist()


def experts():
    """An expert on each rank; each rank has another number of tokens for each."""
    torch.manual_seed(rank)
    expert, tokens = torch.nn.Linear(4, 4).double(), values(sum((rank + place) % 3 for place in range(size)), 4, seed=3)
    sent = torch.tensor([(rank + place) % 3 for place in range(size)])
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent)
    sent, received = sent.tolist(), received.tolist()
    here = functional.all_to_all_single_autograd(tokens, received, sent, dist.group.WORLD)
    back = functional.all_to_all_single_autograd(expert(here), sent, received, dist.group.WORLD)
    loss = (back * tokens.detach()).sum()
    gradients = torch.autograd.grad(loss, [tokens, expert.weight])
    return loss.item(), [gradient.sum().item() for gradient in gradients]


class Passed(torch.autograd.Function):
    """What the rank before has; its gradient goes back there."""

    @staticmethod
    def forward(ctx, tensor):
        return exchange(tensor, 1)

    @staticmethod
    def backward(ctx, gradient):
        return exchange(gradient.contiguous(), -1)


def exchange(tensor, distance):
    came = torch.empty_like(tensor)
    operations = [
        dist.P2POp(dist.isend, tensor.contiguous(), (rank + distance) % size),
        dist.P2POp(dist.irecv, came, (rank - distance) % size),
    ]
    for work in dist.batch_isend_irecv(operations):
        work.wait()
    return came


def ring_attention():
    """Keys and values go around, while each rank has its own queries."""
    queries, keys = values(3, 8, seed=4), values(3, 8, seed=5)
    passing, scores = keys, []
    for _ in range(size):
        scores.append(queries @ passing.t())
        passing = Passed.apply(passing)
    loss = torch.logsumexp(torch.cat(scores, 1), 1).sum()
    return loss.item(), [g.tolist() for g in torch.autograd.grad(loss, [queries, keys])]


for function in (contrastive, experts, ring_attention):
    attempt(function.__name__, function)
dist.destroy_process_group()
