# SPDX-License-Identifier: GPL-2.0-only
"""Learners: what they compute, that they learn, and that a training that was killed ends with the same bytes."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from edgelam.agents import agent as base
from edgelam.agents import chain, checkpoint, training
from edgelam.agents.curve import is_flat
from edgelam.agents.demonstrations import solved
from edgelam.agents.experience import Demonstrations, Experience
from edgelam.agents.networks import Denoiser, Scores, log_probabilities
from edgelam.agents.planning import solve, state_of
from edgelam.cosim.work import count
from edgelam.errors import ConfigurationError
from edgelam.gym import DeploymentEnv
from edgelam.gym.node_choice import NodeChoice
from edgelam.inference.deployment import exact
from edgelam.inference.deployment.placing import Placing
from edgelam.inference.drawn_problem import Drawn
from edgelam.inference.problem import delay, excess

SMALL = Drawn(services=5, nodes=3, flows=2, length=3)
LARGER = dataclasses.replace(SMALL, nodes=5, flows=3)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    return solved([SMALL, LARGER], 8, seed=1, name="training", path=tmp_path_factory.mktemp("plans") / "plans.json")


def environments():
    return [DeploymentEnv(SMALL), DeploymentEnv(LARGER)]


def some_state(rng, batch=7, nodes=5):
    legal = torch.from_numpy(rng.random((batch, nodes)) < 0.7)
    legal[:, 0] = True
    tensors = [torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for shape in
               ((batch, nodes, 11), (batch, 6))]  # fmt: skip
    return base.State(*tensors, legal, legal / legal.sum(1, keepdim=True))


def test_networks_treat_nodes_alike_and_do_not_see_those_that_are_not_there():
    rng = np.random.default_rng(1)
    state = some_state(rng)
    order = torch.tensor([3, 0, 4, 1, 2])
    more = torch.cat([state.rows, torch.full((7, 2, 11), 5.0)], 1), torch.cat([state.legal, torch.zeros(7, 2) > 0], 1)
    scores, denoiser = Scores(11, 6), Denoiser(11, 6, chain.STEPS)
    noisy, step = base.normal(rng, 7, 5), torch.tensor([0, 1, 2, 3, 4, 0, 1])

    def clean(rows, legal, noisy):
        return denoiser(*denoiser.encode(rows, state.context, legal), noisy.unsqueeze(-1), step).squeeze(-1)

    for found, moved, padded in (
        (
            scores(*state.parts), scores(state.rows[:, order], state.context, state.legal[:, order]),
            scores(more[0], state.context, more[1]),
        ),
        (
            clean(state.rows, state.legal, noisy), clean(state.rows[:, order], state.legal[:, order], noisy[:, order]),
            clean(*more, torch.cat([noisy, torch.ones(7, 2)], 1)),
        ),
    ):  # fmt: skip
        torch.testing.assert_close(found[:, order], moved)
        torch.testing.assert_close(found, padded[:, :5])


def test_the_chain_is_the_posterior_of_ddpm():
    """One step back, against Bayes' rule for Gaussians on numbers."""
    betas = [1 - np.exp(-0.1 / 5 - 9.9 * (2 * t - 1) / 50) for t in range(1, 6)]
    kept = np.cumprod(1 - np.array(betas))
    np.testing.assert_allclose(chain._KEPT, kept)
    rng = np.random.default_rng(3)
    clean, noise = 0.7, base.normal(rng, 100_000, 1)
    noisy = chain.noised(torch.full((100_000, 1), clean), torch.full((100_000,), 2), noise)
    assert noisy.mean().item() == pytest.approx(np.sqrt(kept[2]) * clean, abs=0.01)
    assert noisy.var().item() == pytest.approx(1 - kept[2], rel=0.02)

    class Knows(torch.nn.Module):
        """Says the right logits, whatever it is given."""

        def encode(self, rows, context, legal):
            return rows, rows

        def forward(self, encoded, share, noisy, step):
            seen.append((int(step), noisy.clone()))
            return torch.full_like(noisy, clean)

    seen = []
    start = chain.noised(torch.full((50_000, 1), clean), torch.full((50_000,), 4), base.normal(rng, 50_000, 1))
    rows, legal = torch.zeros(50_000, 1, 1), torch.ones(50_000, 1) > 0
    state = base.State(rows, rows[:, 0], legal, start)
    out = chain.denoised(Knows(), state, start, base.normal(rng, 4, 50_000, 1))
    torch.testing.assert_close(out, torch.full((50_000, 1), chain.SHARPNESS * clean))
    assert [step for step, _ in seen] == [4, 3, 2, 1, 0]
    for step, noisy in seen:  # if the denoiser is right, each step has the distribution of noise added forwards
        assert noisy.mean().item() == pytest.approx(np.sqrt(kept[step]) * clean, abs=0.02)
        assert noisy.var().item() == pytest.approx(1 - kept[step], rel=0.03)


def test_probabilities_are_of_legal_nodes_only():
    rng = np.random.default_rng(2)
    state = some_state(rng)
    for name in training.AGENTS:
        with torch.no_grad():
            found = training.new(name, (11, 6), 1).probabilities(state, rng)
        torch.testing.assert_close(found.sum(-1), torch.ones(7))
        assert (found[~state.legal] < 1e-12).all()
    logits = torch.tensor([[0.0, 5.0, 1.0]])
    expected = torch.log_softmax(torch.tensor([0.0, 1.0]), -1)
    torch.testing.assert_close(log_probabilities(logits, torch.tensor([[True, False, True]]))[0, [0, 2]], expected)


class Corridor(NodeChoice):
    """Two steps; the right node of each is in the rows and costs .1. Only both together pay 1, at the end."""

    def __init__(self):
        super().__init__("corridor", SMALL, rows=("right",), context=("step", "right so far"), most=2.0)

    def begin(self, options):
        self.turn = 0
        self.good = int(self.rng.integers(3))
        self.chosen = []

    def look(self):
        right = (np.arange(3) == (self.good + self.turn) % 3)[:, None].astype(np.float32)
        return right, np.array([self.turn, all(self.chosen)], np.float32), np.ones(3, dtype=bool)

    def choose(self, node):
        right = node == (self.good + self.turn) % 3
        self.chosen.append(right)
        self.turn += 1
        if self.turn == 2:
            return float(all(self.chosen)) - 0.1 * right, True, False, {}
        return -0.1 * right, False, False, {}


@pytest.mark.parametrize("name", ["dqn", "sac", "d2sac", "diffusion-rl"])
def test_an_agent_learns_a_reward_that_comes_later(name):
    experience = Experience([Corridor()], 5)
    agent, rng = training.new(name, experience.columns, 3), np.random.default_rng(4)
    for update in range(400):
        experience.step(agent, rng, max(0.2, agent.explore(15 * update)))
        if experience.count >= base.BATCH:
            agent.update(experience.batch(rng), rng)
    env, wins = Corridor(), 0
    for seed in range(20):
        seen, _ = env.reset(seed=seed)
        before, ended, reward = np.full(3, 1 / 3, np.float32), False, 0.0
        while not ended:
            state = state_of(seen["nodes"], seen["context"], seen["legal"], before)
            with torch.no_grad():
                before = agent.probabilities(state, rng)[0].numpy()
            seen, reward, ended, _, _ = env.step(int(before.argmax()))
        wins += reward > 0.5
    assert wins >= 17


def test_imitation_gives_back_the_plans_that_it_was_shown(plans):
    experience = Demonstrations(plans[:2], 1)
    agent, rng = training.new("diffusion-likelihood", experience.columns, 1), np.random.default_rng(1)
    for _ in range(800):
        experience.step(agent, rng, 0.0)
        if experience.count >= base.BATCH:
            agent.update(experience.batch(rng), rng)
    same = []
    for problem, plan in plans[:2]:
        placing = Placing(problem)
        before = np.full(len(problem.nodes), 1 / len(problem.nodes), np.float32)
        while not placing.complete:
            f, s = placing.call
            with torch.no_grad():
                state = state_of(placing.rows(), placing.context(), placing.fits(), before)
                same.append(int(agent.probabilities(state, rng)[0].argmax()) == plan.at[f][s])
            placing.place(plan.at[f][s])
    assert np.mean(same) > 0.8


@pytest.mark.parametrize("name", training.AGENTS)
def test_no_agent_beats_the_exact_solver_on_its_own_model(name, plans):
    """At node counts and demands that it was not trained on; a plan keeps to all bounds, and has a cost."""
    agent = training.new(name, (11, 6), 2)
    for seed, nodes, load, tightness in itertools.product((1, 2), (2, 6), (1.0, 3.0), (0.3, 0.8)):
        drawn = dataclasses.replace(SMALL, nodes=nodes, load=load, tightness=tightness)
        problem = drawn(np.random.default_rng(seed))
        try:
            best = exact.solve(problem)
        except ConfigurationError:
            with pytest.raises(ConfigurationError):
                solve(problem, agent, seed=1)
            continue
        plan = solve(problem, agent, seed=1)
        assert excess(problem, plan.at) <= 1e-9
        assert delay(problem, plan) >= delay(problem, best) * (1 - best.gap - 1e-9)
        assert plan.operations > 0
        assert plan.bytes > 0
        assert solve(problem, agent, seed=1) == plan


def test_the_cost_of_a_plan_is_what_the_counter_sees():
    problem = SMALL(np.random.default_rng(1))
    agent = training.new("sac", (11, 6), 1)
    plan = solve(problem, agent, seed=1)
    rows, hidden, nodes, calls = 11, 32, 3, 6
    each = 2 * (nodes * rows * hidden + 6 * hidden + nodes * hidden**2 + 2 * hidden**2 + nodes * hidden)
    state = base.State(torch.zeros(1, 3, 11), torch.zeros(1, 6), torch.ones(1, 3) > 0, torch.ones(1, 3) / 3)
    with torch.no_grad():
        assert count(agent.probabilities, state, np.random.default_rng(1)).flops == each
    shown = calls * 60 * nodes * (3 + 5)
    assert plan.operations == calls * each + shown


def test_a_dead_end_is_taken_back():
    """Two services that fill a node each, and a small one: an agent that begins with the small one has to go back."""
    problem = dataclasses.replace(
        SMALL(np.random.default_rng(1)), weight_bytes=np.array([2.0, 2.0, 2.0, 1.0, 1.0]),
        memory_bytes=np.array([4.0, 2.0, 2.0]),
    )  # fmt: skip
    for seed in range(6):
        plan = solve(problem, training.new("sac", (11, 6), seed), seed=1)
        assert excess(problem, plan.at) == 0


def trained(path, plans, updates, name="diffusion-rl"):
    given = {"demonstrations": plans} if name == "diffusion-likelihood" else {}
    return training.train(
        name, environments(), updates, seed=7, path=path, judge=training.from_optimum(plans[:2], 7), every=20, **given
    )  # fmt: skip


@pytest.mark.parametrize("name", ["dqn", "sac"])
def test_what_comes_later_counts_as_much_as_the_discount_says(name):
    """One node, a reward of -1, and the same state again and again: the value tends to -1 / (1 - discount)."""
    state = base.State(torch.ones(64, 1, 1), torch.ones(64, 1), torch.ones(64, 1) > 0, torch.ones(64, 1))
    batch = base.Batch(state, torch.zeros(64, dtype=torch.int64), -torch.ones(64), torch.zeros(64), state)
    values = []
    for discount in (0.0, 0.6):
        agent, rng = training.new(name, (1, 1), 3, discount), np.random.default_rng(4)
        for _ in range(150):
            agent.update(batch, rng)
        network = agent.modules["value"] if name == "dqn" else agent.modules["critics"][0]
        values.append(network(*state.parts)[0, 0].item())
    assert values[0] == pytest.approx(-1, abs=0.05)
    assert -2.5 < values[1] < -1.15


def test_several_steps_for_each_update_are_resumed_too(plans, tmp_path):
    def trained(path, updates):
        return training.train(
            "sac", environments(), updates, seed=7, path=path, judge=training.from_optimum(plans[:1], 7), every=20,
            discount=0.9, steps=3,
        )  # fmt: skip

    trained(tmp_path / "parts", 20)
    trained(tmp_path / "parts", 40)
    trained(tmp_path / "whole", 40)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()
    with pytest.raises(ConfigurationError, match=r"has discount '0\.9', not '0\.5'"):
        training.train("sac", environments(), 60, seed=7, path=tmp_path / "whole", judge=lambda agent: 0.0, every=20,
                       discount=0.5)  # fmt: skip
    for changes, text in (({"discount": 1.5}, "discount is 1.5; legal is 0 to 1"), ({"steps": 0}, "steps are 0")):
        with pytest.raises(ConfigurationError, match=text):
            training.train("sac", environments(), 60, seed=7, path=tmp_path / "new", judge=len, **changes)


@pytest.mark.parametrize("name", training.AGENTS)
def test_training_is_the_same_every_time_and_when_it_is_resumed(name, plans, tmp_path):
    _, curve = trained(tmp_path / "whole", plans, 60, name)
    trained(tmp_path / "parts", plans, 20, name)
    trained(tmp_path / "parts", plans, 40, name)
    _, again = trained(tmp_path / "parts", plans, 60, name)
    assert curve == again
    assert [updates for updates, _ in curve] == [20, 40, 60]
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


def test_a_training_that_is_killed_goes_on(plans, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pathlib, torch; torch.set_num_threads(1)\n"
        "import test_agents as t; p = pathlib.Path(sys.argv[2])\n"
        "t.trained(p / 'killed', t.solved([t.SMALL, t.LARGER], 8, seed=1, name='training', path=p / 'plans'), 10**9, "
        "'dqn')"
    )
    command = [sys.executable, "-c", code, os.path.dirname(__file__), str(tmp_path)]
    with subprocess.Popen(command) as child:
        while not (tmp_path / "killed").exists():
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    done = training.new("dqn", (11, 6), 7)
    facts, _ = checkpoint.read(tmp_path / "killed", done, {"agent": "dqn"})
    end = int(facts["updates"]) + 20
    _, curve = trained(tmp_path / "killed", plans, end, "dqn")
    _, whole = trained(tmp_path / "whole", plans, end, "dqn")
    assert curve == whole
    assert (tmp_path / "killed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_bad_input_is_said_and_nothing_is_kept(plans, tmp_path):
    with pytest.raises(ConfigurationError, match="no agent is called 'ppo'; there are: diffusion-likelihood"):
        trained(tmp_path / "x", plans, 10, "ppo")
    with pytest.raises(ConfigurationError, match="learns from demonstrations, and none are given"):
        trained(tmp_path / "x", [], 10, "diffusion-likelihood")
    trained(tmp_path / "dqn", plans, 20, "dqn")
    whole = (tmp_path / "dqn").read_bytes()
    with pytest.raises(ConfigurationError, match="has agent 'dqn', not 'sac'"):
        trained(tmp_path / "dqn", plans, 40, "sac")
    with pytest.raises(ConfigurationError, match="has 20 updates already, more than 10"):
        trained(tmp_path / "dqn", plans, 10, "dqn")
    assert (tmp_path / "dqn").read_bytes() == whole
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    (tmp_path / "dqn").write_bytes(flipped)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        trained(tmp_path / "dqn", plans, 40, "dqn")
    (tmp_path / "plans").write_text("{}")
    with pytest.raises(ConfigurationError, match="no file of solved problems"):
        solved([SMALL], 1, seed=1, name="training", path=tmp_path / "plans")
    solved([SMALL], 1, seed=1, name="training", path=tmp_path / "one")
    with pytest.raises(ConfigurationError, match="plans of other problems"):
        solved([SMALL], 1, seed=2, name="training", path=tmp_path / "one")


def test_a_plan_whose_optimum_is_not_proven_states_its_gap_again(tmp_path, monkeypatch):
    whole = exact.solve
    gaps = iter((0.07, 1e-3))

    def limited(problem, gap):
        return dataclasses.replace(whole(problem, gap=gap), gap=next(gaps))

    monkeypatch.setattr(exact, "solve", limited)
    first = solved([SMALL], 2, seed=4, name="gaps", path=tmp_path / "plans")
    monkeypatch.setattr(exact, "solve", None)
    again = solved([SMALL], 2, seed=4, name="gaps", path=tmp_path / "plans")
    assert [plan.gap for _, plan in first] == [plan.gap for _, plan in again] == [0.07, 1e-3]


def test_solved_problems_are_kept_and_not_solved_again(tmp_path, monkeypatch):
    first = solved([SMALL], 3, seed=4, name="kept", path=tmp_path / "plans")
    monkeypatch.setattr(exact, "solve", None)
    again = solved([SMALL], 3, seed=4, name="kept", path=tmp_path / "plans")
    assert [plan for _, plan in first] == [plan for _, plan in again]
    for problem, plan in again:
        assert excess(problem, plan.at) == 0


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ([2.0] * 6 + [1.2] * 6, True),
        (list(np.linspace(2.0, 1.0, 12)), False),
        ([2.0] * 8 + [1.30, 1.297, 1.294, 1.292], True),
        ([2.0] * 8 + [1.30, 1.295, 1.290, 1.285], False),
        ([2.0] * 8 + [1.2, 1.25, 1.3, 1.35], True),
        ([1.2] * 8, False),
    ],
)
@pytest.mark.parametrize("unit", [1.0, 0.004])
def test_a_curve_is_flat_if_its_last_third_falls_by_less_than_one_per_cent(values, flat, unit):
    """Whatever the unit of the delay, and of what has been done."""
    assert is_flat([(1000 * i, unit * value) for i, value in enumerate(values)]) == flat
    assert is_flat([(i, unit * value) for i, value in enumerate(values)]) == flat
