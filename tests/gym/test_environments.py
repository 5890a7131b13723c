# SPDX-License-Identifier: GPL-2.0-only
"""Environments: they are what Gymnasium asks for, and their rewards are the planner's model."""

import dataclasses
import subprocess
import sys
import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import edgelam.gym
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.gym import DeploymentEnv
from edgelam.inference.deployment import exact
from edgelam.inference.deployment.placing import Placing
from edgelam.inference.drawn_problem import Drawn
from edgelam.inference.problem import Plan, delay, excess

SMALL = Drawn(services=5, nodes=4, flows=3, length=3)


def random_episode(env, rng, **given):
    """Return the sum of rewards, and what the last step remarked; nodes that fit are drawn."""
    seen, _ = env.reset(**given)
    total, ended = 0.0, False
    while not ended:
        node = int(rng.choice(np.flatnonzero(seen["legal"])))
        seen, reward, ended, _, remarks = env.step(node)
        total += reward
    return total, remarks


@pytest.mark.parametrize("name", ["edgelam/Deployment-v0"])
def test_environments_pass_the_check_of_gymnasium(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(edgelam.gym.gymnasium.make(name).unwrapped)


@pytest.mark.parametrize("drawn", [SMALL, Drawn(services=12, nodes=9, flows=6, length=5, load=3.0)])
def test_the_deployment_environment_takes_problems_of_any_size(drawn):
    check_env(DeploymentEnv(drawn), skip_render_check=True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), draws=st.integers(0, 2**31), tightness=st.sampled_from([0.2, 0.5, 0.8]))
def test_rewards_add_up_to_the_delay_of_the_plan_and_plans_keep_to_all_bounds(seed, draws, tightness):
    env = DeploymentEnv(dataclasses.replace(SMALL, tightness=tightness))
    total, remarks = random_episode(env, np.random.default_rng(draws), seed=seed)
    if "stuck" in remarks:
        return
    plan = remarks["plan"]
    assert excess(env.problem, plan.at) <= 1e-9
    assert remarks["delay_s"] == pytest.approx(delay(env.problem, plan), rel=1e-9)
    assert total * env.placing.scale == pytest.approx(-remarks["delay_s"], rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 9))
def test_a_call_that_is_taken_back_leaves_nothing(seed, steps):
    rng = np.random.default_rng(seed)
    placing = Placing(SMALL(rng))
    states = []
    for _ in range(steps):
        fits = placing.fits()
        if not fits.any():
            break
        states.append((placing.rows(), placing.context(), fits, placing.delay_s))
        placing.place(int(rng.choice(np.flatnonzero(fits))))
        if placing.complete:
            break
    for rows, context, fits, seconds in reversed(states):
        placing.undo()
        np.testing.assert_allclose(placing.rows(), rows, atol=1e-5)
        np.testing.assert_allclose(placing.context(), context, atol=1e-5)
        assert (placing.fits() == fits).all()
        assert placing.delay_s == pytest.approx(seconds)


def test_added_is_the_delay_of_the_plan_with_the_call_minus_that_without():
    """Against the slow way: place it everywhere, and take it back."""
    rng = np.random.default_rng(5)
    placing = Placing(SMALL(rng))
    while not placing.complete:
        f, _ = placing.call
        expected = []
        for n in range(4):
            before = placing.answered[f]
            placing.place(n)
            expected.append(placing.answered[f] - before)
            placing.undo()
        np.testing.assert_allclose(placing.added(), expected, atol=1e-12)
        placing.place(int(rng.integers(4)))


def test_the_best_plan_can_be_reached_and_its_return_is_the_best():
    env = DeploymentEnv(SMALL)
    env.reset(seed=3)
    plan = exact.solve(env.problem)
    total = 0.0
    for f, s in list(env.placing.order):
        _, reward, ended, _, remarks = env.step(plan.at[f][s])
        assert "repaired" not in remarks
        total += reward
    assert ended
    assert remarks["plan"].at == Plan(plan.at).at
    for draws in range(5):
        other, _ = random_episode(env, np.random.default_rng(draws), options={"problem": env.problem})
        assert other <= total + 1e-3


def test_a_node_that_does_not_fit_is_replaced_by_the_best_that_does():
    tight = dataclasses.replace(SMALL, tightness=0.9)
    env, repaired = DeploymentEnv(tight), 0
    for seed in range(20):
        seen, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            wrong = np.flatnonzero(seen["legal"] == 0)
            best = int(np.argmin(np.where(seen["legal"] == 1, env.placing.added(), np.inf)))
            f, s = env.placing.call
            seen, reward, ended, _, remarks = env.step(int(wrong[0]) if len(wrong) else best)
            assert env.placing.at[f][s] == best
            assert remarks.get("repaired", False) == bool(len(wrong))
            assert reward <= (-0.1 if len(wrong) else 0.0)
            repaired += bool(len(wrong))
        assert ("stuck" in remarks) != ("plan" in remarks)
    assert repaired > 10


def test_the_same_seed_is_the_same_episode_and_the_stream_goes_on():
    one, other = DeploymentEnv(SMALL), DeploymentEnv(SMALL, seed=9)
    a, _ = one.reset(seed=4)
    b, _ = other.reset(seed=4)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    second, _ = one.reset()
    assert not np.array_equal(second["nodes"], a["nodes"])
    again, _ = other.reset()
    np.testing.assert_array_equal(second["nodes"], again["nodes"])
    fresh, _ = DeploymentEnv(SMALL, seed=4).reset()
    np.testing.assert_array_equal(fresh["nodes"], a["nodes"])


def test_bad_input_is_said():
    env = DeploymentEnv(SMALL)
    with pytest.raises(EdgelamError, match=r"none has begun: call reset\(\)"):
        env.step(0)
    env.reset(seed=1)
    with pytest.raises(ConfigurationError, match="action is 4; legal are whole numbers from 0 to 3"):
        env.step(4)
    with pytest.raises(ConfigurationError, match="has 5 nodes; this environment is for 4"):
        env.reset(options={"problem": Drawn()(np.random.default_rng(1))})
    with pytest.raises(ConfigurationError, match="seed is -1"):
        DeploymentEnv(SMALL, seed=-1)
    with pytest.raises(ConfigurationError, match="times what all 4 nodes together can compute"):
        DeploymentEnv(dataclasses.replace(SMALL, load=1e4)).reset(seed=1)
    with pytest.raises(ConfigurationError, match="services of drawn problems is 2; it is at least 4"):
        Drawn(services=2)
    with pytest.raises(ConfigurationError, match="tightness of drawn problems is 0"):
        Drawn(tightness=0)


def test_without_gymnasium_the_error_says_how_to_get_it():
    code = "import sys; sys.modules['gymnasium'] = None\nimport edgelam.gym"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'edgelam[gym]'" in done.stderr
