# SPDX-License-Identifier: GPL-2.0-only
"""Robust adversarial learning of routers, and the parts of PPO."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from edgelam.agents import ppo
from edgelam.agents.robust import Demand, Training, evaluate, shift_of, tensors, train
from edgelam.errors import ConfigurationError
from edgelam.inference.routing_model import CONTEXT, EXPECTED, ROWS, Model, Tables
from edgelam.random_streams import from_numbers, torch_generator

sys.path.append(str(Path(__file__).parents[1] / "inference"))
from problems import random_problem

SMALL = Training(iterations=2, copies=6, steps=8, period=4, periods=3, evaluations=1)
DEMAND = Demand(moves_per_s=0.5, report_every_s=0.1)


def tables():
    problem = random_problem(np.random.default_rng(3), services=7, nodes=4, flows=3)
    flows = tuple(dataclasses.replace(flow, rate=5 * flow.rate, deadline_s=0.3) for flow in problem.flows)
    return Tables(dataclasses.replace(problem, flows=flows), dict.fromkeys(problem.services, problem.nodes))


def weights(training, seed=1):
    return torch.cat([each.flatten() for each in train(tables(), DEMAND, training, seed).policy.parameters()])


def test_radius_0_is_nominal_training_bit_for_bit():
    nominal = weights(SMALL)
    assert torch.equal(nominal, weights(dataclasses.replace(SMALL, radius=0.0, adversaries=3)))
    robust = dataclasses.replace(SMALL, radius=0.5, adversaries=2)
    assert not torch.equal(nominal, weights(robust))
    assert torch.equal(weights(robust), weights(robust))
    assert not torch.equal(nominal, weights(SMALL, seed=2))


def test_the_budget_of_the_router_is_the_same_with_and_without_adversaries():
    against = dataclasses.replace(SMALL, radius=0.5, adversaries=2)
    one, other = (train(tables(), DEMAND, each, 1) for each in (SMALL, against))
    assert [row["updates"] for row in one.curve] == [row["updates"] for row in other.curve] == [0, 16]
    assert [row["calls"] for row in one.curve] == [0, 2 * 6 * 8]
    assert one.adversary_calls == 0
    assert other.adversary_calls == 2 * 3 * 4 * 6


def test_shifts_stay_in_the_box():
    actions = np.random.default_rng(0).normal(0, 3, (100, 5))
    shift = shift_of(actions, 0.4, 3)
    assert shift.demand.min() == pytest.approx(0.6)
    assert shift.demand.max() == pytest.approx(1.4)
    assert np.abs(shift.attraction).max() == pytest.approx(1.2)
    assert shift_of(actions, 1.0, 3).demand.min() == 0.05
    still = shift_of(actions, 0.0, 3)
    assert (still.demand == 1).all()
    assert (still.attraction == 0).all()


def test_the_router_begins_as_the_rule_of_the_least_expected_delay():
    model = Model(tables(), from_numbers(1), copies=20, moves_per_s=0.1)
    policy = ppo.NodePolicy(len(ROWS), len(CONTEXT), prior=EXPECTED)
    for _ in range(10):
        seen = model.view()
        expected = np.where(seen.legal, seen.rows[:, :, EXPECTED].sum(axis=2), np.inf).argmin(axis=1)
        with torch.no_grad():
            assert policy.logits(*tensors(seen)).argmax(dim=1).tolist() == expected.tolist()
        model.step(expected)


def test_learning_makes_a_policy_without_a_rule_better():
    """A task that is learned in seconds: take the node whose row has the larger number."""
    torch.manual_seed(0)
    policy = ppo.NodePolicy(1, 1)
    optimiser = torch.optim.Adam(policy.parameters(), lr=3e-3)
    generator, batches = torch_generator(1), torch_generator(2)
    settings = ppo.Settings(gamma=0.1)
    share = 0.0
    for _ in range(40):
        rows = torch.rand(8, 32, 3, 1, generator=generator)
        seen = [rows, torch.zeros(8, 32, 1), torch.ones(8, 32, 3, dtype=torch.bool)]
        with torch.no_grad():
            acted = [policy.act([each[t] for each in seen], generator) for t in range(8)]
        action, log_probability, value = (torch.stack(each) for each in zip(*acted, strict=True))
        reward = (action == rows[..., 0].argmax(dim=2)).float()
        share = float(reward.mean())
        ppo.update(
            policy, optimiser, ppo.Rollout(seen, action, log_probability, value, reward, torch.zeros(32)), settings,
            batches,
        )  # fmt: skip
    assert share > 0.7


def test_advantages_are_those_of_slow_code():
    rng = torch_generator(3)
    rewards, values, last = (torch.randn(*shape, generator=rng) for shape in ((5, 2), (5, 2), (2,)))
    settings = ppo.Settings(gamma=0.9, trace=0.8)
    rollout = ppo.Rollout([], torch.zeros(5, 2), torch.zeros(5, 2), values, rewards, last)
    found, target = ppo.advantages(rollout, settings)
    after = torch.cat([values[1:], last[None]])
    errors = rewards + 0.9 * after - values
    for t in range(5):
        slow = sum((0.9 * 0.8) ** (i - t) * errors[i] for i in range(t, 5))
        assert found[t].tolist() == pytest.approx(slow.tolist(), rel=1e-5)
    assert torch.allclose(target, found + values)


def test_operations_are_those_that_pytorch_counts():
    policy = ppo.NodePolicy(len(ROWS), len(CONTEXT), prior=EXPECTED)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        policy.logits(torch.zeros(1, 5, len(ROWS)), torch.zeros(1, len(CONTEXT)), torch.ones(1, 5, dtype=torch.bool))
    assert policy.operations(5) == counter.get_total_flops()


def test_an_evaluation_counts_costs_and_requests_in_time():
    t = tables()
    policy = ppo.NodePolicy(len(ROWS), len(CONTEXT), prior=EXPECTED)
    found = evaluate(t, DEMAND, policy, 1, copies=8, calls=40)
    assert 0 < found["cost"] <= 5
    assert 0 <= found["on_time"] <= 1
    assert found == evaluate(t, DEMAND, policy, 1, copies=8, calls=40)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"radius": 1.5, "adversaries": 1}, "radius is 1.5; legal is 0 to 1"),
        ({"radius": 0.5}, "needs at least one adversary"),
        ({"iterations": 0}, "iterations is 0"),
        ({"adversaries": 100}, "adversaries are 100; legal is 0 to copies, 64"),
    ],
)
def test_settings_that_are_not_legal(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        Training(**changes)
