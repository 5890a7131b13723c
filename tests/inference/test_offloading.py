# SPDX-License-Identifier: GPL-2.0-only
"""The two published environments: delays as others have measured them, and queues worked out by hand."""

import numpy as np
import pytest

from edgelam.errors import ConfigurationError
from edgelam.inference.offloading import fdedge, lad_ts
from edgelam.inference.offloading.rules import CHOOSERS, mean_delay
from edgelam.inference.offloading.tasks import Servers, Setting, Task, episode


def mean(setting, rule, episodes=2):
    return np.mean([mean_delay(setting, rule, 1, number) for number in range(episodes)])


def test_more_work_comes_to_lad_ts_than_all_servers_can_do():
    assert lad_ts.setting().capacities.sum() == 656
    assert lad_ts.setting().load == pytest.approx(1.26, rel=0.03)
    assert fdedge.setting().capacities.sum() == 326
    assert fdedge.setting().load < 0.8


@pytest.mark.parametrize(
    ("rule", "seconds"),
    [("greedy", 7.23), ("capacity-proportional", 7.22), ("uniform", 16.8), ("local", 16.3), ("greedy-by-slot", 15.6)],
)
def test_delays_of_lad_ts(rule, seconds):
    """Values of an independent program. An episode's load varies by 1.6 %, and the delay with its excess over 1."""
    assert mean(lad_ts.setting(), rule) == pytest.approx(seconds, rel=0.15)


@pytest.mark.parametrize(
    ("most", "rule", "seconds"),
    [
        (30, "greedy", 0.384), (30, "capacity-proportional", 0.441), (30, "uniform", 4.15), (30, "local", 4.71),
        (10, "greedy", 0.145), (10, "capacity-proportional", 0.174), (10, "uniform", 0.210), (10, "local", 0.233),
    ],
)  # fmt: skip
def test_delays_of_lad_ts_with_fewer_tasks(most, rule, seconds):
    overloaded = seconds > 1  # its servers are, by this rule
    found = mean(lad_ts.setting(most), rule, episodes=2 if overloaded else 1)
    assert found == pytest.approx(seconds, rel=0.2 if overloaded else 0.12)


@pytest.mark.parametrize(
    ("rule", "seconds", "within"),
    [
        ("greedy", 0.80, 0.12), ("smooth-weighted-round-robin", 0.876, 0.12), ("capacity-proportional", 1.10, 0.12),
        ("uniform", 6.19, 0.2),
    ],
)  # fmt: skip
def test_delays_of_fdedge(rule, seconds, within):
    """Of uniform, the slowest server is overloaded, so episodes differ most (standard error of four: 14 %)."""
    assert mean(fdedge.setting(), rule, episodes=4) == pytest.approx(seconds, rel=within)


def test_queues_by_hand():
    """Two servers of 2 and 4 Gcycle/s behind 10 Mbit/s; tasks of 3 Gcycle and 1 Mbit, results of .5 Mbit."""
    setting = Setting(
        "two", np.array([2.0, 4.0]), np.array([10.0, 10.0]), np.array([3.0]), np.zeros(1), np.array([0.5]), (1, 1),
        (0,), 1, 2,
    )  # fmt: skip
    servers, task = Servers(setting), Task(0, 1.0, 3.0, 0.5)
    assert servers.delays(task) == pytest.approx([0.05 + 1.5, 0.15 + 0.75])
    assert servers.send(task, 1) == pytest.approx(0.15 + 0.75)
    assert servers.delays(task) == pytest.approx([0.05 + 1.5, 0.15 + 1.5])
    servers.send(task, 0)
    servers.send(task, 1)
    servers.end_slot()  # 3 - 2 and 6 - 4 are left
    assert servers.queued.tolist() == [1, 2]
    assert servers.delays(task) == pytest.approx([0.05 + 2, 0.15 + 1.25])
    assert setting.load == pytest.approx(3 / 6)
    assert setting.mean_gcycles == pytest.approx(3)


def test_all_rules_get_the_same_tasks():
    first, again, other = ([*episode(lad_ts.setting(5), seed, 0)] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert [len(slot) for slot in first] != [len(slot) for slot in other]


@pytest.mark.parametrize("rule", CHOOSERS)
def test_a_rule_is_deterministic(rule):
    assert mean_delay(lad_ts.setting(3), rule, 1, 0) == mean_delay(lad_ts.setting(3), rule, 1, 0)


@pytest.mark.parametrize("most", [0, 51])
def test_a_number_of_tasks_that_is_not_legal(most):
    with pytest.raises(ConfigurationError, match=f"most_tasks is {most}; legal is 1 to 50"):
        lad_ts.setting(most)
