# SPDX-License-Identifier: GPL-2.0-only
"""Messages over real packets: what is lost is repaired, one datagram serves all, a failed send is an error."""

import asyncio

import pytest
import torch
from parallel_runs import NAMED, run_ranks

from edgelam.errors import TransferError


@pytest.mark.parametrize("algorithm", NAMED)
def test_losses_are_repaired(algorithm):
    records = []

    async def program(group, sim):
        sim.on_transfer = records.append
        tensor = torch.arange(30_000.0) + group.rank
        await group.all_reduce(tensor, algorithm=algorithm)
        return tensor

    for result in run_ranks(
        program, 3, scenario="wired-star", options={"loss": 0.1}, protocol="udp", server="edge0", rate_bps=40e6
    ):
        assert torch.equal(result, 3 * torch.arange(30_000.0) + 3)
    assert any(r.lost_bytes > 0 for r in records)
    again = [r for r in records if r.tag.endswith("/again")]
    assert again
    assert all(r.protocol == "tcp" for r in again)


def test_a_message_that_is_lost_whole_is_sent_again():
    async def program(group, sim):
        if group.rank == 0:
            for number in range(20):
                await group.send(1, torch.tensor([number]))
            return []
        came = [torch.zeros(1, dtype=torch.int64) for _ in range(20)]
        for tensor in came:
            await group.receive(0, tensor)
        return [int(tensor) for tensor in came]

    _, came = run_ranks(program, 2, scenario="wired-star", options={"loss": 0.2}, protocol="udp", seed=3)
    assert came == list(range(20))


def test_a_multicast_crosses_the_link_of_its_source_once():
    times = {}
    for name in ("multicast", "direct"):

        async def timed(group, sim):
            tensor = torch.full((70_000,), float(group.rank))
            await group.broadcast(tensor, 1, algorithm=name)  # noqa: B023
            assert tensor.eq(1).all()
            return sim.now_s

        times[name] = max(run_ranks(timed, 4, scenario="wired-star", options={"rate": "10Mbps"}, protocol="udp",
                                    rate_bps=9e6))  # fmt: skip
    once_s = 70_000 * 4 * 8 / 9e6
    assert once_s < times["multicast"] < 1.1 * once_s
    assert times["direct"] > 2.5 * once_s  # three copies over one link of the source


def test_a_send_that_fails_ends_the_collective_and_the_next_one_goes_on():
    async def program(group, sim):
        how = group.how

        def with_deadline(tag, **options):
            return {**how(tag, **options), "deadline_s": 0.05}

        if group.rank == 0:
            group.how = with_deadline
            with pytest.raises(TransferError, match="all_reduce"):
                await group.all_reduce(torch.ones(10_000_000), algorithm="direct")
            group.how = how
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(60):
                    await group.all_reduce(torch.ones(10_000_000), algorithm="direct")
        await group.barrier()
        return sim.now_s

    assert all(now_s > 0 for now_s in run_ranks(program, 2, scenario="wired-star"))


def test_messages_that_come_together_or_in_another_order_are_received_in_theirs():
    """Over udp, several are received at once, of which large ones are sent first and come last."""

    async def program(group, sim):
        sizes = [40_000, 10, 20_000, 10, 10, 30_000]
        if group.rank == 0:
            tensors = [torch.full((size,), float(number)) for number, size in enumerate(sizes)]
            await asyncio.gather(*(group.send(1, tensor) for tensor in tensors))
            return None
        into = [torch.empty(size) for size in sizes]
        sources = [0, None, 0, 0, None, 0]
        await asyncio.gather(*(group.receive(source, each) for source, each in zip(sources, into, strict=True)))
        return [each[0].item() for each in into]

    for scenario in ("wired-star", "nr-urban-micro"):
        assert run_ranks(program, 2, scenario=scenario, protocol="udp")[1] == [0, 1, 2, 3, 4, 5]
