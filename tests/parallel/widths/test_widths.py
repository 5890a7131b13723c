# SPDX-License-Identifier: GPL-2.0-only
"""Participants, widths and shares: the exact solver against enumeration, shares against brute force, rules, errors."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError, OutOfDeviceMemory
from edgelam.parallel.widths import (
    METHODS,
    Kind,
    Problem,
    best_shares,
    check_widths,
    enumeration,
    equal_shares,
    exact,
    fluid,
    paba,
    plan_of,
    step_s,
)
from edgelam.parallel.widths.proportional import proportional


@st.composite
def problems(draw, devices=(1, 3), units=(1, 4), kinds=(1, 2), memory=True):
    """Small problems of all sorts; the draws are of seeds, so that numbers are of usual sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(*devices))

    def kind(name):
        # some devices compute in no time, some kinds have nothing but fixed bytes or nothing but bytes a unit
        return Kind(
            name,
            units=draw(st.integers(*units)),
            seconds_per_unit=tuple((rng.uniform(0, 0.02, count) * rng.integers(0, 2, count)).tolist()),
            up_fixed_bytes=float(rng.uniform(1e4, 3e5) * rng.integers(0, 2)),
            up_bytes_per_unit=float(rng.uniform(1e3, 2e4)),
            down_fixed_bytes=float(rng.uniform(0, 3e5)),
            down_bytes_per_unit=float(rng.uniform(0, 2e4) * rng.integers(0, 2)),
            memory_bytes_per_unit=int(rng.integers(0, 100)),
            server_s=float(rng.uniform(0, 0.002)),
            merges=int(rng.integers(1, 30)),
        )

    made = tuple(kind(name) for name in ("heads", "columns")[: draw(st.integers(*kinds))])
    whole = sum(each.units * each.memory_bytes_per_unit for each in made)
    free = (rng.uniform(0.2, 1.3, count) * whole).astype(int) + 10 if memory else np.full(count, whole + 10)
    return Problem(
        devices=tuple(f"ue{k}" for k in range(count)),
        kinds=made,
        rate_up_bps=tuple(rng.uniform(5e6, 1e8, count).tolist()),
        rate_down_bps=tuple(rng.uniform(5e7, 1e9, count).tolist()),
        memory_bytes=tuple(free.tolist()),
        latency_s=tuple(rng.uniform(0, 0.01, count).tolist()),
        memory_base_bytes=10,
        band=float(rng.uniform(0.3, 1.0)),
        multicast=draw(st.booleans()),
    )


def two_devices(**changes):
    """10 units, 1 s and 3 s a unit without bytes a unit; hand computed below."""
    kind = Kind("units", 10, (0.01, 0.03), up_fixed_bytes=125_000, merges=1)
    return dataclasses.replace(
        Problem(("fast", "slow"), (kind,), (1e8, 1e8), (1e9, 1e9), memory_bytes=(10**6, 10**6)), **changes
    )


@settings(max_examples=25, deadline=None)
@given(problems())
def test_the_exact_solver_equals_enumeration(problem):
    try:
        best = enumeration.solve(problem)
    except OutOfDeviceMemory:
        with pytest.raises(OutOfDeviceMemory):
            exact.solve(problem)
        return
    found = exact.solve(problem)
    check_widths(problem, found.widths)
    assert found.predicted_s == pytest.approx(step_s(problem, found.widths, found.shares), rel=1e-12)
    assert sum(found.shares) <= problem.band * (1 + 1e-9)
    assert best.predicted_s * (1 - 1e-9) <= found.predicted_s <= best.predicted_s * (1 + exact.TOLERANCE)


def test_a_tighter_tolerance_is_kept():
    rng = np.random.default_rng(3)
    kind = Kind("units", 6, tuple(rng.uniform(0.001, 0.01, 4)), 2e5, 1e4, memory_bytes_per_unit=1)
    problem = Problem(tuple("abcd"), (kind,), tuple(rng.uniform(1e7, 1e8, 4)), (1e9,) * 4, (4,) * 4)
    best = enumeration.solve(problem).predicted_s
    assert exact.solve(problem, tolerance=1e-6).predicted_s == pytest.approx(best, rel=1e-6)


def test_participants_are_chosen():
    """Computed by hand: 10 ms on the air with the whole band; alone the fast one needs 0.1 + 0.01 s.

    Both: the fast one with n units and the share b, max(0.01 n + 0.01 / b, 0.03 (10 - n) + 0.01 / (1 - b)).
    """
    problem = two_devices()
    alone = plan_of(problem, ((10, 0),), (1.0, 0.0))
    assert alone.predicted_s == pytest.approx(0.11)
    assert alone.participants == (0,)
    n, b = np.meshgrid(np.arange(1, 10), np.linspace(0.001, 0.999, 9981))
    both = np.maximum(0.01 * n + 0.01 / b, 0.03 * (10 - n) + 0.01 / (1 - b))
    assert exact.solve(problem).predicted_s == pytest.approx(both.min(), rel=1e-4)
    assert both.min() < 0.11
    # ten times the bytes: the fixed charge of a second participant costs more than it computes
    costly = dataclasses.replace(problem.kinds[0], up_fixed_bytes=1_250_000)
    assert exact.solve(two_devices(kinds=(costly,))).widths == ((10, 0),)


def test_memory_binds_and_its_lack_is_told_with_both_numbers():
    kind = dataclasses.replace(two_devices().kinds[0], up_fixed_bytes=1_250_000, memory_bytes_per_unit=100)
    assert exact.solve(two_devices(kinds=(kind,), memory_bytes=(750, 400), memory_base_bytes=50)).widths == ((7, 3),)
    short = two_devices(kinds=(kind,), memory_bytes=(750, 320), memory_base_bytes=50)
    for name, rule in METHODS.items():
        with pytest.raises(OutOfDeviceMemory) as caught:
            rule(short)
        text = str(caught.value)
        assert "750" in text, name
        assert any(number in text for number in ("100 bytes", "1,000 bytes", "1,050 bytes")), name
    nobody = two_devices(kinds=(kind,), memory_bytes=(40, 30), memory_base_bytes=50)
    for rule in METHODS.values():
        with pytest.raises(OutOfDeviceMemory):
            rule(nobody)
    # heads fit, columns fit, both do not
    kinds = (kind, dataclasses.replace(kind, name="columns"))
    for rule in (exact.solve, enumeration.solve):
        with pytest.raises(OutOfDeviceMemory, match=r"2,000 bytes are needed.*1,040, 940 bytes free"):
            rule(two_devices(kinds=kinds, memory_bytes=(1040, 940), memory_base_bytes=0))


@settings(max_examples=25, deadline=None)
@given(problems(devices=(2, 3), memory=False), st.integers(0, 2**32))
def test_no_shares_are_better_than_the_best(problem, seed):
    rng = np.random.default_rng(seed)
    count = len(problem.devices)
    widths = tuple(tuple(rng.multinomial(kind.units, [1 / count] * count).tolist()) for kind in problem.kinds)
    best = best_shares(problem, widths)
    assert sum(best.shares) == pytest.approx(problem.band)
    part = np.array(widths).any(axis=0)
    tried = [equal_shares(problem, widths).predicted_s]
    for _ in range(200):
        shares = rng.dirichlet(np.ones(count)) * part
        tried.append(step_s(problem, widths, shares / shares.sum() * problem.band))
    assert best.predicted_s <= min(tried) * (1 + 1e-6)
    # nor any near it
    for a, b in itertools.permutations(np.flatnonzero(part), 2):
        moved = np.array(best.shares)
        moved[a], moved[b] = moved[a] * 1.01, moved[b] - moved[a] * 0.01
        if moved[b] > 0:
            assert best.predicted_s <= step_s(problem, widths, moved) * (1 + 1e-6)


@settings(max_examples=25, deadline=None)
@given(problems(devices=(1, 5), units=(1, 12)))
def test_no_rule_is_better_than_the_optimum_and_all_keep_to_memory(problem):
    try:
        optimum = exact.solve(problem).predicted_s
    except OutOfDeviceMemory:
        optimum = math.inf
    for name, rule in METHODS.items():
        try:
            plan = rule(problem)
        except OutOfDeviceMemory:
            continue
        check_widths(problem, plan.widths)
        assert sum(plan.shares) <= problem.band * (1 + 1e-9), name
        assert plan.predicted_s >= optimum * (1 - exact.TOLERANCE), name


def test_rules_do_what_their_names_say():
    kinds = (Kind("heads", 6, (0.01, 0.02, 0.04), 1e5), Kind("columns", 21, (0.01, 0.02, 0.04), 1e5))
    problem = Problem(("a", "b", "c"), kinds, (1e7, 2e7, 3e7), (1e9,) * 3, (10**6,) * 3)
    assert METHODS["equal"](problem).widths == ((2, 2, 2), (7, 7, 7))
    assert METHODS["equal"](problem).shares == pytest.approx((1 / 3,) * 3)
    assert METHODS["by-compute"](problem).widths == ((3, 2, 1), (12, 6, 3))
    assert METHODS["by-bandwidth"](problem).widths == ((1, 2, 3), (4, 7, 10))
    assert min(min(row) for row in METHODS["all-devices"](problem).widths) >= 1
    # the smallest memory holds no third: the two others share
    kinds = tuple(dataclasses.replace(kind, memory_bytes_per_unit=10) for kind in kinds)
    small = dataclasses.replace(problem, kinds=kinds, memory_bytes=(500, 60, 500))
    assert METHODS["smallest-memory"](small).widths == ((3, 0, 3), (11, 0, 10))
    assert METHODS["smallest-memory"](small).shares == pytest.approx((0.5, 0, 0.5))
    # 60 of 270 bytes: 1 of 6 heads and 4 of 21 columns
    assert METHODS["equal"](small).widths == ((3, 1, 2), (9, 4, 8))


def test_more_devices_than_heads():
    kinds = (Kind("heads", 2, (0.01,) * 4, 1e5), Kind("columns", 8, (0.01,) * 4, 1e5))
    problem = Problem(tuple("abcd"), kinds, (1e7, 4e7, 3e7, 2e7), (1e9,) * 4, (10**6,) * 4)
    assert METHODS["all-devices"](problem).participants == (1, 2)
    with pytest.raises(ConfigurationError, match="4 devices with at least 1 heads each need more than the 2"):
        exact.solve(problem, least=1)
    assert METHODS["optimised"](problem).predicted_s <= METHODS["equal"](problem).predicted_s


def test_paba_finds_the_continuous_optimum():
    """Two devices, no latency: against a fine grid of the first device's part and share."""
    kind = Kind("units", 1000, (4e-5, 1e-4), up_fixed_bytes=2e4, up_bytes_per_unit=200)
    problem = Problem(("a", "b"), (kind,), (2e7, 5e7), (1e9, 1e9), (10**6,) * 2)
    x, b = np.meshgrid(np.linspace(0, 1, 1001), np.linspace(0.001, 0.999, 999))
    step = np.maximum(
        0.04 * x + (2e4 + 2e5 * x) * 8 / 2e7 / b, 0.1 * (1 - x) + (2e4 + 2e5 * (1 - x)) * 8 / 5e7 / (1 - b)
    )
    best = x.ravel()[step.argmin()]
    assert paba.parts(problem)[0] == pytest.approx(best, abs=0.005)
    assert METHODS["paba"](problem).predicted_s == pytest.approx(step.min(), rel=0.002)


def test_paba_gives_what_rounding_leaves_to_the_others():
    """The continuous optimum is 2.5 and 1.5 of 4 units, which just fit; whole units do not."""
    kind = Kind("units", 4, (1e-3, 1e-3, 1.0), up_fixed_bytes=1e4, memory_bytes_per_unit=10)
    problem = Problem(("a", "b", "c"), (kind,), (1e8, 1e8, 1e6), (1e9,) * 3, (25, 15, 15))
    assert paba.parts(problem)[2] == pytest.approx(0.0, abs=1e-6)
    assert METHODS["paba"](problem).widths == ((2, 1, 1),)


def test_multicast_goes_down_once_at_the_slowest_participant():
    kind = Kind("units", 2, (0.0, 0.0), up_fixed_bytes=125_000, down_fixed_bytes=1_250_000, merges=2, server_s=0.5)
    problem = Problem(("a", "b"), (kind,), (1e8, 1e8), (1e9, 1e8), (1, 1), multicast=True)
    # 0.5 s of the server, 0.1 s down at 1e8, 0.02 s up at half of the band
    assert step_s(problem, ((1, 1),), (0.5, 0.5)) == pytest.approx(2 * (0.5 + 0.1 + 0.02))
    assert step_s(problem, ((2, 0),), (1.0, 0.0)) == pytest.approx(2 * (0.5 + 0.01 + 0.01))
    unicast = dataclasses.replace(problem, multicast=False)
    assert step_s(unicast, ((1, 1),), (0.5, 0.5)) == pytest.approx(2 * (0.5 + 0.02 + 0.2))
    assert exact.solve(problem).widths == ((2, 0),)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 80)), min_size=1, max_size=7),
)
def test_proportional_widths(units, devices):
    weights, room = [w for w, _ in devices], [n for _, n in devices]
    if not sum(weights) > 0:
        return
    kind = Kind("units", units, (0.0,) * len(room), 1.0, memory_bytes_per_unit=1)
    problem = Problem(
        tuple(map(str, range(len(room)))), (kind,), (1.0,) * len(room), (1.0,) * len(room), tuple(room)
    )  # fmt: skip
    fits = sum(min(n, units) for w, n in devices if w > 0) >= units
    if not fits:
        with pytest.raises(OutOfDeviceMemory):
            proportional(problem, weights)
        return
    (row,) = proportional(problem, weights)
    assert sum(row) == units
    assert all(0 <= n <= most and (w > 0 or n == 0) for n, (w, most) in zip(row, devices, strict=True))
    if all(most >= units for _, most in devices):  # no memory binds: within one of the exact ratio
        assert all(abs(n - units * w / sum(weights)) < 1 for n, w in zip(row, weights, strict=True))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rate_up_bps": (0.0, 1.0)}, "rate_up_bps is 0.0; it must be positive"),
        ({"rate_up_bps": (1.0,)}, "rate_up_bps has 1 values; 2 are needed"),
        ({"rate_down_bps": (math.nan, 1.0)}, "rate_down_bps is nan"),
        ({"latency_s": (-1.0, 0.0)}, "latency_s is -1.0"),
        ({"band": 1.5}, "band is 1.5"),
        ({"devices": ("a", "a")}, "each once"),
        ({"kinds": ()}, "0 kinds"),
    ],
)
def test_bad_problems_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        two_devices(**changes)


def test_bad_widths_are_refused():
    with pytest.raises(ConfigurationError, match="sum 10"):
        plan_of(two_devices(), ((4, 5),), (0.5, 0.5))
    kind = dataclasses.replace(two_devices().kinds[0], memory_bytes_per_unit=100)
    with pytest.raises(OutOfDeviceMemory, match=r"fast: 9 units need 900 bytes, and 899 bytes are free"):
        plan_of(two_devices(kinds=(kind,), memory_bytes=(899, 899)), ((9, 1),), (0.5, 0.5))
    with pytest.raises(ConfigurationError, match="enumeration takes at most"):
        enumeration.solve(dataclasses.replace(two_devices(), kinds=(Kind("units", 200_000, (0.0, 0.0), 1.0),)))


def test_a_participant_without_a_share_never_ends():
    assert step_s(two_devices(), ((5, 5),), (1.0, 0.0)) == math.inf


def test_unused_band_goes_to_the_others():
    """By hand: both need 1 s of the whole band upwards; b computes 1 s before, while a has the band for itself."""
    kind = Kind("units", 2, (0.0, 1.0), up_fixed_bytes=125_000)
    problem = Problem(("a", "b"), (kind,), (1e6, 1e6), (1e9, 1e9), (1, 1))
    assert step_s(problem, ((1, 1),), (0.5, 0.5)) == pytest.approx(3.0)
    assert fluid.step_s(problem, ((1, 1),), (0.5, 0.5)) == pytest.approx(2.0)
    # a quarter and three: a would need 4 s; with the band for itself it is done when b begins
    assert fluid.step_s(problem, ((1, 1),), (0.25, 0.75)) == pytest.approx(2.0)
    # both at once: the shares decide until one is done
    quick = dataclasses.replace(problem, kinds=(dataclasses.replace(kind, seconds_per_unit=(0.0, 0.0)),))
    assert fluid.step_s(quick, ((1, 1),), (0.25, 0.75)) == pytest.approx(2.0)
    assert step_s(quick, ((1, 1),), (0.25, 0.75)) == pytest.approx(4.0)


@settings(max_examples=25, deadline=None)
@given(problems(devices=(1, 4), memory=False))
def test_a_fluid_is_never_slower_than_hard_shares(problem):
    plan = exact.solve(problem)
    assert fluid.step_s(problem, plan.widths, plan.shares) <= plan.predicted_s * (1 + 1e-9)
