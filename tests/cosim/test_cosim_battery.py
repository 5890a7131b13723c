# SPDX-License-Identifier: GPL-2.0-only
"""Storage that is full, and batteries that are empty at the instant that a line by hand gives."""

import asyncio
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam import cosim
from edgelam.cosim import DeviceProfile
from edgelam.cosim.work import Work
from edgelam.errors import BatteryEmpty, ConfigurationError, OutOfDeviceStorage

# 1 FLOP takes 1 s; 1 W idle, 3 W busy
UNIT = DeviceProfile(
    "unit", flops_per_s=1.0, memory_bandwidth_bytes_per_s=1e18, memory_bytes=1000, idle_w=1.0, busy_w=3.0,
    storage_bytes=1000,
)  # fmt: skip


def run(main, **changes):
    nodes = {"ue0": "ue", "edge0": "edge"}
    return cosim.simulate(main, nodes=nodes, devices={"ue0": dataclasses.replace(UNIT, **changes)})


async def compute(node, seconds):
    async with node.compute("block", work=Work(flops=seconds)):
        pass


def test_a_full_store_refuses_and_names_both_numbers():
    async def main(sim):
        storage = sim.node("ue0").storage
        storage.store("model", 600)
        with pytest.raises(
            OutOfDeviceStorage, match=r"ue0: data needs 500 bytes of storage, but of its 1,000 bytes only 400"
        ):
            storage.store("data", 500)
        storage.store("model", 300)  # instead of the one before
        storage.store("data", 500)
        storage.free("model")
        with pytest.raises(ConfigurationError, match="nothing is allocated under 'model'; held: data"):
            storage.free("model")
        return storage.used_bytes, storage.peak_bytes, storage.held(), sim.now_s

    assert run(main) == (500, 800, {"data": 500}, 0.0)


def test_it_is_empty_within_a_block():
    """2 s idle and 4 s busy are 2 + 12 = 14 J of 20; 2 s more of the next block are the other 6."""

    async def main(sim):
        ue = sim.node("ue0")
        await asyncio.sleep(2)
        await compute(ue, 4)
        assert ue.battery.used_j == ue.energy_j == 14
        with pytest.raises(
            BatteryEmpty, match=r"ue0: its battery of 20 J is empty since simulated time 8\.000000000 s"
        ):
            await compute(ue, 5)
        ended = sim.now_s
        for what in (compute(ue, 1), ue.send(sim.node("edge0"), 1), ue.receive()):
            with pytest.raises(BatteryEmpty):
                await what
        await asyncio.sleep(100)
        return ended, sim.now_s, ue.energy_j, ue.busy_s, ue.battery.lifetime_s

    assert run(main, battery_j=20.0) == (8, 108, 20, 6, 8)


def test_two_blocks_side_by_side_draw_more():
    """Each adds 1 W: 10 J are 1 x 2 W, then 3 W; (10 - 2) / 3 s later it is empty, for both and for who waits."""

    async def main(sim):
        ue, told = sim.node("ue0"), []

        async def one(after, seconds):
            await asyncio.sleep(after)
            with pytest.raises(BatteryEmpty):
                await compute(ue, seconds)
            told.append(sim.now_s)

        await asyncio.gather(one(0, 50), one(1, 50), one(2, 50))
        return told, ue.battery.lifetime_s

    told, lifetime = run(main, battery_j=10.0, ways=2)
    assert told == [pytest.approx(1 + 8 / 3, abs=2e-9)] * 3
    assert lifetime == told[0]


def test_who_only_sleeps_is_told_afterwards():
    async def main(sim):
        ue = sim.node("ue0")
        await asyncio.sleep(9)
        with pytest.raises(BatteryEmpty, match="since simulated time 5"):
            await compute(ue, 1)
        return ue.battery.lifetime_s

    assert run(main, battery_j=5.0) == 5.0


def test_a_transfer_under_way_ends_with_it():
    """1 MB at 1 Mbit/s takes 8 s; 0.5 J at 1 W do not. What is in the socket by then (128 KiB) still arrives."""

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        with pytest.raises(BatteryEmpty):
            await ue.send(edge, bytes(1_000_000), tag="late")
        ended = sim.now_s
        received = asyncio.ensure_future(edge.receive(ue))
        await asyncio.sleep(20)
        return ended, received.done()

    devices = {"ue0": dataclasses.replace(UNIT, battery_j=0.5)}
    ended, received = cosim.simulate(
        main, scenario="wired-star", options={"numUe": 1, "rate": "1Mbps"}, devices=devices
    )
    assert (ended, received) == (0.5, False)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=6), st.integers(1, 60))
def test_against_second_by_second(steps, capacity):
    """Sleep and compute whole seconds; by hand: 1 J for a second of sleep, 3 J for one of computing."""
    left, second, blocks = capacity, 0.0, 0
    for sleep, busy in steps:
        for power, seconds in ((1, sleep), (3, busy)):
            if left <= 0:
                break
            spent = min(seconds, left / power)
            second, left = second + spent, left - power * spent
        blocks += left > 0

    async def main(sim):
        ue, done = sim.node("ue0"), 0
        try:
            for sleep, busy in steps:
                await asyncio.sleep(sleep)
                await compute(ue, busy)
                done += ue.battery.lifetime_s is None
        except BatteryEmpty:
            pass
        return done, ue.battery.lifetime_s, ue.energy_j

    done, lifetime, energy = run(main, battery_j=float(capacity))
    assert done == blocks
    if left > 0:
        assert lifetime is None
        assert energy == pytest.approx(capacity - left)
    else:
        assert lifetime == pytest.approx(second, abs=1e-8)
        assert energy == pytest.approx(capacity)


def test_a_profile_without_one_is_as_before():
    async def main(sim):
        ue = sim.node("ue0")
        await compute(ue, 1000)
        return ue.battery, ue.energy_j, sim.now_s

    assert run(main) == (None, 3000, 1000)
    with pytest.raises(ConfigurationError, match="battery_j = 0 must be positive"):
        dataclasses.replace(UNIT, battery_j=0)
