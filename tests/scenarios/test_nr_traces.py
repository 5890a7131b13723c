# SPDX-License-Identifier: GPL-2.0-only
"""Traces of an NR cell: every record once, against counters and slots counted by hand; nothing kept when off."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import DeadlockError, ObservableRefused

# One UE that stands still 30 m away, in line of sight: no block is lost.
STILL = {"numUe": 1, "speed": 0, "los": "Always", "minDistance": 30, "maxDistance": 31}
SLOT_NS = 500_000


def run(main, options=None):
    return cosim.simulate(main, scenario="nr-urban-micro", options=STILL | (options or {}))


async def recorded(sim, name, body, period_s=0.01):
    """The records of a trace while `body` goes on, and what it returns."""
    trace, records = sim.observable(name), []
    async with trace.subscribe(period_s) as readings:

        async def follow():
            async for reading in readings:
                records.append(reading.value)

        following = asyncio.ensure_future(follow())
        result = await body()
        records.append((await trace.read()).value)
        following.cancel()
    return np.concatenate(records), result


def test_blocks_add_up_to_what_the_cell_counts():
    async def main(sim):
        async def body():
            sending = [
                asyncio.ensure_future(sim.node("edge0").send(sim.node(f"ue{i}"), bytes(500_000))) for i in range(2)
            ]
            sending.append(asyncio.ensure_future(sim.node("ue0").send(sim.node("edge0"), bytes(300_000))))
            await asyncio.gather(sim.node("ue0").receive(), sim.node("ue1").receive(), sim.node("edge0").receive())
            await asyncio.gather(*sending)
            await asyncio.sleep(0.0123)

        blocks, _ = await recorded(sim, "trace_blocks", body)
        return blocks, [
            (await sim.observable(name).read()).value for name in ("ue_block_counts", "cell", "ue_prb_slots")
        ]

    blocks, (counts, cell, prb_slots) = run(main, {"numUe": 2, "maxDistance": 150, "los": "Never"})
    for uplink in (0, 1):
        for ue in (0, 1):
            own = blocks[(blocks["uplink"] == uplink) & (blocks["ue"] == ue)]
            assert own["bits"][own["received"] == 1].sum() == counts["decoded_bits"][uplink, ue]
            assert (own["attempt"] == 1).sum() == counts["blocks"][uplink, ue]
            assert (own["attempt"] > 1).sum() == counts["retransmissions"][uplink, ue]
            assert own["prbs"].sum() == prb_slots[uplink, ue]
    assert counts["retransmissions"].sum() > 0
    # The resource blocks are those of the groups (TS 38.214 5.1.2.2.1); no two UEs have one in the same slot and way.
    size, prbs = int(cell["prbs_per_group"]), int(cell["prbs"])
    assert (size, prbs) == (16, 273)
    for block in blocks:
        groups = [g for g in range(18) if int(block["rbgs"]) >> g & 1]
        assert block["prbs"] == sum(min(size, prbs - size * g) for g in groups)
        assert block["first_prb"] == size * groups[0]
        assert block["time_ns"] == block["slot"] * SLOT_NS
    taken = {}
    for block in blocks:
        key = (block["uplink"], block["slot"])
        assert taken.get(key, 0) & int(block["rbgs"]) == 0
        taken[key] = taken.get(key, 0) | int(block["rbgs"])


def down_slots(arrived_ns):
    """Delivery of a lone downlink packet, by the comment of nr-cell.h, DDDSU, GnbDelay 1, UeDelay 1."""
    n = -(-arrived_ns // SLOT_NS)
    while (n + 1) % 5 == 4:  # slot n + 1 is on the air: not in U
        n += 1
    return (n + 3) * SLOT_NS


def up_slots(arrived_ns):
    """Of a lone uplink packet: scheduling request in S or U, decision in time for the next U, K2 2."""
    m = -(-arrived_ns // SLOT_NS)
    while m % 5 not in (3, 4):
        m += 1
    u = m + 2 + 3  # the grant goes out in u - 2, a D slot, and is decided 1 slot before, when the request is known
    while u % 5 != 4:
        u += 1
    return (u + 2) * SLOT_NS


def test_packets_of_an_idle_cell_take_the_slots_counted_by_hand():
    async def main(sim):
        edge, ue = sim.node("edge0"), sim.node("ue0")

        async def body():
            for i in range(12):
                for source, to in ((edge, ue), (ue, edge)):
                    await asyncio.sleep(0.06 + 0.00037 * i)
                    sending = asyncio.ensure_future(source.send(to, bytes(100), protocol="udp"))
                    await to.receive()
                    await sending

        packets, _ = await recorded(sim, "trace_packets", body)
        return packets

    packets = run(main)
    assert (packets["bytes"] == 128).all()  # UDP 8, IPv4 20
    assert packets["uplink"].tolist() == [0, 1] * 12
    for packet in packets:
        by_hand = (up_slots if packet["uplink"] else down_slots)(int(packet["arrived_ns"]))
        assert packet["time_ns"] == by_hand
    delays_ms = (packets["time_ns"] - packets["arrived_ns"]) / 1e6
    assert np.ptp(delays_ms[0::2]) > 0.4  # all parts of a slot were met


def test_packets_that_wait_for_one_before_are_timed_too():
    async def main(sim):
        async def body():
            sending = asyncio.ensure_future(sim.node("edge0").send(sim.node("ue0"), bytes(300_000)))
            await sim.node("ue0").receive()
            await sending
            await asyncio.sleep(0.02)

        packets, _ = await recorded(sim, "trace_packets", body)
        return packets, (await sim.observable("ue_bearer_counts").read()).value

    packets, counts = run(main, {"los": "Never", "maxDistance": 300, "minDistance": 299, "rlc": "um"})
    for uplink in (0, 1):
        own = packets[packets["uplink"] == uplink]
        assert len(own) == counts["delivered_packets"][uplink, 0]
        assert own["bytes"].sum() == counts["delivered_bytes"][uplink, 0]
        assert (np.diff(own["arrived_ns"]) >= 0).all()  # in order
        assert (np.diff(own["time_ns"]) >= 0).all()
    assert (packets["time_ns"] - packets["arrived_ns"] >= 2 * SLOT_NS).all()


def test_multicast_packets_are_timed_at_each_receiver():
    async def main(sim):
        async def body():
            await sim.node("edge0").send([sim.node("ue0"), sim.node("ue1")], bytes(100_000), protocol="udp")
            await asyncio.sleep(0.02)

        packets, _ = await recorded(sim, "trace_packets", body)
        return packets

    packets = run(main, {"numUe": 2, "maxDistance": 60})
    assert (packets["group"] == 0).all()
    first, second = (packets[packets["ue"] == ue] for ue in (0, 1))
    assert len(first) == len(second) == 68  # datagrams of 1472 bytes
    assert first["arrived_ns"].tolist() == second["arrived_ns"].tolist()
    assert (packets["time_ns"] - packets["arrived_ns"] >= 2 * SLOT_NS).all()


def test_csi_reports_come_at_their_period():
    async def main(sim):
        async def body():
            sending = asyncio.ensure_future(sim.node("edge0").send(sim.node("ue0"), bytes(5_000_000)))
            await sim.node("ue0").receive()
            await sending

        reports, _ = await recorded(sim, "trace_csi", body)
        return reports

    reports = run(main)
    assert len(reports) > 4
    assert set(np.diff(reports["slot"])) <= set(range(20, 26))  # every 20 slots, in one that is scheduled
    late = np.diff(reports["slot"], prepend=0) >= 24  # after a pause: one that has been going on
    late[0] = True
    assert (reports["adopted_slot"] == reports["slot"] + np.where(late, 0, 4)).all()
    assert set(reports["rank"]) <= {1, 2, 3, 4}
    assert (reports["cqi"] <= 15).all()
    assert (reports["cqi"] >= 10).all()
    assert (reports["sinr_db"] > 10).all()


def test_off_keeps_nothing_and_one_at_a_time():
    async def main(sim):
        trace = sim.observable("trace_blocks")

        async def send():
            sending = asyncio.ensure_future(sim.node("edge0").send(sim.node("ue0"), bytes(50_000)))
            await sim.node("ue0").receive()
            await sending

        with pytest.raises(ObservableRefused, match="nothing is kept of it before it is subscribed to"):
            await trace.read()
        await send()
        async with trace.subscribe(1.0) as readings:
            assert len((await anext(readings)).value) == 0  # nothing from before
            await send()
            with pytest.raises(ObservableRefused, match="one subscription at a time"):
                async for _ in trace.subscribe(1.0):
                    pass
            kept = len((await trace.read()).value)
            assert len((await trace.read()).value) == 0  # each record once
        await send()
        with pytest.raises(ObservableRefused):
            await trace.read()
        async with trace.subscribe(1.0) as readings:
            assert len((await anext(readings)).value) == 0
        return kept

    assert run(main) > 0


def test_a_trace_does_not_hide_a_deadlock():
    async def main(sim):
        async with sim.observable("trace_blocks").subscribe(0.01) as readings:
            following = asyncio.ensure_future(anext(readings))
            await following
            await sim.node("ue0").receive()

    with pytest.raises(DeadlockError):
        run(main)
