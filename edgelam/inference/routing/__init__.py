# SPDX-License-Identifier: GPL-2.0-only
"""Rules that choose a replica of a service for a request, one in each file."""

from collections.abc import Callable

from edgelam.inference.routing.capacity_proportional import CapacityProportional
from edgelam.inference.routing.join_shortest_queue import JoinShortestQueue
from edgelam.inference.routing.knowledge import Knowledge
from edgelam.inference.routing.learned import Learned
from edgelam.inference.routing.least_expected_delay import LeastExpectedDelay
from edgelam.inference.routing.load_balanced_round_robin import LoadBalancedRoundRobin
from edgelam.inference.routing.planned import Planned
from edgelam.inference.routing.power_of_two_choices import PowerOfTwoChoices
from edgelam.inference.routing.rule import Replica, Rule
from edgelam.inference.routing.smooth_weighted_round_robin import SmoothWeightedRoundRobin

RULES: dict[str, Callable[[], Rule]] = {
    "capacity-proportional": CapacityProportional,
    "smooth-weighted-round-robin": SmoothWeightedRoundRobin,
    "join-shortest-queue": JoinShortestQueue,
    "power-of-two-choices": PowerOfTwoChoices,
    "load-balanced-round-robin": LoadBalancedRoundRobin,
}
"""Rules that know only capacities and queues, by name."""

__all__ = [
    "RULES",
    "CapacityProportional",
    "JoinShortestQueue",
    "Knowledge",
    "Learned",
    "LeastExpectedDelay",
    "LoadBalancedRoundRobin",
    "Planned",
    "PowerOfTwoChoices",
    "Replica",
    "Rule",
    "SmoothWeightedRoundRobin",
]
