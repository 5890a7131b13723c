# SPDX-License-Identifier: GPL-2.0-only
"""The choice of a size against exhaustive search, the way there, and what a device does not allow."""

import itertools
import math

import numpy as np
import pytest
import small_lattice

from edgelam.downloading import Limits, Point, Selector
from edgelam.downloading.work import work_of
from edgelam.errors import ConfigurationError

LATTICE = small_lattice.model()[0]


def drawn_quality(seed):
    """Qualities in no order."""
    rng = np.random.default_rng(seed)
    return {point: float(rng.uniform()) for point in LATTICE.points}


@pytest.mark.parametrize("seed", range(6))
def test_the_target_is_the_best_of_all_sizes_that_are_allowed_and_come_in_time(seed):
    rng, quality = np.random.default_rng(seed), drawn_quality(seed)
    blocks = list(LATTICE.blocks(LATTICE.whole))
    for _ in range(20):
        held = set(rng.choice(blocks, int(rng.integers(len(blocks))), replace=False))
        flops = max(work_of(LATTICE, p).flops for p in LATTICE.points)
        limits = Limits(
            storage_bytes=float(rng.uniform(0.4, 1.1)) * LATTICE.size_bytes(LATTICE.whole), seconds=1.0,
            flops_per_s=float(rng.uniform(0.5, 1.2)) * flops,
        )  # fmt: skip
        rate, left = float(rng.uniform(1e4, 4e6)), float(rng.uniform(0.01, 0.3))
        plan = Selector(LATTICE, quality, limits).plan(held, rate, left)
        there = sum(size for block, size in LATTICE.blocks(LATTICE.whole).items() if block in held)
        missing = {p: LATTICE.size_bytes(p, held) for p in LATTICE.points}
        allowed = [p for p in LATTICE.points if LATTICE.size_bytes(p) <= limits.storage_bytes
                   and work_of(LATTICE, p).flops <= limits.flops_per_s]  # fmt: skip
        fits = [p for p in allowed if there + missing[p] <= limits.storage_bytes]
        in_time = [p for p in fits if 8 * missing[p] <= rate * left]
        assert plan.in_time == bool(in_time)
        if in_time:
            assert quality[plan.target] == max(quality[p] for p in in_time)
        else:
            assert missing[plan.target] == min(missing[p] for p in fits or allowed)
        assert plan.path[-1] == plan.target
        assert all(a.within(b) for a, b in itertools.pairwise(plan.path))


@pytest.mark.parametrize("seed", range(4))
def test_sizes_on_the_way_give_the_largest_mean_quality_over_what_comes(seed):
    quality = drawn_quality(seed)
    selector = Selector(LATTICE, quality)
    whole = LATTICE.whole
    plan = selector.plan((), 1e9, 1e9, only=whole)

    def area(path):
        sizes = [LATTICE.size_bytes(point) for point in (*path, whole)]
        return sum(quality[p] * (b - a) for p, a, b in zip(path, sizes, sizes[1:], strict=False))

    below = [p for p in LATTICE.points if p != whole and quality[p] <= quality[whole]]

    def best(path):
        longer = [p for p in below if not path or (path[-1].within(p) and quality[path[-1]] <= quality[p]
                  and LATTICE.size_bytes(path[-1]) < LATTICE.size_bytes(p))]  # fmt: skip
        return max([area(path), *(best([*path, p]) for p in longer)])

    assert area(list(plan.path[:-1])) == pytest.approx(best([]))


def test_what_is_there_is_used_and_never_given_up_for_less():
    quality = small_lattice.quality()
    selector = Selector(LATTICE, quality)
    assert selector.usable(()) is None
    held = LATTICE.blocks(Point(2, 2, 8))
    assert selector.usable(held) == Point(2, 2, 8)
    assert selector.plan(held, 1.0, 1e-9).target == Point(2, 2, 8)  # nothing better comes in time
    plan = selector.plan(held, 1e9, 1.0)
    assert plan.target == LATTICE.whole
    assert all(quality[point] > quality[Point(2, 2, 8)] for point in plan.path)
    assert selector.missing_bytes(held)[LATTICE.points.index(Point(2, 0, 2))] == 0


def test_a_device_that_no_size_fits_and_sizes_that_there_are_not_are_refused():
    quality = small_lattice.quality()
    for limits in (Limits(storage_bytes=100), Limits(memory_bytes=100), Limits(seconds=1e-6, flops_per_s=1e6)):
        with pytest.raises(ConfigurationError, match=r"no size of model 'small' fits .*the smallest has"):
            Selector(LATTICE, quality, limits)
    with pytest.raises(ConfigurationError, match="seconds is 0; it must be above 0"):
        Limits(seconds=0)
    some = Selector(LATTICE, quality, Limits(storage_bytes=LATTICE.size_bytes(Point(2, 1, 4))))
    with pytest.raises(ConfigurationError, match="d4 w2 b8 of model 'small' is more than"):
        some.plan((), 1e9, 1.0, only=LATTICE.whole)
    with pytest.raises(ConfigurationError, match="no size of depth 4, width 7"):
        some.plan((), 1e9, 1.0, only=Point(4, 7, 2))
    with pytest.raises(ConfigurationError, match="the quality of d2 w0 b2 of model 'small' is nan"):
        Selector(LATTICE, quality | {Point(2, 0, 2): math.nan})
    del quality[Point(2, 0, 2)]
    with pytest.raises(ConfigurationError, match="the quality of d2 w0 b2"):
        Selector(LATTICE, quality)
