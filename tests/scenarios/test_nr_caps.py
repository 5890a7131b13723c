# SPDX-License-Identifier: GPL-2.0-only
"""Caps of resource blocks from outside, ``prb_cap``: hard, retransmissions included."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import EdgelamError

BAND, GROUP = 273, 16
CARRYING = (80, 20)  # of 100 slots of DDDSU, with downlink and with uplink data
OPTIONS = {"numUe": 2, "scheduler": "external", "speed": 0, "minDistance": 150, "maxDistance": 200, "sector": 20}
MOVING = {"speed": 30, "gnbPower": 20}  # fast fading, so that blocks are lost


def run(main, options=None):
    return cosim.simulate(main, scenario="nr-urban-micro", options=OPTIONS | (options or {}), seed=3)


async def blocks_until(sim, end_s):
    """Every transmission that was traced until then."""
    found = []
    async with sim.observable("trace_blocks").subscribe(0.01) as readings:
        async for reading in readings:
            found.append(reading.value)
            if sim.now_s >= end_s:
                return np.concatenate(found)


def per_slot(blocks, ue, uplink):
    """Resource blocks of a UE in each slot from the first to the last one traced."""
    mine = blocks[(blocks["ue"] == ue) & (blocks["uplink"] == uplink)]
    first = blocks["slot"].min()
    return np.bincount(mine["slot"] - first, weights=mine["prbs"], minlength=int(np.ptp(blocks["slot"])) + 1)


@pytest.mark.parametrize("caps", [[[40, BAND], [24, 100]], [[5, 16], [3, BAND]]])
def test_caps_hold_in_every_slot_and_in_every_window(caps):
    async def main(sim):
        await sim.control("prb_cap").set(np.array(caps, dtype=np.uint32))
        edge, ues = sim.node("edge0"), [sim.node("ue0"), sim.node("ue1")]
        sending = [asyncio.ensure_future(edge.send(ue, bytes(20_000_000), protocol="udp")) for ue in ues]
        sending += [asyncio.ensure_future(ue.send(edge, bytes(5_000_000))) for ue in ues]
        blocks = await blocks_until(sim, 0.4)
        for each in sending:
            each.cancel()
        return blocks

    blocks = run(main, MOVING)
    assert (blocks["attempt"] > 1).sum() > 5  # retransmissions are there, and count
    for uplink in (0, 1):
        for ue in (0, 1):
            cap, used = caps[uplink][ue], per_slot(blocks, ue, uplink)
            assert used.max() <= -(-cap // GROUP) * GROUP
            windows = np.convolve(used, np.ones(100), mode="valid")
            assert windows.max() <= CARRYING[uplink] * cap + GROUP
            assert used.sum() > 0
    if caps[0][0] == 5:  # little enough to be used up
        assert per_slot(blocks, 0, 0).mean() > 0.9 * 5 * CARRYING[0] / 100


def test_a_cap_holds_from_its_control_slot_on():
    """Set while bearers are full: what is begun from then on is within the cap; what was begun before is sent again."""

    async def main(sim):
        edge, ues = sim.node("edge0"), [sim.node("ue0"), sim.node("ue1")]
        sending = [asyncio.ensure_future(edge.send(ue, bytes(40_000_000))) for ue in ues]
        sending += [asyncio.ensure_future(ue.send(edge, bytes(20_000_000))) for ue in ues]
        await asyncio.sleep(0.2)
        assert (await sim.observable("ue_last_block").read()).value["prbs"].max() > 100
        await sim.control("prb_cap").set(np.full((2, 2), 20, dtype=np.uint32))
        slot = int((await sim.observable("control_slot").read()).value)
        blocks = await blocks_until(sim, 0.3)
        for each in sending:
            each.cancel()
        return slot, blocks

    slot, blocks = run(main)
    begun = blocks[(blocks["slot"] >= slot) & (blocks["attempt"] == 1)]
    assert len(begun) > 100
    assert begun["prbs"].max() <= 2 * GROUP


def test_a_cap_of_zero_stops_data_until_it_is_lifted():
    async def main(sim):
        edge, ue = sim.node("edge0"), sim.node("ue0")
        sending = asyncio.ensure_future(edge.send(ue, bytes(4_000_000)))
        await asyncio.sleep(0.05)
        await sim.control("prb_cap").set(np.array([[0, BAND], [BAND, BAND]], dtype=np.uint32))
        await asyncio.sleep(0.05)
        before = (await sim.observable("ue_bearer_counts").read()).value["delivered_packets"]
        other = await edge.send(sim.node("ue1"), bytes(100_000))
        await asyncio.sleep(0.3)
        after = (await sim.observable("ue_bearer_counts").read()).value["delivered_packets"]
        assert not sending.done()
        await sim.control("prb_cap").set(np.array([[BAND, BAND], [0, BAND]], dtype=np.uint32))
        await asyncio.sleep(0.3)
        last = (await sim.observable("ue_bearer_counts").read()).value["delivered_packets"]
        backlog = (await sim.observable("ue_backlog_bytes").read()).value
        await sim.control("prb_cap").set(np.full((2, 2), BAND, dtype=np.uint32))
        record = await sending
        counts = (await sim.observable("ue_bearer_counts").read()).value
        return before, after, last, backlog, other, record, counts

    before, after, last, backlog, other, record, counts = run(main, {"minDistance": 40, "maxDistance": 60})
    assert after[0, 0] == before[0, 0]  # downlink stood still, for ue0 alone
    assert other.size_bytes == 100_000
    assert last[1, 0] == after[1, 0]  # then its uplink did: acknowledgements of TCP wait, reports of RLC do not
    assert last[0, 0] > after[0, 0]
    assert backlog[1, 0] > 0
    assert record.size_bytes == 4_000_000
    assert counts["lost_packets"].sum() == 0


def test_what_is_no_cap():
    async def main(sim):
        cap = sim.control("prb_cap")
        with pytest.raises(EdgelamError, match="cap of 274 resource blocks; legal are 0 to 273"):
            await cap.set([[274, 0], [0, 0]])
        with pytest.raises(EdgelamError, match="uint32"):
            await cap.set([[-1, 0], [0, 0]])
        with pytest.raises(EdgelamError, match="1"):
            await cap.set([[1], [0]])

    run(main)


def test_caps_need_the_external_scheduler():
    async def main(sim):
        with pytest.raises(EdgelamError, match="with Scheduler 'pf'; legal is external"):
            await sim.control("prb_cap").set(np.zeros((2, 2), dtype=np.uint32))

    run(main, {"scheduler": "pf"})
