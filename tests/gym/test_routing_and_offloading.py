# SPDX-License-Identifier: GPL-2.0-only
"""The environments of routing and offloading: what Gymnasium asks of them, and rules beside them."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import edgelam.gym
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.inference.offloading import fdedge, lad_ts
from edgelam.inference.offloading.rules import mean_delay


@pytest.mark.parametrize("name", ["Routing", "Offloading"])
def test_gymnasium_accepts_it(name):
    check_env(gymnasium.make(f"edgelam/{name}-v0").unwrapped, skip_render_check=True)


@pytest.mark.parametrize(("state", "rule"), [("now", "greedy"), ("slot", "greedy-by-slot")])
@pytest.mark.parametrize("setting", [lad_ts.setting(3), fdedge.setting(20)], ids=lambda setting: setting.name)
def test_an_agent_that_does_what_a_rule_does_has_its_delay(setting, state, rule):
    env = edgelam.gym.OffloadingEnv(setting, state=state)
    for number in range(2):
        seen, _ = env.reset(seed=1) if number == 0 else env.reset()
        delays, ended = [], False
        while not ended:
            seen, reward, ended, _, remarks = env.step(int(seen["nodes"].sum(axis=1).argmin()))
            assert reward == -remarks["delay_s"]
            delays.append(remarks["delay_s"])
        assert np.mean(delays) == pytest.approx(mean_delay(setting, rule, 1, number), rel=1e-3)
    with pytest.raises(EdgelamError, match="call reset"):
        env.step(0)


def test_an_episode_of_routing_has_its_requests_and_its_shift():
    env = edgelam.gym.RoutingEnv(requests=20, moves_per_s=2.0)
    flows = len(env.problem.flows)
    flooded = [50.0] + [0.05] * (flows - 1)
    for options in ({}, {"demand": flooded}):
        seen, _ = env.reset(seed=3, options=options)
        complete, ended = 0, False
        while not ended:
            seen, reward, _, ended, remarks = env.step(int(np.flatnonzero(seen["legal"])[0]))
            complete += "delay_s" in remarks
            assert -5 <= reward <= 0
        assert complete == 20
    for options, text in (({"demand": [1.0]}, "finite numbers"), ({"wind": 1}, "no option 'wind'")):
        with pytest.raises(ConfigurationError, match=text):
            env.reset(options=options)
    with pytest.raises(ConfigurationError, match="requests are 0"):
        edgelam.gym.RoutingEnv(requests=0)
    with pytest.raises(ConfigurationError, match="moves_per_s is -1"):
        edgelam.gym.RoutingEnv(moves_per_s=-1)


def test_what_an_environment_does_not_know_is_refused():
    for env in (edgelam.gym.DeploymentEnv(), edgelam.gym.MigrationEnv(), edgelam.gym.OffloadingEnv()):
        with pytest.raises(ConfigurationError, match="reset has no option 'wind'; there are: "):
            env.reset(seed=1, options={"wind": 1})
    with pytest.raises(ConfigurationError, match="state is 'later'; legal are: slot, now"):
        edgelam.gym.OffloadingEnv(state="later")
