# SPDX-License-Identifier: GPL-2.0-only
"""Priorities of transfers in the 5G cell: one of a high class passes what waits in a low one."""

import asyncio

import pytest

from edgelam import cosim

OPTIONS = {"numUe": 2, "bandwidth": 20, "speed": 0, "minDistance": 40, "maxDistance": 60, "los": "Always"}


@pytest.mark.parametrize("uplink", [False, True])
@pytest.mark.parametrize("low_ue", ["ue0", "ue1"])
def test_a_high_class_is_not_delayed_by_a_saturated_low_one(uplink, low_ue):
    def duration_s(load, priority):
        async def main(sim):
            def send(ue, size, priority):
                ends = (sim.node(ue), sim.node("edge0")) if uplink else (sim.node("edge0"), sim.node(ue))
                return asyncio.ensure_future(ends[0].send(ends[1], bytes(size), priority=priority))

            low = send(low_ue, 6_000_000 if uplink else 20_000_000, 0) if load else None
            await asyncio.sleep(0.3)
            assert low is None or not low.done()
            begin_s = sim.now_s
            await send("ue1", 50_000, priority)
            end_s = sim.now_s
            if low is not None:
                assert priority == 0 or not low.done()  # without, it waits for what the same connection has before it
                low.cancel()
            return end_s - begin_s

        return cosim.simulate(main, scenario="nr-urban-micro", options=OPTIONS, seed=5)

    alone_s, high_s = duration_s(False, 6), duration_s(True, 6)
    assert high_s < alone_s + 0.03
    if low_ue == "ue1":
        assert duration_s(True, 0) > high_s + 0.02
