# SPDX-License-Identifier: GPL-2.0-only
"""A bounded wait that is over says who waited for what, and at which simulated time."""

import asyncio

import pytest
from cosim_runs import run


def test_asyncio_timeout_names_node_sender_tag_and_time():
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        await asyncio.sleep(0.25)
        async with asyncio.timeout(0.5):
            await edge.receive(ue, tag="jacobian")

    with pytest.raises(TimeoutError) as raised:
        run(main)
    for part in ("'main'", "receive on edge0 from ue0", "'jacobian'", "test_cosim_timeouts.py", "0.750000000 s"):
        assert part in str(raised.value)


@pytest.mark.parametrize("limit", [0.5, 0.0])
def test_wait_for(limit):
    async def main(sim):
        edge = sim.node("edge0")
        with pytest.raises(TimeoutError) as raised:
            await asyncio.wait_for(edge.receive(tag="x"), limit)
        assert sim.now_s == limit
        assert await asyncio.wait_for(asyncio.sleep(0.1, "in time"), 0.2) == "in time"
        return str(raised.value)

    text = run(main)
    assert ("receive on edge0 from anybody" in text) == (limit > 0)


def test_gathered_waits_are_named():
    async def main(sim):
        edge, ue = sim.node("edge0"), sim.node("ue0")
        async with asyncio.timeout(1.0):
            await asyncio.gather(edge.receive(ue), ue.receive(edge, tag="r"))

    with pytest.raises(TimeoutError, match=r"receive on edge0 from ue0 with any tag\), .*receive on ue0 from edge0"):
        run(main)


def test_a_time_out_that_is_not_reached_and_an_outer_cancel_stay_as_they_are():
    async def main(sim):
        async def inner():
            async with asyncio.timeout(10.0):
                await asyncio.Event().wait()

        task = asyncio.create_task(inner())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1.0) as limit:
            await asyncio.sleep(0.5)
        assert not limit.expired()

    run(main)


def test_the_wrappers_are_gone_after_the_run():
    before = (asyncio.timeout, asyncio.wait_for)

    async def main(sim):
        assert asyncio.timeout is not before[0]

    run(main)
    assert (asyncio.timeout, asyncio.wait_for) == before
