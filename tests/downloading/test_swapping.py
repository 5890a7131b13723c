# SPDX-License-Identifier: GPL-2.0-only
"""Answers while a model comes: swaps lose no request, both buffers fit or the old one stays, parts compute early."""

import asyncio
import itertools

import pytest
import small_lattice
import small_nested
import torch

from edgelam.caching import BlockStore
from edgelam.downloading import Download, Point, Received, Serving, Way, while_receiving
from edgelam.downloading.work import work_of

LATTICE, CONTENTS = small_lattice.model()
SLOW = "phone,flops_per_s=3e6,memory_bandwidth_bytes_per_s=1e8"


def test_no_request_is_lost_while_larger_sizes_take_the_place_of_smaller_ones(tmp_path):
    store = small_lattice.library_store(tmp_path / "library")
    inputs, mask = small_nested.ids(1)

    async def main(sim, edge, devices):
        device = devices["ue0"]
        serving = Serving(device.node, LATTICE, device)
        download = Download(
            sim, edge, device, "edge0", LATTICE, small_lattice.quality(), Way(10.0, 1e6, ahead_bytes=6000)
        )
        swaps = []
        download.on_usable.append(lambda step: swaps.append(asyncio.create_task(serving.swap(step.point))))
        running = asyncio.create_task(download.run())
        asks = []
        for _ in range(40):
            asks.append(asyncio.create_task(serving.answer((inputs, mask))))
            await asyncio.sleep(0.02)
        progress = await running
        answers = [await ask for ask in asks]
        await asyncio.gather(*swaps)
        last = await serving.answer((inputs, mask))
        peak = device.node.memory.peak_bytes
        serving.close()
        return progress, answers, last, serving.swaps, peak, device.node.memory.used_bytes

    progress, answers, last, swaps, peak, left = small_lattice.simulate(
        main,
        store=store,
        stores={"ue0": BlockStore(tmp_path / "mine")},
        devices={"ue0": "phone,flops_per_s=1e8,memory_bandwidth_bytes_per_s=1e8"},
    )
    assert len(answers) == 40
    assert len(swaps) >= 3
    assert last.point == LATTICE.whole == progress.usable
    points = [answer.point for answer in sorted(answers, key=lambda answer: answer.end_s)]
    quality = small_lattice.quality()
    assert [quality[p] for p in points] == sorted(quality[p] for p in points)
    assert len(set(points)) >= 3
    for answer in (*answers, last):  # each by one size as a whole
        expected = Received(LATTICE, answer.point, CONTENTS.__getitem__).run(inputs, mask)
        assert torch.equal(answer.logits, expected)
        assert answer.end_s >= answer.begin_s >= answer.asked_s
    weights = [work_of(LATTICE, point).weight_bytes for _, point in swaps]
    assert peak <= max(a + b for a, b in itertools.pairwise(weights)) + max(weights)
    assert peak > max(weights)  # two were there at once
    assert left == 0


def test_a_request_ends_on_the_size_on_which_it_began():
    async def main(sim, edge, devices):
        node = sim.node("ue0")
        serving = Serving(node, LATTICE)
        waiting = asyncio.create_task(serving.answer())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await serving.swap(Point(2, 0, 2))
        swap = asyncio.create_task(serving.swap(LATTICE.whole))
        first = await waiting
        await swap
        second = await serving.answer()
        used = node.memory.used_bytes
        return first, second, used, serving.active

    first, second, used, active = small_lattice.simulate(main, devices={"ue0": SLOW})
    assert first.point == Point(2, 0, 2)
    assert first.begin_s >= 0.1
    assert second.point == active == LATTICE.whole
    assert used == work_of(LATTICE, LATTICE.whole).weight_bytes
    assert second.end_s - second.begin_s == pytest.approx(work_of(LATTICE, LATTICE.whole).flops / 3e6, rel=1e-6)


def test_without_memory_for_both_the_old_one_goes_on():
    small, whole = Point(2, 0, 2), LATTICE.whole
    room = work_of(LATTICE, small).weight_bytes + work_of(LATTICE, whole).weight_bytes - 1

    async def main(sim, edge, devices):
        serving = Serving(sim.node("ue0"), LATTICE)
        assert await serving.swap(small)
        assert not await serving.swap(whole)
        return (await serving.answer()).point, serving.kept_back, serving.swaps

    point, kept_back, swaps = small_lattice.simulate(main, devices={"ue0": f"phone,memory_bytes={room}"})
    assert point == small
    assert [p for _, p in swaps] == [small]
    assert "bytes only" in kept_back[0][2]


def test_of_several_sizes_that_wait_only_the_newest_is_decoded():
    async def main(sim, edge, devices):
        serving = Serving(sim.node("ue0"), LATTICE)
        found = await asyncio.gather(*(serving.swap(Point(2, 0, bits)) for bits in (2, 3, 4)))
        return found, [point.bits for _, point in serving.swaps]

    found, served = small_lattice.simulate(main, devices={"ue0": SLOW})
    assert served[-1] == 4
    assert len(served) < 3
    assert found[-1]


def test_a_damaged_block_leaves_the_old_size_serving(tmp_path):
    store = small_lattice.library_store(tmp_path)
    inputs, mask = small_nested.ids(1)
    new = [d for d in LATTICE.blocks(LATTICE.whole) if d not in LATTICE.blocks(Point(2, 0, 2))]
    path = tmp_path / "blocks" / new[-1]
    path.write_bytes(b"\0" * path.stat().st_size)

    async def main(sim, edge, devices):
        serving = Serving(sim.node("ue0"), LATTICE, devices["ue0"])
        await serving.swap(Point(2, 0, 2))
        with pytest.raises(Exception, match="damaged"):
            await serving.swap(LATTICE.whole)
        return (await serving.answer((inputs, mask))).point, sim.node("ue0").memory.used_bytes

    point, used = small_lattice.simulate(main, stores={"ue0": store})
    assert point == Point(2, 0, 2)
    assert used == work_of(LATTICE, point).weight_bytes


def test_parts_compute_while_the_rest_is_still_coming(tmp_path):
    store = small_lattice.library_store(tmp_path / "library")
    inputs, mask = small_nested.ids(1)
    point = LATTICE.whole

    def run(early):
        async def main(sim, edge, devices):
            device, said = devices["ue0"], []
            way = Way(10.0, 1e6, only=point, progressive=False, ahead_bytes=6000)
            download = Download(sim, edge, device, "edge0", LATTICE, small_lattice.quality(), way)
            if early:
                asking = asyncio.create_task(
                    while_receiving(
                        device, LATTICE, point, (inputs, mask), lambda part, at_s: said.append((part, at_s))
                    )
                )
                progress = await download.run()
                return await asking, progress, said
            progress = await download.run()
            return await while_receiving(device, LATTICE, point, (inputs, mask)), progress, said

        return small_lattice.simulate(main, store=store, devices={"ue0": SLOW},
                                      stores={"ue0": BlockStore(tmp_path / f"mine {early}")})  # fmt: skip

    answer, progress, said = run(early=True)
    late, _, _ = run(early=False)
    assert [part for part, _ in said] == ["stem", "layer 0", "layer 1", "layer 2", "layer 3", "exit 4"]
    assert said[1][1] < progress.end_s  # the first layer has computed before the last block was there
    assert answer.end_s < late.end_s - 0.3 * work_of(LATTICE, point).flops / 3e6
    assert torch.equal(answer.logits, late.logits)
    assert torch.equal(answer.logits, Received(LATTICE, point, CONTENTS.__getitem__).run(inputs, mask))
