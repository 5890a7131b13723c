# SPDX-License-Identifier: GPL-2.0-only
"""Caches of blocks: policies by hand and against slow code, Che's approximation, the offline bound."""

import numpy as np
import pytest
from caching_problems import arbitrary, chains

from edgelam.caching import BlockCache, FixedCache, Library, bound, che
from edgelam.caching.families import frozen_bottoms
from edgelam.caching.policies import POLICIES, Belady, Gdsf, Lfu, Lru
from edgelam.caching.ratios import measured, zipf
from edgelam.errors import ConfigurationError


def run(cache, requests):
    """Request blocks given as text, each character one block of size 1; return the misses of each request."""
    return ["".join(cache.request(dict.fromkeys(blocks, 1))) for blocks in requests]


def test_policies_give_up_what_their_names_say():
    assert run(BlockCache(2, Lru()), ["a", "b", "a", "c", "a", "b"]) == ["a", "b", "", "c", "", "b"]
    assert run(BlockCache(2, Lfu()), ["a", "a", "b", "c", "b", "a"]) == ["a", "", "b", "c", "b", ""]
    assert run(BlockCache(2, Belady(list("abcab"))), ["a", "b", "c", "a", "b"]) == ["a", "b", "c", "", "b"]


@pytest.mark.parametrize("policy", ["lfu", "gdsf"])
@pytest.mark.parametrize("seed", range(3))
def test_lfu_and_gdsf_equal_slow_code_for_blocks_of_any_size(policy, seed):
    rng = np.random.default_rng(seed)
    library = arbitrary(rng, models=8)
    capacity = int(0.5 * library.block_bytes.sum())
    cache, held, counts, age = BlockCache(capacity, POLICIES[policy]()), {}, {}, 0.0  # held: block -> rank
    sizes = dict(zip(library.blocks, library.block_bytes.tolist(), strict=True))

    def rank(block, counts, age, now):
        return (counts[block], now) if policy == "lfu" else age + counts[block] / sizes[block]

    for now, model in enumerate(rng.integers(0, 8, 300), 1):
        blocks = library.of(int(model))
        counts |= {block: counts.get(block, 0) + 1 for block in blocks}

        expected = [block for block in blocks if block not in held]
        assert cache.request(blocks) == expected
        held |= {block: rank(block, counts, age, now) for block in blocks if block in held}
        for block in expected:
            order = sorted((held[other], other) for other in held if other not in blocks)
            room = capacity - sum(sizes[other] for other in held)
            gone = []
            while room < sizes[block] and order:
                gone.append(order.pop(0)[1])
                room += sizes[gone[-1]]
            if room < sizes[block]:
                continue
            for other in gone:
                age = max(age, held[other]) if policy == "gdsf" else 0.0
                del held[other]
                if policy == "gdsf":
                    del counts[other]
            held[block] = rank(block, counts, age, now)
        assert all(block in cache for block in held)
        assert cache.used_bytes == sum(sizes[block] for block in held)


def test_gdsf_prefers_small_blocks_and_grows_older():
    cache = BlockCache(10, Gdsf())
    cache.request({"large": 8})
    cache.request({"s": 2})
    assert cache.request({"t": 2}) == ["t"]  # 1/8 is given up before 1/2
    assert "large" not in cache
    assert "s" in cache
    cache = BlockCache(2, Gdsf())
    for _ in range(3):
        cache.request({"old": 1})
    for block in "abcdefgh":
        cache.request({block: 1})
    assert "old" not in cache  # it was popular once


def test_a_request_does_not_give_up_its_own_blocks_and_what_is_too_large_is_not_kept():
    cache = BlockCache(3, Lru())
    cache.request({"a": 1, "b": 1})
    assert cache.request({"b": 1, "c": 2}) == ["c"]
    assert ("a" in cache, "b" in cache, "c" in cache, cache.used_bytes) == (False, True, True, 3)
    assert cache.request({"b": 1, "d": 4}) == ["d"]
    assert ("b" in cache, "c" in cache, "d" in cache, cache.used_bytes) == (True, True, False, 3)
    assert not cache.admit("e", 3, keep=("b", "c"))
    assert cache.used_bytes == 3
    assert cache.admit("b", 1)
    assert not BlockCache(0, Lru()).admit("a", 1)
    with pytest.raises(ConfigurationError, match="a cache has -1 bytes"):
        BlockCache(-1, Lru())


def test_a_fixed_cache_never_changes():
    cache = FixedCache("ab")
    assert cache.look({"a": 1, "c": 1}) == ["c"]
    assert not cache.admit("c", 1)
    assert cache.look({"a": 1, "c": 1}) == ["c"]
    assert "a" in cache


@pytest.mark.parametrize("seed", range(4))
def test_lru_equals_slow_code(seed):
    rng = np.random.default_rng(seed)
    library = arbitrary(rng, models=8)
    capacity = int(0.5 * library.block_bytes.sum())
    cache, recent = BlockCache(capacity, Lru()), []  # recent: block, size, time
    for now, model in enumerate(rng.integers(0, 8, 300)):
        blocks = library.of(int(model))
        expected = [block for block in blocks if block not in {name for name, *_ in recent}]
        assert cache.request(blocks) == expected
        recent = [(b, s, now if b in blocks else t) for b, s, t in recent]
        for block in expected:
            while True:
                room = capacity - sum(s for _, s, _ in recent)
                old = [(t, b) for b, _, t in recent if b not in blocks]
                if room >= blocks[block] or not old:
                    break
                recent = [entry for entry in recent if entry[0] != min(old)[1]]
            if room >= blocks[block]:
                recent.append((block, blocks[block], now))
        assert cache.used_bytes == sum(s for _, s, _ in recent) <= capacity


@pytest.mark.parametrize("seed", range(3))
def test_beladys_rule_has_the_most_hits_of_blocks_of_one_size(seed):
    rng = np.random.default_rng(seed)
    requests = ["abcde"[i] for i in rng.integers(0, 5, 11)]
    ours = sum(not missing for missing in run(BlockCache(2, Belady(requests)), requests))
    states = {frozenset(): 0}  # what is held -> most hits so far
    for block in requests:
        after = {}
        for held, hits in states.items():
            now = hits + (block in held)
            kept = {held | {block}} if len(held | {block}) <= 2 else {frozenset((block, other)) for other in held}
            for choice in kept:
                after[choice] = max(after.get(choice, 0), now)
        states = after
    assert ours == max(states.values())


@pytest.mark.parametrize("kind", [chains, arbitrary])
def test_no_policy_exceeds_the_offline_bound(kind):
    rng = np.random.default_rng(5)
    library = kind(rng, models=12)
    requests = rng.choice(12, 600, p=zipf(12, 0.8)).tolist()
    blocks = [library.of(model) for model in requests]
    for share in (0.1, 0.3, 0.6):
        capacity = int(share * library.block_bytes.sum())
        most = bound.byte_hit_ratio(library, requests, capacity)
        found = {
            name: measured(library, requests, BlockCache(capacity, make())).bytes for name, make in POLICIES.items()
        }
        offline = measured(library, requests, BlockCache(capacity, Belady(blocks))).bytes
        assert max(*found.values(), offline) <= most
        assert offline > found["lru"]
    every = measured(library, requests, BlockCache(int(library.block_bytes.sum()), Lru())).bytes
    assert bound.byte_hit_ratio(library, requests, int(library.block_bytes.sum())) == pytest.approx(every, abs=1e-9)


@pytest.mark.parametrize(("share", "within"), [(0.15, 0.11), (0.3, 0.05), (0.6, 0.02)])
@pytest.mark.parametrize("kind", ["resnets", "resnets without sharing", "arbitrary"])
def test_ches_approximation_is_within_a_few_per_cent_of_simulated_lru(kind, share, within):
    """The cache has room for 3 models at least (arbitrary, 15 % of all blocks), 60 at most: the fewer, the worse."""
    rng = np.random.default_rng(11)
    library = (
        arbitrary(rng, models=100, blocks=12) if kind == "arbitrary"
        else frozen_bottoms(100, rng, bytes_per_parameter=1, share=kind == "resnets")
    )  # fmt: skip
    probabilities = zipf(100, 0.9)[rng.permutation(100)]
    capacity = int(share * library.block_bytes.sum())
    said = che.approximate(library, probabilities, capacity).ratios
    requests = rng.choice(100, 6000, p=probabilities)
    found = measured(library, requests.tolist(), BlockCache(capacity, Lru()), warm=1000)
    assert said.requests == pytest.approx(found.requests, rel=within)
    assert said.blocks == pytest.approx(found.blocks, rel=within / 2)
    assert said.bytes == pytest.approx(found.bytes, rel=within / 2)


def test_ches_approximation_of_a_model_without_own_blocks_is_that_of_drawing():
    """Model c has one block of a and one of b: it is there if, of the last T requests, c was one, or both a and b."""
    library = Library.of_lists([("a", [("x", 3)]), ("b", [("y", 4)]), ("c", [("x", 3), ("y", 4)]), ("d", [("z", 5)])])
    p = np.array([0.3, 0.2, 0.1, 0.4])
    found = che.approximate(library, p, 7)
    t = found.requests
    assert found.block_hits @ library.block_bytes == pytest.approx(7, rel=1e-6)
    assert found.block_hits == pytest.approx([1 - (1 - q) ** t for q in (0.4, 0.3, 0.4)])
    # both blocks there = 1 - none of {a, c} - none of {b, c} + none of {a, b, c}
    assert found.model_hits[2] == pytest.approx(1 - 0.6**t - 0.7**t + 0.4**t)
    everything = che.approximate(library, p, 100)
    assert everything.model_hits.tolist() == [1, 1, 1, 1]
    with pytest.raises(ConfigurationError, match="add up to 1"):
        che.approximate(library, p * 2, 7)


def test_zipf():
    assert zipf(3, 1) == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    assert zipf(4, 0) == pytest.approx([0.25] * 4)
    with pytest.raises(ConfigurationError, match="Zipf's law of 0"):
        zipf(0, 1)
