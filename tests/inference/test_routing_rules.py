# SPDX-License-Identifier: GPL-2.0-only
"""Rules beyond capacity and queue, one choice at a time."""

import numpy as np

from edgelam.inference import Request
from edgelam.inference.routing import LoadBalancedRoundRobin, Replica

ASK = Request(0, "ue0", "g", 0.0, {})


def choices(rule, queues, times, capacities=(1.0, 1.0, 1.0)):
    replicas = [Replica(f"n{i}", c, q) for i, (c, q) in enumerate(zip(capacities, queues, strict=True))]
    return [rule.choose("s", replicas, ASK, np.random.default_rng(0)) for _ in range(times)]


def test_load_balanced_round_robin_takes_turns_and_leaves_out_who_is_loaded_above_the_mean():
    assert choices(LoadBalancedRoundRobin(), (0, 0, 0), 4) == [0, 1, 2, 0]
    assert choices(LoadBalancedRoundRobin(), (0, 5, 0), 4) == [0, 2, 0, 2]
    assert choices(LoadBalancedRoundRobin(), (0.1, 0.1, 0.1), 3, (3.0, 3.0, 3.0)) == [0, 1, 2]
    assert choices(LoadBalancedRoundRobin(), (1, 0, 0), 3, (10.0, 1.0, 1.0)) == [0, 0, 0]  # 2/10 is less than 1/1


def test_load_balanced_round_robin_has_a_turn_for_each_service():
    rule, replicas = LoadBalancedRoundRobin(), [Replica(f"n{i}", 1.0, 0) for i in range(2)]
    assert [rule.choose(s, replicas, ASK, np.random.default_rng(0)) for s in "abab"] == [0, 0, 1, 1]
