# SPDX-License-Identifier: GPL-2.0-only
"""Delivery through edge caches: what crosses which link, deadlines, failures, and real blocks."""

import asyncio
import collections
import math

import numpy as np
import pytest
import torch

from edgelam import cosim
from edgelam.caching import BlockCache, BlockStore, FixedCache, Library
from edgelam.caching.delivery import EdgeCaches
from edgelam.caching.policies import Lru
from edgelam.errors import ConfigurationError

LIBRARY = Library.of_lists(
    [("a", [("bottom", 60_000), ("a", 20_000)]), ("b", [("bottom", 60_000), ("b", 10_000)]), ("c", [("c", 40_000)])]
)
PARENTS = {"edge0": "edge1", "edge1": "edge2"}
STAR = {"numUe": 2, "numEdge": 3, "rate": "100Mbps"}


def simulate(main, caches, *, library=LIBRARY, parents=PARENTS, seen=None, **more):
    """Run main(sim, edge) over the star; return its result and the bytes of blocks on each link."""
    crossed = collections.Counter()

    def note(record):
        if record.tag.startswith("block"):
            crossed[record.source, record.receiver] += record.delivered_bytes

    async def run(sim):
        edge = EdgeCaches(sim, library, caches(), parents, **more)
        found = await main(sim, edge)
        await edge.close()
        return found

    found = cosim.simulate(run, scenario="wired-star", options=STAR, seed=1, on_transfer=note)
    return found, dict(crossed)


def lru(*names, size=10**6):
    return lambda: {name: BlockCache(size, Lru()) for name in names}


def test_only_missing_blocks_cross_each_link_and_caches_fill_on_the_way():
    async def main(sim, edge):
        return [await edge.deliver("ue0", "a", "edge0", 5), await edge.deliver("ue1", "b", "edge0", 5),
                await edge.deliver("ue1", "b", "edge1", 5), await edge.deliver("ue0", "b", "edge0", 5)]  # fmt: skip

    (first, second, third, last), crossed = simulate(main, lru("edge0", "edge1", "ue0"))
    assert all(each.on_time and each.status == "complete" for each in (first, second, third, last))
    assert first.found == {"edge2": 80_000}
    assert second.found == {"edge0": 60_000, "edge2": 10_000}
    assert third.found == {"edge1": 70_000}
    assert last.found == {"user": 60_000, "edge0": 10_000}
    assert crossed == {
        ("edge2", "edge1"): 90_000, ("edge1", "edge0"): 90_000, ("edge0", "ue0"): 90_000, ("edge0", "ue1"): 70_000,
        ("edge1", "ue1"): 70_000,
    }  # fmt: skip
    for each in (first, second, third, last):
        assert 0 < each.fill_s <= each.e2e_s
        assert each.e2e_s > 8 * sum(size for node, size in each.found.items() if node != "user") / 100e6
    assert first.e2e_s > third.e2e_s


def test_requests_for_the_same_missing_blocks_share_one_transfer():
    async def main(sim, edge):
        return await asyncio.gather(*(edge.deliver(user, "a", "edge0", 5) for user in ("ue0", "ue1", "ue0")))

    found, crossed = simulate(main, lru("edge0", "edge1"))
    assert [each.status for each in found] == ["complete"] * 3
    assert crossed["edge2", "edge1"] == crossed["edge1", "edge0"] == 80_000
    assert crossed["edge0", "ue0"] == 160_000


def test_a_fixed_cache_serves_what_was_placed_there_and_passes_the_rest_on():
    async def main(sim, edge):
        return [await edge.deliver("ue0", model, "edge0", 5) for model in ("a", "a", "c")]

    found, crossed = simulate(main, lambda: {"edge0": FixedCache(["bottom"]), "edge1": FixedCache(["c"])})
    assert [each.found for each in found] == [{"edge0": 60_000, "edge2": 20_000}] * 2 + [{"edge1": 40_000}]
    assert crossed["edge2", "edge1"] == 40_000


def test_what_does_not_come_within_the_deadline_is_late_and_the_cache_fills_all_the_same():
    async def main(sim, edge):
        first = await edge.deliver("ue0", "a", "edge0", 0.03)
        at_s = sim.now_s
        await edge.close()
        return first, at_s, await edge.deliver("ue0", "a", "edge0", 5)

    (late, at_s, again), crossed = simulate(main, lru("edge0", "edge1"))
    assert (late.status, late.on_time) == ("late", False)
    assert math.isnan(late.e2e_s)
    assert at_s == pytest.approx(late.asked_s + 0.03)
    assert again.found == {"edge0": 80_000}
    assert crossed["edge1", "edge0"] == 80_000


def test_a_late_request_that_is_not_withdrawn_is_measured_to_its_end():
    async def main(sim, edge):
        return await edge.deliver("ue0", "a", "edge0", 0.03, withdraw=False)

    late, crossed = simulate(main, lru("edge0", "edge1"))
    assert (late.status, late.on_time) == ("late", False)
    assert 0.03 < late.fill_s < late.e2e_s < 1
    assert crossed["edge0", "ue0"] == 80_000


def test_a_deadline_in_the_middle_of_the_last_link_withdraws_the_rest():
    big = Library.of_lists([("m", [("x", 1_000_000), ("y", 1_000_000)])])

    async def main(sim, edge):
        found = await edge.deliver("ue0", "m", "edge0", 0.12)
        return found, sim.now_s

    (late, now_s), crossed = simulate(main, lru("edge0", "edge1"), library=big, parents={"edge0": "edge2"})
    assert late.status == "late"
    assert now_s == pytest.approx(0.12)
    assert crossed.get(("edge0", "ue0"), 0) < 2_000_000


def test_the_same_seed_gives_the_same_deliveries():
    async def main(sim, edge):
        return await asyncio.gather(
            *(edge.deliver(f"ue{i % 2}", "abc"[i % 3], f"edge{i % 2}", 0.02 * (1 + i)) for i in range(6))
        )

    first, again = (repr(simulate(main, lru("edge0", "edge1", size=90_000))) for _ in range(2))
    assert first == again


def test_real_blocks_arrive_bit_for_bit_and_make_a_whole_model(tmp_path):
    origin = BlockStore(tmp_path / "origin")
    shared = {f"layers.{i}.weight": torch.randn(40, 40, generator=torch.Generator().manual_seed(i)) for i in range(3)}
    heads = {name: torch.full((5, 40), float(i)) for i, name in enumerate(("a", "b"))}
    manifests = {name: origin.add(name, shared | {"head.weight": head}) for name, head in heads.items()}
    library = Library.of_manifests(list(manifests.values()))
    user = BlockStore(tmp_path / "user")

    class Held:
        """What the user has, by its store."""

        def look(self, blocks):
            return [block for block in blocks if not user.has(block)]

        def admit(self, block, size, keep=()):
            return user.has(block)

    async def main(sim, edge):
        return [await edge.deliver("ue0", name, "edge0", 5) for name in ("a", "b")]

    def caches():
        return {"ue0": Held(), "edge0": BlockCache(10**6, Lru())}

    found, crossed = simulate(main, caches, library=library, store=origin, user_stores={"ue0": user})
    own = manifests["b"].blocks[0].size_bytes
    assert own == manifests["b"].size_bytes - sum(block.size_bytes for block in manifests["b"].blocks[1:])
    assert found[1].found["edge2"] == own
    assert crossed["edge0", "ue0"] == manifests["a"].size_bytes + own
    for name in ("a", "b"):
        user.publish(manifests[name])
        loaded = user.load(name)
        assert all(torch.equal(loaded[key], value) for key, value in (shared | {"head.weight": heads[name]}).items())


def test_a_damaged_block_fails_its_requests_and_no_others(tmp_path):
    origin, user = BlockStore(tmp_path / "origin"), BlockStore(tmp_path / "user")
    shared = {"layers.0.weight": torch.ones(30, 30)}
    manifests = [origin.add(name, shared | {"head.weight": torch.full((9,), value)})
                 for name, value in (("a", 1.0), ("b", 2.0))]  # fmt: skip
    (own,) = set(manifests[0].blocks) - set(manifests[1].blocks)
    path = tmp_path / "origin" / "blocks" / own.digest
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    async def main(sim, edge):
        found = await asyncio.gather(*(edge.deliver("ue0", name, "edge0", 5, withdraw=False) for name in "aba"))
        await edge.close()
        return found

    for parents in (PARENTS, {"edge1": "edge2", "edge2": "edge0"}):  # fetched; read at the user's site itself
        found, _ = simulate(main, lru("edge1"), library=Library.of_manifests(manifests), parents=parents, store=origin,
                            user_stores={"ue0": user})  # fmt: skip
        assert [each.status for each in found] == ["failed", "complete", "failed"]
        assert "SHA-256" in found[0].reason
        assert own.digest[:12] in found[0].reason
        assert user.missing(manifests[1]) == []
        assert user.missing(manifests[0]) == [own]


def test_what_is_not_legal_is_refused(tmp_path):
    async def main(sim):
        caches = {"edge0": BlockCache(1, Lru())}
        for parents, text in (
            ({"edge0": "edge1", "edge1": "edge0"}, "parents go in a circle: edge0 -> edge1 -> edge0"),
            ({"edge0": "edge2", "edge1": "ue0"}, "parents lead to 2 origins"),
            ({}, "parents are empty"),
            ({"edge7": "edge2"}, "edge7"),
        ):
            with pytest.raises(ConfigurationError, match=text):
                EdgeCaches(sim, LIBRARY, caches, parents)
        real = Library.of_lists([("m", [(64 * "a", 3), (64 * "b", 4)])])
        with pytest.raises(ConfigurationError, match=r"the origin's store .* lacks 2 blocks"):
            EdgeCaches(sim, real, caches, PARENTS, store=BlockStore(tmp_path))
        edge = EdgeCaches(sim, LIBRARY, caches, PARENTS)
        for arguments, text in (
            (("ue0", "d", "edge0", 1), "no model is called 'd'"),
            (("ue0", "a", "ue1", 1), "'ue1' is no cache node"),
            (("ue9", "a", "edge0", 1), "ue9"),
            (("ue0", "a", "edge0", 0), "deadline_s is 0"),
            (("ue0", "a", "edge0", math.inf), "deadline_s is inf"),
        ):
            with pytest.raises(ConfigurationError, match=text):
                await edge.deliver(*arguments)
        assert edge.deliveries == []

    nodes = {"ue0": "ue", "ue1": "ue", "edge0": "edge", "edge1": "edge", "edge2": "edge"}
    cosim.simulate(main, nodes=nodes)


def test_a_user_whose_battery_is_empty_gets_no_model_and_the_others_go_on():
    async def main(sim):
        edge = EdgeCaches(sim, LIBRARY, lru("edge0")(), {"edge0": "edge2"})
        await asyncio.sleep(3)
        found = [await edge.deliver(user, "a", "edge0", 5) for user in ("ue0", "ue1")]
        await edge.close()
        return found

    nodes = {"ue0": "ue", "ue1": "ue", "edge0": "edge", "edge2": "edge"}
    dead, alive = cosim.simulate(main, nodes=nodes, devices={"ue0": "phone,battery_j=1"})
    assert (dead.status, alive.status) == ("failed", "complete")
    assert "battery" in dead.reason
    assert np.isnan(dead.e2e_s)
