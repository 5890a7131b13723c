# SPDX-License-Identifier: GPL-2.0-only
"""Observables filled in shared memory: no copy, every block once, who holds what; and nodes without IPv4."""

import asyncio
import re
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from scenario_runs import compile_scenario

from edgelam import cosim
from edgelam.errors import ConfigurationError, ObservableRefused, TransferRefused

SOURCE = Path(__file__).parent / "blocks.cc"


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return compile_scenario(SOURCE, tmp_path_factory.mktemp("blocks"))


@pytest.fixture
def run(binary):
    return lambda main, options=None, **settings: cosim.simulate(main, scenario=binary, options=options, **settings)


def first_rows(readings):
    return [int(reading.value[0, 0].real) for reading in readings]


async def take(subscription, count):
    readings = []
    async with subscription:
        async for reading in subscription:
            readings.append(reading)
            if len(readings) == count:
                return readings
    raise AssertionError("the subscription has ended")


def arena_mappings():
    """(start, end) of the memory files that this process maps: control, rings, arenas."""
    lines = [line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:" in line]
    return [tuple(int(x, 16) for x in line.split()[0].split("-")) for line in lines]


def test_a_reading_is_where_the_scenario_wrote_it(run):
    async def main(sim):
        async with sim.observable("rows").subscribe() as readings:
            for _ in range(3):
                reading = await anext(readings)
        place = (await sim.observable("block_place").read()).value
        assert reading.value[3, 0] == 4 * place["blocks"] - 1
        address = reading.value.__array_interface__["data"][0]
        assert reading.value.base is not None
        return any(start + place["offset"] == address for start, end in arena_mappings() if start <= address < end)

    assert run(main)


def test_torch_takes_it_and_writing_is_private(run):
    torch = pytest.importorskip("torch")

    async def main(sim):
        rows = sim.observable("rows")
        async with rows.subscribe() as readings:
            reading = await anext(readings)
            assert reading.value.dtype == np.complex64
            assert reading.value.shape == (4, 1000)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tensor = torch.from_numpy(reading.value)
            assert tensor.data_ptr() == reading.value.__array_interface__["data"][0]
            tensor += 100  # this process's own pages from here on
            kept = await anext(readings)
            del tensor, reading  # its memory is used again, and shows nothing of what was written
            later = [(await anext(readings)).value for _ in range(6)]
        assert first_rows([kept]) == [4]
        return [int(value[0, 0].real) for value in later]

    assert run(main) == [8, 12, 16, 20, 24, 28]


@pytest.mark.parametrize("snapshots", [1, 4])
@pytest.mark.parametrize("start_ms", [0, 1, 2, 3, 4, 2.5])
def test_every_block_comes_once_whenever_the_subscription_begins(run, snapshots, start_ms):
    async def main(sim):
        if start_ms:
            await asyncio.sleep(start_ms * 1e-3)
        return await take(sim.observable("rows").subscribe(), 6)

    readings = run(main, {"snapshots": snapshots})
    times_ms = [round(reading.time_s * 1e3) for reading in readings]
    # block b is finished with its last row, at time (b + 1) * snapshots - 1 ms: the first at or after the start
    first = next(b for b in range(10) if (b + 1) * snapshots - 1 >= start_ms)
    assert first_rows(readings) == [(first + k) * snapshots for k in range(6)]
    assert times_ms == [(first + k + 1) * snapshots - 1 for k in range(6)]


def test_every_third_block(run):
    async def main(sim):
        return await take(sim.observable("rows").subscribe(0.012), 4)

    assert first_rows(run(main)) == [0, 12, 24, 36]


def test_two_subscriptions_get_the_same_memory(run):
    async def main(sim):
        rows = sim.observable("rows")
        async with rows.subscribe() as one, rows.subscribe() as two:
            first, second = await anext(one), await anext(two)
        return np.shares_memory(first.value, second.value)

    assert run(main)


def test_reading_gives_the_newest_finished_block(run):
    async def main(sim):
        rows = sim.observable("rows")
        with pytest.raises(
            ObservableRefused, match="observable 'rows': no block is finished: the first is not complete yet"
        ):
            await rows.read()
        await asyncio.sleep(8.5e-3)
        assert rows.period_s == 0.004
        return await rows.read()

    assert first_rows([run(main)]) == [4]


@pytest.mark.parametrize("period_s", [0.001, 0.006, 0.0041])
def test_other_periods_are_refused(run, period_s):
    async def main(sim):
        await take(sim.observable("rows").subscribe(period_s), 1)

    with pytest.raises(ObservableRefused, match="come every 4000000 ns: legal are whole multiples"):
        run(main)


def test_no_period_of_its_own(run):
    async def main(sim):
        sim.observable("block_place").subscribe()

    with pytest.raises(ConfigurationError, match="'block_place' has no period of its own; give period_s"):
        run(main)


async def keep_all(observable, kept):
    async with observable.subscribe() as readings:
        async for reading in readings:
            kept.append(reading.value)


def test_a_full_arena_is_refused_by_name_and_then_goes_on(run):
    async def main(sim):
        rows = sim.observable("rows")
        kept = []
        with pytest.raises(ObservableRefused) as caught:
            await keep_all(rows, kept)
        held = len(kept)
        values = {int(value[0, 0].real) for value in kept}
        kept.clear()
        caught.value.__traceback__ = None  # its frames have the last reading
        await asyncio.sleep(8e-3)
        return held, values, str(caught.value), (await rows.read()).value[0, 0]

    held, values, text, after = run(main, arena_bytes=1 << 20)
    assert held in (30, 31, 32)  # 32 kB each
    assert values == {4 * b for b in range(held)}
    assert re.search(r"arena of the scenario is full.*--edgelam-arena-bytes.*participant 0 holds", text)
    assert after.real > 4 * held


def test_nodes_without_ip_are_there_but_send_nothing(run):
    async def main(sim):
        assert {name: node.role for name, node in sim.nodes.items()} == {"gnb0": "gnb", "ue0": "ue"}
        texts = []
        for protocol in ("tcp", "udp", "ideal"):
            with pytest.raises(TransferRefused) as caught:
                await sim.node("ue0").send(sim.node("gnb0"), 1, protocol=protocol)
            texts.append(str(caught.value))
        return texts

    for text in run(main):
        assert "ue0 has no IPv4 in this scenario: nothing can be sent from it or to it" in text


def test_alone_it_says_that_there_is_no_traffic(binary):
    done = subprocess.run([binary], check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("no test traffic, as there is no pair of a ue and a server with IPv4: 1.000")
