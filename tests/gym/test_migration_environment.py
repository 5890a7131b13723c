# SPDX-License-Identifier: GPL-2.0-only
"""The environment of migration: what Gymnasium asks for; its rewards are the problem's; a policy beats chance in it."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import edgelam.gym
from edgelam.errors import ConfigurationError
from edgelam.gym import MigrationEnv
from edgelam.inference.migration import Budgets, Road, VirtualQueues
from edgelam.inference.migration.policies import DriftPlusPenalty


def test_it_passes_the_check_of_gymnasium():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(edgelam.gym.gymnasium.make("edgelam/Migration-v0").unwrapped)
    check_env(MigrationEnv(Road(num_users=3, num_sites=5), slots=3), skip_render_check=True)


def episode(env, choose, seed=4):
    """Sum of rewards, penalties and uses of an episode; choose(env) -> places of all sessions."""
    env.reset(seed=seed)
    total, remarks, ended = 0.0, [], False
    while not ended:
        for node in choose(env):
            _, reward, _, ended, remark = env.step(int(node))
            total += reward
        remarks.append(remark)
    return total, remarks


def test_rewards_are_minus_what_drift_plus_penalty_minimises():
    env = MigrationEnv(slots=20, v=40.0)
    rng = np.random.default_rng(2)
    expected, costs = [], VirtualQueues(env.budgets, 40.0)

    def choose(env):
        x = rng.integers(4, size=2)
        expected.append(costs.cost(env.problem.problem, x))
        costs.update(env.problem.problem.uses(x))
        return x

    total, remarks = episode(env, choose)
    assert len(remarks) == 20
    assert total == pytest.approx(-sum(expected) / 40 / env.road.air_s)
    assert remarks[-1]["queues"] == pytest.approx(costs.values)


def test_drift_plus_penalty_earns_more_than_chance_and_than_staying():
    def greedy(env):
        return DriftPlusPenalty().decide(env.problem.problem, env.queues).places

    rng = np.random.default_rng(2)
    env = MigrationEnv(slots=60)
    best = episode(env, greedy)[0]
    assert best > episode(env, lambda env: rng.integers(4, size=2))[0]
    assert best > episode(env, lambda env: env.problem.at)[0]


def test_the_same_seed_gives_the_same_episode():
    env = MigrationEnv(slots=5)
    assert episode(env, lambda env: [1, 2])[0] == episode(env, lambda env: [1, 2])[0]
    assert episode(env, lambda env: [1, 2])[0] != episode(env, lambda env: [1, 2], seed=5)[0]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MigrationEnv(slots=0), "slots is 0"),
        (lambda: MigrationEnv(v=0.0), "V is 0.0"),
        (lambda: MigrationEnv(seed=-1), "seed is -1"),
        (lambda: MigrationEnv(Road(num_users=0)), "num_users"),
        (lambda: MigrationEnv(budgets=Budgets(loss=-1.0)), "budget loss is -1.0"),
    ],
)
def test_what_is_not_legal_is_refused(make, text):
    with pytest.raises(ConfigurationError, match=text):
        make()
