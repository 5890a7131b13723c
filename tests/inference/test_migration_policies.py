# SPDX-License-Identifier: GPL-2.0-only
"""The problem of migration and its policies: hand-computed values, brute force, bounds that must hold for any run."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.inference.migration import Budgets, Drive, Road, SlotProblem, VirtualQueues, alternating, exhaustive
from edgelam.inference.migration.policies import (
    Always,
    DriftPlusPenalty,
    FullKnowledge,
    Nearest,
    Never,
    ThresholdMdp,
    best_path,
)

TWO = SlotProblem(
    users=("ue0", "ue1"), nodes=("a", "b"), at=np.array([0, 0]),
    latency_s=np.array([[0.10, 0.06], [0.05, 0.09]]), jitter_s=np.array([[0.002, 0.001], [0.001, 0.003]]),
    loss=np.array([[0.01, 0.0], [0.0, 0.02]]), serving_w=np.full((2, 2), 3.0), state_bytes=np.array([1e6, 2e6]),
    weight_bytes=100e6, file_bytes=20e6, up=np.array([True, False]), loading_w=np.array([5.0, 5.0]),
    pause_s=np.full((2, 2), 0.02), allowed=np.ones((2, 2), dtype=bool),
    round_trip_s=np.array([[0.04, 0.0], [0.0, 0.04]]), nearest=np.array([1, 0]), slot_s=0.5,
)  # fmt: skip
BUDGETS = Budgets(bandwidth_bps=200e6, storage_bytes=1.2e9, power_w=20.0, latency_s=0.1, jitter_s=0.003, loss=0.01)


def random_problem(rng, users=3, nodes=4):
    shape = (users, nodes)
    at = rng.integers(nodes, size=users)
    trips = rng.uniform(0, 0.05, shape)
    return SlotProblem(
        users=tuple(f"ue{u}" for u in range(users)), nodes=tuple(f"edge{n}" for n in range(nodes)), at=at,
        latency_s=0.05 + trips, jitter_s=rng.uniform(0, 0.01, shape), loss=rng.uniform(0, 0.02, shape),
        serving_w=rng.uniform(0, 5, shape), state_bytes=rng.uniform(0, 1e7, users), weight_bytes=5e8,
        file_bytes=9e7, up=np.isin(np.arange(nodes), at), loading_w=rng.uniform(0, 20, nodes),
        pause_s=rng.uniform(0, 0.1, shape), allowed=rng.random(shape) < 0.8, round_trip_s=trips,
        nearest=trips.argmin(axis=1), slot_s=0.25,
    )  # fmt: skip


def queues_at(values, v=50.0, budgets=BUDGETS):
    queues = VirtualQueues(budgets, v)
    queues.values = np.array(values, dtype=float)
    return queues


def test_penalty_and_uses_by_hand():
    stay, one = np.array([0, 0]), np.array([1, 0])
    assert TWO.penalty(stay) == pytest.approx((0.10 + 0.05) / 2)
    assert TWO.uses(stay) == pytest.approx([0, 103e6, 6, 0.075, 0.0015, 0.005])
    assert TWO.penalty(one) == pytest.approx((0.06 + 0.02 + 0.05) / 2)
    # ue0's state of 1 MB and weights of 20 MB in half a second; weights on two nodes; 5 W for loading
    assert TWO.uses(one) == pytest.approx([8 * 21e6 / 0.5, 203e6, 11, 0.055, 0.001, 0.0])
    both = TWO.uses(np.array([1, 1]))
    assert both[0] == pytest.approx(8 * 23e6 / 0.5)  # the weights move once
    assert both[1] == pytest.approx(103e6)


def test_queues_by_hand():
    """Ratios of bandwidth 3, 0, 0.5, 2.5: Q = 2, 1, 0.5, 2. Those of latency 0.5, unknown, 2, 1: Q = 0, 0, 1, 1."""
    queues = VirtualQueues(BUDGETS, 10.0)
    seen = []
    for bandwidth, latency in ((3, 0.5), (0, math.nan), (0.5, 2), (2.5, 1)):
        queues.update(np.array([bandwidth * 200e6, 0, 0, latency * 0.1, math.nan, 0]))
        seen.append(queues.values[[0, 3]].tolist())
    assert np.array(seen) == pytest.approx(np.array([[2, 0], [1, 0], [0.5, 1], [2, 1]]))
    assert queues.mean_use[0] == pytest.approx(1.5)
    assert queues.allowance[0] == pytest.approx(2 / 4)
    assert queues.mean_use[3] == pytest.approx(3.5 / 3)
    assert math.isnan(queues.mean_use[4])
    assert queues.values[4] == 0


@given(st.lists(st.lists(st.floats(0, 1e3), min_size=6, max_size=6), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_budgets_are_met_within_the_queue_over_the_time(ratios):
    queues = VirtualQueues(BUDGETS, 1.0)
    for each in ratios:
        queues.update(np.array(each) * BUDGETS.values)
    assert (queues.mean_use <= 1 + queues.allowance + 1e-9).all()


def test_cost_is_v_times_penalty_plus_queues_times_use():
    queues = queues_at([1, 2, 0, 0, 3, 0], v=40.0)
    x = np.array([1, 0])
    uses = TWO.uses(x)
    expected = 40 * 0.065 + uses[0] / 200e6 + 2 * uses[1] / 1.2e9 + 3 * uses[4] / 0.003
    assert queues.cost(TWO, x) == pytest.approx(expected)


def test_alternating_optimisation_against_all_placements():
    """Never better than the best; the best in most cases; close to it in all."""
    rng = np.random.default_rng(5)
    gaps = []
    for _ in range(120):
        problem = random_problem(rng, users=int(rng.integers(1, 5)), nodes=int(rng.integers(2, 5)))
        queues = queues_at(rng.uniform(0, 3, 6), v=float(rng.uniform(1, 300)))
        found = alternating(problem, lambda x, q=queues, p=problem: q.cost(p, x))
        best = exhaustive(problem, lambda x, q=queues, p=problem: q.cost(p, x))
        assert all(problem.may(u, n) for u, n in enumerate(found.places))
        assert found.operations > 0
        least = queues.cost(problem, best.places)
        gaps.append(queues.cost(problem, found.places) / least - 1)
        assert gaps[-1] >= -1e-12
    assert np.mean(np.array(gaps) < 1e-9) >= 0.95
    assert max(gaps) < 0.1


def test_without_queues_drift_plus_penalty_minimises_the_penalty():
    rng = np.random.default_rng(8)
    for _ in range(20):
        problem = random_problem(rng)
        chosen = DriftPlusPenalty().decide(problem, queues_at([0] * 6)).places
        assert problem.penalty(chosen) == pytest.approx(min(problem.penalty(x) for x in problem.choices()))


def test_a_long_queue_of_bandwidth_stops_all_moves():
    problem = random_problem(np.random.default_rng(2))
    chosen = DriftPlusPenalty().decide(problem, queues_at([1e6, 0, 0, 0, 0, 0])).places
    assert (chosen == problem.at).all()


def test_simple_policies():
    queues = queues_at([0] * 6)
    assert Never().decide(TWO, queues).places.tolist() == [0, 0]
    assert Always().decide(TWO, queues).places.tolist() == [1, 0]
    assert Nearest().decide(TWO, queues).places.tolist() == [1, 0]
    shut = dataclasses.replace(TWO, allowed=np.zeros((2, 2), dtype=bool))
    for policy in (Always(), Nearest(), DriftPlusPenalty()):
        assert policy.decide(shut, queues).places.tolist() == [0, 0]


def test_the_threshold_is_that_of_value_iteration():
    """Against value iteration over all policies on the same chain: the best one has a threshold, and it is this one."""
    road = Road(num_users=2, spread=0.0)
    for pause_s in (0.001, 0.03, 0.1, 1.0):
        drive, policy = Drive(road, np.random.default_rng(1)), ThresholdMdp()
        for _ in range(60):
            policy._learn(drive.problem)
            drive.step(drive.at)
        states = sorted(policy._latency)
        chain = np.eye(len(states))
        for (a, b), count in policy._moves.items():
            chain[states.index(a), states.index(b)] += count
        chain /= chain.sum(axis=1, keepdims=True)
        latency_s = np.array([np.mean(policy._latency[state]) for state in states])
        value = np.zeros(len(states))
        for _ in range(500):
            stay = latency_s + 0.9 * chain @ value
            move = pause_s + latency_s[0] + 0.9 * chain[0] @ value
            value = np.minimum(stay, move)
        moves = (move < stay - 1e-9)[1:]
        first = 1 + int(moves.argmax()) if moves.any() else len(states)
        expected = states[first] if first < len(states) else math.inf
        assert policy.threshold(pause_s)[0] == expected
    assert policy.threshold(10.0)[0] == math.inf


def brute_force(slots, budgets):
    """The least penalty of all sequences that keep to the budgets."""
    from itertools import product

    best = math.inf
    choices = list(product(range(len(slots[0].nodes)), repeat=len(slots[0].users)))
    for sequence in product(choices, repeat=len(slots)):
        at, up, penalty, use = slots[0].at, slots[0].up, 0.0, np.zeros(6)
        for problem, chosen in zip(slots, sequence, strict=True):
            now, x = dataclasses.replace(problem, at=at, up=up), np.array(chosen)
            penalty += now.penalty(x) / len(slots)
            use += now.uses(x) / budgets.values / len(slots)
            at, up = x, np.isin(np.arange(len(problem.nodes)), x)
        if (use <= 1 + 1e-9).all():
            best = min(best, penalty)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_full_knowledge_against_all_sequences(seed):
    rng = np.random.default_rng(seed)
    drive = Drive(Road(num_users=1, num_sites=2, spacing_m=40, core_s=0.05), rng)
    slots = [drive.problem]
    for _ in range(4):
        slots.append(drive.step(drive.at))
    for budgets in (Budgets(), Budgets(bandwidth_bps=1.2e9)):
        best = brute_force(slots, budgets)
        path = best_path(slots, budgets)
        assert path.bound <= best + 1e-9
        assert path.penalty >= best - 1e-9
        assert (path.use <= 1 + 1e-9).all()
        if not np.isfinite(budgets.values).any():
            assert path.penalty == pytest.approx(best)
        queues = VirtualQueues(budgets, 1.0)
        follower, at = FullKnowledge(path), []
        for problem in slots:
            at.append(follower.decide(problem, queues).places)
        assert np.array_equal(np.array(at), path.places)


def slots_alike(seed=4, kinds=3):
    """Kinds of slots that come independently, each with the sessions at the first node whatever was decided before."""
    rng = np.random.default_rng(seed)
    begin = {"at": np.array([0]), "up": np.array([True, False, False]), "allowed": np.ones((1, 3), dtype=bool)}
    found = [dataclasses.replace(random_problem(rng, users=1, nodes=3), **begin) for _ in range(kinds)]
    far = np.array([[0.1, 0.0, 0.0]])
    return [dataclasses.replace(each, latency_s=each.latency_s + far, pause_s=np.zeros((1, 3))) for each in found]


def least_penalty(kinds, budgets):
    """The least mean penalty that keeps to the budgets, over all randomised choices: a linear program."""
    from scipy.optimize import linprog

    choices = [[np.array([n]) for n in range(3)] for _ in kinds]
    cost = np.array([problem.penalty(x) for problem, each in zip(kinds, choices, strict=True) for x in each])
    uses = np.array([problem.uses(x) for problem, each in zip(kinds, choices, strict=True) for x in each])
    bounded = np.isfinite(budgets.values)
    one = np.kron(np.eye(len(kinds)), np.ones(3))
    found = linprog(
        cost / len(kinds), (uses / budgets.values / len(kinds)).T[bounded], np.ones(bounded.sum()), one,
        np.ones(len(kinds)),
    )  # fmt: skip
    assert found.status == 0
    return found.fun


def test_the_gap_of_the_penalty_is_at_most_b_over_v_and_budgets_are_met():
    """Slots that are independent and alike, as in the theorem; against the optimum of a linear program."""
    kinds = slots_alike()
    budgets = Budgets(bandwidth_bps=1.2e9, storage_bytes=6e8)
    best = least_penalty(kinds, budgets)
    assert best > least_penalty(kinds, Budgets()) + 1e-3  # the budget of bandwidth binds
    rng, slots = np.random.default_rng(9), 4000
    order = rng.integers(len(kinds), size=slots)
    gaps, bounds, allowances = [], [], []
    for v in (3.0, 30.0, 300.0):
        queues, policy, penalty, drift = VirtualQueues(budgets, v), DriftPlusPenalty(), 0.0, 0.0
        for i in order:
            x = policy.decide(kinds[i], queues).places
            uses = kinds[i].uses(x)
            penalty += kinds[i].penalty(x) / slots
            drift += ((uses / budgets.values - 1)[:2] ** 2).sum() / 2 / slots
            queues.update(uses)
        gaps.append(penalty - best)
        bounds.append(drift / v)
        allowances.append(queues.allowance[0])
        assert (queues.mean_use <= 1 + queues.allowance + 1e-9).all()
        assert gaps[-1] <= bounds[-1] + 2e-3  # 2 ms: the mean over 4000 drawn slots, and what Q / T allows
    assert bounds[0] > 5 * bounds[1] > 25 * bounds[2] > 0
    assert gaps[0] > gaps[2] - 1e-3
    assert allowances[0] < allowances[1] < allowances[2] < 0.2


def test_on_a_road_a_larger_v_means_less_penalty_and_more_moves():
    found = []
    for v in (3.0, 3000.0):
        drive = Drive(Road(), np.random.default_rng(3))
        budgets = Budgets(bandwidth_bps=150e6, storage_bytes=1.0e9)
        queues, policy, penalty = VirtualQueues(budgets, v), DriftPlusPenalty(), 0.0
        for _ in range(240):
            problem = drive.problem
            x = policy.decide(problem, queues).places
            penalty += problem.penalty(x) / 240
            queues.update(problem.uses(x))
            drive.step(x)
        assert (queues.mean_use <= 1 + queues.allowance + 1e-9).all()
        found.append((penalty, queues.mean_use[0]))
    assert found[0][0] > 1.05 * found[1][0]
    assert found[0][1] < found[1][1]


@pytest.mark.parametrize("v", [0.0, -1.0, math.nan, math.inf])
def test_v_that_is_not_legal_is_refused(v):
    with pytest.raises(ConfigurationError, match="V is"):
        VirtualQueues(BUDGETS, v)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Budgets)])
@pytest.mark.parametrize("value", [0.0, -5.0, math.nan])
def test_budgets_that_are_not_legal_are_refused(name, value):
    with pytest.raises(ConfigurationError, match=f"budget {name} is"):
        Budgets(**{name: value})


def test_problems_that_are_not_legal_are_refused():
    for changes, text in (
        ({"latency_s": -TWO.latency_s}, "latency_s"),
        ({"loss": TWO.loss * math.nan}, "loss"),
        ({"at": np.array([0, 2])}, "nodes 0 to 1"),
        ({"state_bytes": np.array([1.0])}, "state_bytes"),
        ({"slot_s": 0.0}, "slot_s is 0.0"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            dataclasses.replace(TWO, **changes)
    with pytest.raises(ConfigurationError, match="no session can be on 'c'"):
        TWO.places(["a", "c"])
    with pytest.raises(ConfigurationError, match="at least one"):
        best_path([], BUDGETS)
    with pytest.raises(ConfigurationError, match="more than 1300"):
        best_path([random_problem(np.random.default_rng(1), users=6, nodes=4)], BUDGETS)
    with pytest.raises(ConfigurationError, match="too many"):
        exhaustive(random_problem(np.random.default_rng(1), users=9, nodes=4), lambda x: 0.0)
    with pytest.raises(ConfigurationError, match="discount"):
        ThresholdMdp(discount=1.0)
    with pytest.raises(ConfigurationError, match="spacing_m"):
        Road(spacing_m=0.0)
