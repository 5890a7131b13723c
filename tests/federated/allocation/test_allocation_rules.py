# SPDX-License-Identifier: GPL-2.0-only
"""Allocation without a network: bisection, admission, rules, queues, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.federated.allocation import (
    RULES,
    AllocationSettings,
    RoundProblem,
    ascending,
    bisection,
    enumeration,
    greedy,
    knapsack,
    prices,
    recorded,
)
from edgelam.federated.allocation.drift_plus_penalty import admission
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.lyapunov import VirtualQueues

UNITS = 17


def problem(count, seed=0, *, cells=1, units=UNITS, deadline_s=0.1, **changes):
    rng = np.random.default_rng(seed)
    fields = {
        "weights": rng.uniform(0.2, 2.0, count), "prices": rng.uniform(0.5, 2.0, count),
        "samples": rng.integers(1, 500, count), "measured": np.ones(count, dtype=bool),
        "fixed_s": rng.uniform(0.01, 0.03, count), "up_fixed_s": np.full(count, 0.005),
        "up_s": rng.uniform(0.005, 0.05, count), "down_s": rng.uniform(0.001, 0.01, count),
        "up_layers": np.ones(count), "up_snr": 10 ** rng.uniform(-1, 3, count),
        "down_bits": rng.uniform(1.0, 20.0, count), "compute_j": rng.uniform(0, 0.01, count),
        "up_w": rng.uniform(0.1, 1.0, count),
    } | changes  # fmt: skip
    return RoundProblem(
        0, tuple(f"ue{k}" for k in range(count)), np.arange(count) % cells, units, deadline_s, **fields
    )  # fmt: skip


def value(chosen, values):
    return values[chosen].sum()


@given(st.integers(1, 10), st.integers(0, 10**6), st.booleans())
@settings(max_examples=80, deadline=None)
def test_admission_equals_trying_all_sets(count, seed, same):
    """Ascending order where values are equal, the knapsack always; greedy is never better, and fits."""
    rng = np.random.default_rng(seed)
    needs = rng.integers(1, UNITS + 3, count)
    values = np.full(count, 0.7) if same else rng.uniform(-0.5, 1.0, count)
    best, _ = enumeration.admit(needs, values, UNITS)
    exact, _ = knapsack.admit(needs, values, UNITS)
    quick, _ = greedy.admit(needs, values, UNITS)
    assert value(exact, values) == pytest.approx(value(best, values))
    assert value(quick, values) <= value(best, values) + 1e-12
    admitted = [exact, quick]
    if same:
        in_order, _ = ascending.admit(needs, values, UNITS)
        assert value(in_order, values) == pytest.approx(value(best, values))
        admitted.append(in_order)
    for chosen in admitted:
        assert needs[chosen].sum() <= UNITS
        assert (values[chosen] > 0).all()


def test_greedy_and_ascending_admission_are_not_exact_where_values_differ():
    needs, values = np.array([1, 17]), np.array([1.0, 10.0])
    assert knapsack.admit(needs, values, UNITS)[0].tolist() == [1]
    assert greedy.admit(needs, values, UNITS)[0].tolist() == [0]
    assert ascending.admit(needs, values, UNITS)[0].tolist() == [0]
    with pytest.raises(ConfigurationError, match="up to 20"):
        enumeration.admit(np.ones(21, dtype=int), np.ones(21), UNITS)


def test_bisection_finds_the_band_of_a_concave_rate_and_its_bound():
    """r(b) = b log2(1 + snr / b), which no band brings above snr / ln 2."""
    snr = np.array([0.5, 3.0, 40.0])
    bits = 0.9 * snr / math.log(2)

    def seconds(share):
        return bits / (share * 1e3 * np.log2(1 + snr / (share * 1e3)))

    shares = bisection.least_shares(seconds, 1.0, 3)
    assert seconds(shares) == pytest.approx(np.ones(3), rel=1e-6)
    beyond = bisection.least_shares(lambda share: 1.2 * seconds(share), 1.0, 3)
    assert np.isinf(beyond).all()  # 1.08 of the bound


@pytest.mark.parametrize("seed", range(6))
def test_least_units_are_the_first_that_meet_the_deadline(seed):
    of = problem(8, seed)
    units, _ = bisection.least_units(of)
    for k in range(8):
        meets = [u for u in range(1, UNITS + 1) if of.seconds(np.full(8, u / UNITS))[k] <= of.deadline_s]
        assert units[k] == (meets[0] if meets else UNITS + 1)
    faster = [of.seconds(np.full(8, u / UNITS)) for u in range(1, UNITS + 1)]
    assert (np.diff(np.array(faster), axis=0) <= 1e-12).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cells", [1, 3])
def test_every_rule_keeps_to_the_band_of_each_cell(rule, cells):
    for seed in range(5):
        of = problem(7, seed, cells=cells)
        choice = RULES[rule](of, VirtualQueues((4.0, math.inf), 1.0), AllocationSettings(rule=rule, devices=3), 1)
        if choice.capped:
            for members in of.in_cells():
                assert choice.units[members].sum() <= of.units
        expected = {"random-k": 3, "channel-greedy": 3, "top-data": 3, "drift-plus-penalty": None}.get(rule, 7)
        if expected is not None:
            assert len(choice.admitted) == expected
        if rule == "top-data":
            assert set(choice.admitted) == set(np.argsort(-of.samples, kind="stable")[:3])


def test_drift_plus_penalty_is_the_best_set_at_the_prices_of_its_queues():
    queues = VirtualQueues((2.0, 0.05), 3.0)
    queues.update(np.array([5.0, 0.08]))
    for seed in range(10):
        of = problem(6, seed, cells=2)
        needs, _ = bisection.least_units(of)
        units, _ = admission(of, queues, needs)
        share = np.minimum(needs, of.units) / of.units
        cost = (of.uses(share) / np.array([2.0, 0.05])) @ queues.values
        worth = np.where(needs <= of.units, 3.0 * of.weights - cost, 0.0)
        for members in of.in_cells():
            best, _ = enumeration.admit(needs[members], worth[members], of.units)
            assert worth[members][units[members] > 0].sum() == pytest.approx(value(best, worth[members]))
    nothing = RULES["drift-plus-penalty"](
        dataclasses.replace(problem(4), measured=np.zeros(4, dtype=bool)), queues, AllocationSettings(), 1
    )
    assert nothing.units.tolist() == [4, 4, 4, 4], "all devices, as long as nothing is measured"


@pytest.mark.parametrize("v", [0.5, 1.0, 2.0, 4.0, 16.0])
def test_budgets_are_kept_over_500_rounds_and_a_larger_v_is_nearer_to_the_best(v):
    rounds = [problem(6, seed, weights=np.linspace(0.4, 1.6, 6), prices=np.ones(6)) for seed in range(12)]
    needs = recorded.needs_of(rounds)
    budgets = (2.0, math.inf)
    found = recorded.repeat(rounds, needs, budgets, v=v, rounds=500, seed=3)
    again = recorded.repeat(rounds, needs, budgets, v=v, rounds=500, seed=3)
    assert np.array_equal(found.worth, again.worth)
    assert found.uses[:, 0].mean() <= 1.02 * 2.0
    assert found.uses[:, 0].mean() / 2.0 <= 1 + (found.queues[-1, 0] - found.given[0]) / 500 + 1e-12
    assert found.given[1] == 0.0, "a budget without a limit has no price"
    parts = [found.queues[t - 1, 0] / t for t in (125, 250, 375, 500)]
    assert parts[-1] < parts[0], "falls with T"
    assert found.uses[:, 0].mean() / 2.0 <= 1 + found.queues[-1, 0] / 500 + 1e-12
    best = recorded.best_on_average(rounds, needs, budgets)
    assert found.worth.mean() <= best * found.uses[:, 0].mean() / 2.0 + 0.1
    if v == 4.0:
        small = recorded.repeat(rounds, needs, budgets, v=0.25, rounds=500, seed=3)
        assert best - found.worth.mean() < best - small.worth.mean()


def test_queues_begin_at_the_price_of_a_round():
    """Three devices worth 1, one of which fits into a budget of 1: each unit of the budget is worth 1."""
    of = problem(3, weights=np.ones(3), prices=np.ones(3), up_snr=np.full(3, 1e3))
    queues = VirtualQueues((1.0, math.inf), 5.0)
    queues.update(np.array([3.0, 0.0]))  # a round before anything was measured
    needs, _ = bisection.least_units(of)
    assert prices.FirstPrices(queues).seen(of, needs) > 0
    assert queues.values == pytest.approx([2.0 + 5.0, 0.0])
    assert queues.given == pytest.approx([5.0, 0.0])
    queues.update(np.array([1.0, 0.0]))
    assert queues.allowance[0] == pytest.approx((7.0 - 5.0) / 2)
    assert queues.mean_use[0] <= 1 + queues.allowance[0] + 1e-12
    free = VirtualQueues((math.inf, math.inf), 5.0)
    assert prices.FirstPrices(free).seen(of, needs) == 0
    assert free.values.tolist() == [0.0, 0.0]


def test_energy_is_kept_to_for_each_v_where_costs_follow_the_channel():
    rounds = [problem(6, seed, weights=np.ones(6)) for seed in range(12)]
    needs = recorded.needs_of(rounds)
    share = [np.minimum(need, UNITS) / UNITS for need in needs]
    whole = np.mean([of.uses(each)[:, 1].sum() for of, each in zip(rounds, share, strict=True)])
    budgets = (math.inf, whole / 3)
    best = recorded.best_on_average(rounds, needs, budgets)
    gaps = []
    for v in (0.25, 1.0, 4.0, 16.0):
        found = recorded.repeat(rounds, needs, budgets, v=v, rounds=500, seed=3)
        assert found.uses[:, 1].mean() <= 1.02 * budgets[1]
        gaps.append(best - found.worth[250:].mean())
    assert gaps[-1] < gaps[0]


def test_the_bound_is_what_the_best_choice_of_two_rounds_gives():
    """One device, worth 1 or 3 at price 1, budget 0.5: taking part in the better half of the rounds is best."""
    rounds = [problem(1, weights=np.array([w]), prices=np.ones(1), up_snr=np.array([1e3])) for w in (1.0, 3.0)]
    best = recorded.best_on_average(rounds, recorded.needs_of(rounds), (0.5, math.inf))
    assert best == pytest.approx(1.5, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rule": "best-guess"}, "legal are none, drift-plus-penalty"),
        ({"v": 0.0}, "v is 0.0; it must be above 0"),
        ({"v": -1.0}, "v is -1.0"),
        ({"v": math.nan}, "v is nan"),
        ({"deadline_s": 0.0}, "deadline_s is 0.0"),
        ({"cost_budget": 0.0}, "no device could ever take part"),
        ({"energy_budget_j": -2.0}, "energy_budget_j is -2.0"),
        ({"prices": ()}, "at least one number"),
        ({"prices": (1.0, -1.0)}, "each 0 or more"),
        ({"devices": 0}, "at least 1"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        AllocationSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"allocation": AllocationSettings("drift-plus-penalty", cost_budget=0.01)}, "legal is from 0.1"),
        ({"allocation": AllocationSettings("random-k", devices=5)}, "legal is 1 to 4"),
        ({"allocation": AllocationSettings("equal-split"), "participation": 0.5}, "random-k"),
        ({"allocation": AllocationSettings("equal-split"), "aggregation": "flora"}, "fedit or ffa-lora"),
    ],
)
def test_what_nothing_meets_is_refused_before_anything_runs(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        SplitFedFTSettings(rounds=10, **changes)


def test_problems_and_queues_that_are_not_legal_are_refused():
    with pytest.raises(ConfigurationError, match="up_w has shape"):
        problem(3, up_w=np.ones(2))
    with pytest.raises(ConfigurationError, match="must be above 0"):
        problem(3, deadline_s=0.0)
    for budgets, v in (((1.0, 0.0), 1.0), ((math.nan,), 1.0), ((1.0,), 0.0), ((1.0,), math.inf)):
        with pytest.raises(ConfigurationError, match="above 0"):
            VirtualQueues(budgets, v)
