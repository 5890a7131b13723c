# SPDX-License-Identifier: GPL-2.0-only
"""Communication in surroundings that change what operators do: modes, devices, loops, hooks of backward, threads."""

import asyncio
import threading

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

dist.init_process_group()
rank, size = dist.get_rank(), dist.get_world_size()


def network(seed=51):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(6, 10), torch.nn.Tanh(), torch.nn.Linear(10, 2)).double()


def batch(number=0):
    draw = torch.Generator().manual_seed(100 * rank + number)
    return torch.randn(4, 6, generator=draw, dtype=torch.float64)


def gradients(model):
    return sum(p.grad.square().sum().item() for p in model.parameters())


def inference():
    model = DistributedDataParallel(network()).eval()
    with torch.inference_mode():
        outputs = model(batch())
        everything = [torch.empty_like(outputs) for _ in range(size)]
        dist.all_gather(everything, outputs)
        mean = outputs.mean()
        work = dist.all_reduce(mean, async_op=True)
        count = torch.ones(())
    work.wait()
    with torch.inference_mode():
        dist.all_reduce(count)
        merged = torch.empty(size * 4, 2, dtype=torch.float64)
        dist.all_gather_into_tensor(merged, outputs)
    return [each.sum().item() for each in everything], mean.item(), count.item(), merged.sum().item()


def other_default_device():
    with torch.device("meta"):
        model = network()
        dist.barrier()
        found = [None] * size
        dist.all_gather_object(found, sum(p.numel() for p in model.parameters()))
    return found


def other_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        tensor = torch.full((3,), rank + 0.1)
        dist.all_reduce(tensor)
        return tensor.tolist(), tensor.dtype
    finally:
        torch.set_default_dtype(torch.float32)


def inside_asyncio():
    async def part(number):
        await asyncio.sleep(0)
        tensor = torch.tensor([rank + number])
        dist.all_reduce(tensor)
        return tensor.item()

    async def main():
        return [await part(number) for number in range(2)] + await asyncio.gather(part(5))

    return asyncio.run(main())


def hooks(wait):
    """Data parallelism of one's own: each gradient is reduced as soon as it is there."""
    model, works = network(), []

    def reduce(parameter):
        work = dist.all_reduce(parameter.grad, async_op=True)
        if wait:
            work.wait()
        else:
            works.append(work)

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(reduce)
    model(batch()).square().mean().backward()
    for work in works:
        work.wait()
    return gradients(model)


def recomputed():
    model = network()
    wrapped = DistributedDataParallel(model)
    inputs = batch().requires_grad_()
    checkpoint(wrapped, inputs, use_reentrant=True).square().mean().backward()
    return gradients(model), inputs.grad.sum().item()


def two_models():
    """As in adversarial training: two models, whose backwards go through each other."""
    one, other = DistributedDataParallel(network(1)), DistributedDataParallel(torch.nn.Linear(2, 1).double())
    optimisers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (one, other)]
    losses = []
    for number in range(2):
        for optimiser, sign in zip(optimisers, (1, -1), strict=True):
            for each in optimisers:
                each.zero_grad()
            loss = sign * other(one(batch(number))).square().mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return losses


def observed():
    """While PyTorch's profiler and its detection of anomalies look on."""
    model = DistributedDataParallel(network())
    with torch.profiler.profile() as profile, torch.autograd.detect_anomaly(check_nan=True):
        model(batch()).square().mean().backward()
    return gradients(model), any("addmm" in event.key for event in profile.key_averages())


def beside_threads():
    """A thread of the program's own that prepares batches and does not communicate."""
    ready, made = threading.Event(), []

    def prepare():
        made.extend(batch(number) for number in range(3))
        ready.set()

    thread = threading.Thread(target=prepare)
    thread.start()
    ready.wait()
    total = torch.stack(made).sum()
    dist.all_reduce(total)
    thread.join()
    return total.item()


def shared_memory():
    tensor = torch.arange(4.0)[1:].share_memory_() + rank
    expanded = torch.ones(1).expand(3).clone()
    dist.all_reduce(tensor)
    dist.all_reduce(expanded)
    return tensor.tolist(), expanded.tolist()


with torch.autograd.set_multithreading_enabled(False):
    print("hooks that wait, in one thread", hooks(wait=True))
for wait in (True, False):
    print("hooks", hooks(wait))
for function in (
    inference, other_default_device, other_default_dtype, inside_asyncio, recomputed, two_models, observed,
    beside_threads, shared_memory,
):  # fmt: skip
    print(function.__name__, function())
    dist.barrier()
dist.destroy_process_group()
