# SPDX-License-Identifier: GPL-2.0-only
"""Downloads over the star: usable early, planned again, resumed; faults end as a status and never as half a model."""

import asyncio

import pytest
import small_lattice
import small_nested
import torch

from edgelam import cosim
from edgelam.caching import BlockStore, FixedCache, Library
from edgelam.caching.delivery import EdgeCaches
from edgelam.downloading import Device, Download, Limits, Point, Received, Way, library_of, nearest_site
from edgelam.errors import ConfigurationError

LATTICE, CONTENTS = small_lattice.model()
WHOLE = LATTICE.size_bytes(LATTICE.whole) + LATTICE.manifest_block.size_bytes
SECONDS = 8 * WHOLE / 2e6
WAY = Way(deadline_s=10.0, predicted_bps=1e6, ahead_bytes=6000)


def download(way=WAY, *, user="ue0", at="edge0", limits=None, **more):
    async def main(sim, edge, devices):
        found = Download(sim, edge, devices[user], "edge0", LATTICE, small_lattice.quality(), way, limits)
        progress = await found.run()
        await edge.close()
        return progress, found, dict(edge.carried), devices[user]

    return small_lattice.simulate(main, at=at, **more)


def test_small_sizes_are_usable_early_and_every_block_crosses_once():
    progress, found, carried, device = download()
    assert (progress.status, progress.usable) == ("complete", LATTICE.whole)
    assert carried == {("edge0", "ue0"): sum(device.held.values())}
    assert progress.bytes == sum(device.held.values()) == device.node.storage.used_bytes
    assert len(progress.steps) >= 4
    qualities = [small_lattice.quality()[step.point] for step in progress.steps]
    assert qualities == sorted(qualities)
    assert progress.steps[0].at_s < 0.4 * progress.end_s
    assert 8 * WHOLE / 2e6 < progress.end_s < 1.4 * SECONDS
    assert found.rate_bps == pytest.approx(2e6, rel=0.3)
    at_once = download(Way(10.0, 1e6, only=LATTICE.whole, progressive=False, ahead_bytes=6000))[0]
    assert at_once.usable == LATTICE.whole
    assert at_once.end_s == pytest.approx(progress.end_s, rel=0.15)
    better = [step for step in at_once.steps if step.at_s < 0.5 * at_once.end_s]
    assert not better  # nothing is usable before nearly everything is there


def test_the_target_follows_the_rate_and_one_plan_does_not():
    slow = {"rate": "400kbps"}
    way = Way(deadline_s=0.5 * 8 * WHOLE / 4e5, predicted_bps=2e6, ahead_bytes=3000)
    again = download(way, options=slow)[0]
    blind = Way(way.deadline_s, 2e6, replan=False, learn=False, progressive=False, ahead_bytes=3000)
    once = download(blind, options=slow)[0]
    assert again.status == "complete"
    assert [plan.target for _, plan in once.plans] == [LATTICE.whole]
    assert again.plans[-1][1].target != LATTICE.whole
    assert once.status == "late"
    assert once.usable is None
    assert again.end_s <= way.deadline_s
    assert again.usable is not None


def test_blocks_come_through_the_tiers_and_stay_at_the_edge():
    async def main(sim, edge, devices):
        quality, found = small_lattice.quality(), []
        for user in ("ue0", "ue1"):
            found.append(await Download(sim, edge, devices[user], "edge0", LATTICE, quality, WAY).run())
        await edge.close()
        return found, dict(edge.carried)

    (first, second), carried = small_lattice.simulate(main, at="edge2", options={"edgeRate": "1Mbps"})
    assert first.status == second.status == "complete"
    assert carried["edge2", "edge1"] == carried["edge1", "edge0"] == first.bytes
    assert carried["edge0", "ue0"] == carried["edge0", "ue1"] == first.bytes
    assert second.end_s - second.begin_s < 0.9 * (first.end_s - first.begin_s)


def test_a_device_that_leaves_goes_on_where_it_was_with_the_real_blocks(tmp_path):
    library = small_lattice.library_store(tmp_path / "library")
    mine = BlockStore(tmp_path / "mine")

    async def leave(sim, edge, devices):
        task = asyncio.create_task(
            Download(sim, edge, devices["ue0"], "edge0", LATTICE, small_lattice.quality(), WAY).run()
        )
        await asyncio.sleep(0.5 * SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return dict(devices["ue0"].held), dict(edge.carried)

    held, before = small_lattice.simulate(leave, store=library, stores={"ue0": mine})
    assert 0 < before["edge0", "ue0"] < 0.7 * WHOLE
    assert all(mine.has(block) for block in held)
    progress, _, after, device = download(store=library, stores={"ue0": BlockStore(tmp_path / "mine")})
    assert progress.status == "complete"
    assert before["edge0", "ue0"] + after["edge0", "ue0"] == sum(device.held.values())  # nothing came twice
    inputs, mask = small_nested.ids()
    answers = Received(LATTICE, LATTICE.whole, mine.content).run(inputs, mask)
    assert torch.equal(answers, Received(LATTICE, LATTICE.whole, CONTENTS.__getitem__).run(inputs, mask))


def test_a_user_who_moves_asks_the_site_that_is_nearest_then():
    options = {"numUe": 1, "numGnb": 2, "speed": 40, "spacing": 200, "bandwidth": 10, "numSiteEdge": 1, "numUpfEdge": 1}
    library = library_of([LATTICE])

    async def main(sim):
        device = Device(sim.node("ue0"))
        edges = [node.name for node in sim.nodes_with_role("edge")]
        full = FixedCache(library.blocks)
        edge = EdgeCaches(sim, library, dict.fromkeys(edges, full) | {"ue0": device},
                          dict.fromkeys(edges[:-1], edges[-1]) | {edges[-1]: "cloud0"})  # fmt: skip
        where = [await nearest_site(sim, "ue0")]

        async def slowly():
            await asyncio.sleep(0.4)  # between two requests, so that the way takes the user to the other cell
            site = await nearest_site(sim, "ue0")
            where.append(site)
            return site

        way = Way(60.0, 1e6, ahead_bytes=2000)
        progress = await Download(sim, edge, device, slowly, LATTICE, small_lattice.quality(), way).run()
        await edge.close()
        return progress, where, dict(edge.carried)

    progress, where, carried = cosim.simulate(main, scenario="nr-highway", options=options, seed=1)
    assert progress.status == "complete"
    assert len(set(where)) == 2
    assert {source for source, _ in carried} == set(where)
    assert sum(carried.values()) == progress.bytes


class Liar(BlockStore):
    """Says something else than it should for one block, a number of times."""

    def __init__(self, folder, block, times):
        super().__init__(folder)
        self.block, self.times, self.asked = block, times, 0

    def content(self, digest):
        good = super().content(digest)
        if digest == self.block:
            self.asked += 1
            if self.asked <= self.times:
                return good[:-1] + bytes([good[-1] ^ 1])
        return good


def test_a_block_whose_hash_differs_is_asked_for_again_and_then_given_up(tmp_path):
    small_lattice.library_store(tmp_path / "library")
    block = list(LATTICE.blocks(Point(2, 0, 2)))[3]
    for times, status in ((2, "complete"), (99, "failed")):
        store = Liar(tmp_path / "library", block, times)
        mine = BlockStore(tmp_path / f"mine {times}")
        progress = download(store=store, stores={"ue0": mine})[0]
        assert progress.status == status
        assert store.asked == 3
        assert mine.has(block) == (status == "complete")
        if status == "failed":
            assert "the SHA-256" in progress.reason
            assert progress.usable is None  # nothing without this block


def test_an_empty_battery_and_a_full_storage_end_a_download_with_what_came():
    poor = download(devices={"ue0": "phone,battery_j=0.05,idle_w=0.5"})[0]
    assert poor.status == "failed"
    assert "battery" in poor.reason
    assert 0 < poor.bytes < WHOLE
    small = LATTICE.size_bytes(Point(2, 0, 4)) + LATTICE.manifest_block.size_bytes
    full = download(devices={"ue0": f"phone,storage_bytes={small}"})[0]
    assert full.status == "complete"
    assert full.usable is not None
    assert full.bytes <= small


def test_a_library_that_is_silent_ends_at_the_deadline_and_says_so():
    progress = download(Way(0.5, 1e6), options={"loss": 0.99})[0]
    assert (progress.status, progress.bytes, progress.usable) == ("late", 0, None)
    assert progress.reason == "no block came within 0.5 s: is the library reachable?"
    assert progress.end_s == pytest.approx(0.5)


def test_what_cannot_be_downloaded_is_refused():
    async def main(sim, edge, devices):
        quality = small_lattice.quality()
        with pytest.raises(ConfigurationError, match="is not the device that downloads"):
            Download(sim, edge, Device(sim.node("ue0")), "edge0", LATTICE, quality, WAY)
        block = LATTICE.manifest_block
        poor = EdgeCaches(
            sim, Library.of_lists([("small", [(block.digest, block.size_bytes)])]), {"ue0": devices["ue0"]},
            {"edge0": "edge1"},
        )  # fmt: skip
        with pytest.raises(ConfigurationError, match=r"the library lacks \d+ of \d+ blocks of model 'small'"):
            Download(sim, poor, devices["ue0"], "edge0", LATTICE, quality, WAY)
        with pytest.raises(ConfigurationError, match="a storage of 1,000 bytes has no room for model 'small'"):
            Download(sim, edge, devices["ue0"], "edge0", LATTICE, quality, WAY, Limits(storage_bytes=1000))
        with pytest.raises(ConfigurationError, match="'ue1' is no cache node"):
            await Download(sim, edge, devices["ue0"], "ue1", LATTICE, quality, WAY).run()

    small_lattice.simulate(main)
    for settings, text in (
        ({"deadline_s": 0.0}, "deadline_s is 0.0"),
        ({"predicted_bps": float("inf")}, "predicted_bps is inf"),
        ({"margin": 1.5}, "margin is 1.5"),
        ({"ahead_bytes": 0}, "ahead_bytes is 0"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            Way(**({"deadline_s": 1.0, "predicted_bps": 1e6} | settings))
