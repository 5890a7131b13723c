# SPDX-License-Identifier: GPL-2.0-only
"""Multicast over nr-urban-micro's air: one transmission for several receivers, losses of each, what is refused."""

import asyncio

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError, TransferError

STILL = {"numUe": 4, "speed": 0, "los": "Always", "minDistance": 30, "maxDistance": 60}
SIZE = 1_000_000
FAST_BPS = 2e9  # the air is the bottleneck


def run(main, options=None, **more):
    return cosim.simulate(main, scenario="nr-urban-micro", options=STILL | (options or {}), **more)


def multicast(source, receivers, options=None, **more):
    """Records of one transfer, and transport block bits that each UE decoded downlink."""

    async def main(sim):
        nodes = [sim.node(name) for name in receivers]
        records = await sim.node(source).send(nodes, bytes(SIZE), protocol="udp", **({"rate_bps": FAST_BPS} | more))
        await asyncio.sleep(0.3)
        return records, (await sim.observable("ue_block_counts").read()).value[0]

    return run(main, options)


@pytest.mark.parametrize("source", ["edge0", "edge1", "cloud0", "gnb0", "ue3"])
def test_the_air_is_crossed_once(source):
    # One MCS for all: number 10 of table 2, 16QAM.
    given = {"edgelam::nr::Cell::MulticastMcs": 10}
    records, counts = multicast(source, ["ue0", "ue1", "ue2"], given)
    alone, _ = multicast(source, ["ue0", "ue1"], given)
    assert {record.status for record in records} == {"complete"}
    bits = counts["decoded_bits"][:3].astype(float)
    # Each decodes the same blocks; together on the air they are those of one: 1472 bytes a datagram, 28 of IP and UDP,
    # 3 of PDCP, 1 or 2 of RLC, 3 of MAC, and the last block's padding.
    assert bits.tolist() == [bits[0]] * 3
    assert 1.0 < bits[0] / (8 * SIZE * 1507 / 1472) < 1.1
    # A third receiver costs no time: copies would take half as long again.
    assert max(r.last_byte_s for r in records) == pytest.approx(max(r.last_byte_s for r in alone), rel=0.02)


def test_as_fast_as_the_worst_receivers_mcs_allows():
    async def main(sim):
        nodes = [sim.node(f"ue{i}") for i in range(3)]
        sending = asyncio.ensure_future(
            sim.node("edge0").send(nodes, bytes(4 * SIZE), protocol="udp", rate_bps=FAST_BPS)
        )
        await asyncio.sleep(0.02)
        blocks = (await sim.observable("ue_last_block").read()).value[0][:3]
        return await sending, blocks

    records, blocks = run(main, {"maxDistance": 150, "minDistance": 29})
    assert len(set(blocks["group"].tolist())) == 1
    assert blocks["group"][0] >= 0
    assert sorted(blocks["repeated"].tolist()) == [0, 1, 1]
    assert len(set(blocks["mcs"].tolist())) == 1
    assert set(blocks["layers"].tolist()) == {1}
    # Blocks of this size in each of 4 downlink slots of 5 (13, 13, 13 and 9 symbols with data of 13).
    block = blocks[0]
    slots = 4 * SIZE * 8 * 1507 / 1472 / float(block["bits"])
    expected_s = slots * 5 / (3 + 108 / 144 * 0.9) * 0.5e-3
    for record in records:
        assert record.status == "complete"
        assert record.last_byte_s - record.queued_s == pytest.approx(expected_s, rel=0.15)


def test_each_loses_its_own():
    # A given MCS that some can decode and some cannot, sent once.
    options = {
        "maxDistance": 400,
        "gnbPower": 16,
        "edgelam::nr::Cell::MulticastMcs": 12,
        "edgelam::nr::Cell::MulticastTransmissions": 1,
    }
    records, counts = multicast("edge0", ["ue0", "ue1", "ue2", "ue3"], options)
    lost = [record.lost_bytes for record in records]
    assert [record.delivered_bytes for record in records] == [SIZE - each for each in lost]
    assert [record.status for record in records] == ["partial" if each else "complete" for each in lost]
    errors = counts["first_errors"] > 0
    assert errors.tolist() == [each > 0 for each in lost]
    assert errors.any()
    assert not errors.all()


def test_mixed_receivers_get_copies():
    async def main(sim):
        nodes = [sim.node("ue0"), sim.node("edge1")]
        records = await sim.node("edge0").send(nodes, bytes(100_000), protocol="udp")
        block = (await sim.observable("ue_last_block").read()).value[0, 0]
        return records, int(block["group"])

    records, group = run(main)
    assert {record.status for record in records} == {"complete"}
    assert group == -1


def test_more_sets_of_receivers_than_groups():
    async def main(sim):
        ues, edge, groups = sim.nodes_with_role("ue"), sim.node("edge0"), []
        for i in range(60):
            chosen = [ues[i % 8], ues[(i // 8 + 1 + i) % 8]] if i < 56 else ues[: i - 52]
            records = await edge.send(chosen, bytes(3000), protocol="udp")
            assert {record.status for record in records} == {"complete"}
            groups.append(int((await sim.observable("ue_last_block").read()).value["group"][0].max()))
        # All at once: those beyond the groups that there are get copies.
        sets = [[a, b] for a in ues for b in ues if a is not b][:56]
        everything = await asyncio.gather(*(edge.send(pair, bytes(20_000), protocol="udp") for pair in sets))
        return groups, {record.status for records in everything for record in records}

    groups, statuses = run(main, {"numUe": 8})
    assert max(groups) >= 28
    assert statuses == {"complete"}


def test_what_ends_early():
    async def main(sim):
        ues, edge = sim.nodes_with_role("ue"), sim.node("edge0")
        with pytest.raises(ConfigurationError, match="to itself"):
            await ues[0].send(ues, bytes(1000), protocol="udp")
        with pytest.raises(TransferError, match="expired"):
            await edge.send(ues, bytes(SIZE), protocol="udp", rate_bps=1e6, deadline_s=0.05)
        long = asyncio.ensure_future(edge.send(ues, bytes(SIZE), protocol="udp", rate_bps=1e6))
        await asyncio.sleep(0.05)
        long.cancel()
        records = await edge.send(ues, bytes(10_000), protocol="udp")
        return [record.status for record in records]

    assert run(main) == ["complete"] * 4


def test_many_groups_and_tcp_together():
    async def main(sim):
        ues, edge = sim.nodes_with_role("ue"), sim.node("edge0")
        results = await asyncio.gather(
            edge.send(ues, np.zeros(50_000, np.float32), protocol="udp", rate_bps=1e8),
            ues[0].send(ues[1:], bytes(100_000), protocol="udp"),
            *(edge.send(ue, bytes(500_000)) for ue in ues),
        )
        flat = [record for each in results for record in (each if isinstance(each, list) else [each])]
        return {record.status for record in flat}

    assert run(main) == {"complete"}
