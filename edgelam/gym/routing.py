# SPDX-License-Identifier: GPL-2.0-only
"""Routing over replicas, on the queueing model of edgelam/inference/routing_model.py: each step routes a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.gym.node_choice import NodeChoice, Problems
from edgelam.inference.deployment.replicated import spread
from edgelam.inference.drawn_problem import Drawn
from edgelam.inference.problem import Problem
from edgelam.inference.routing_model import CONTEXT, MOST, ROWS, WORST, Model, Places, Shift, Tables, check_behaviour

Replicas = Callable[[Problem], Mapping[str, Sequence[str]]]
"""Says for a problem where its services are: service -> names of nodes."""


class RoutingEnv(NodeChoice):
    """The reward of a request's last call is minus its delay over its deadline, at least -5; others have 0.

    A request without a deadline has the mean of the others' (1 s without any). An episode is cut short after its
    requests. A node without a replica stands for the first one that has it. `info` has the delay of a request that is
    complete by a step, as ``delay_s``, and whether it is in time, as ``on_time``. Options of `reset`: ``demand``, a
    factor of each flow's rate, and ``attraction``, numbers of places (see `Shift`), shift the episode.
    """

    options = ("demand", "attraction")

    def __init__(
        self, problems: Problems | None = None, replicas: Replicas | None = None, *,
        places: Callable[[Problem], Places] | None = None, requests: int = 200, moves_per_s: float = 0.1,
        report_every_s: float = 0.1, seed: int = 1,
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            problems: draws the problem of an episode; by default `Drawn()`.
            replicas: says where its services are; by default `spread`, two of each.
            places: of users; by default, one for each user.
            requests: of an episode.
            moves_per_s: how often a user goes to another place.
            report_every_s: how often nodes tell the router what they have ended; 0: it knows at once.
            seed: of the stream ``routing episodes``.

        Raises ConfigurationError for numbers that are not legal.
        """
        if requests < 1:
            raise ConfigurationError(f"requests are {requests!r}; there must be at least one")
        check_behaviour(moves_per_s=moves_per_s, report_every_s=report_every_s)
        self.replicas, self.places, self.requests = replicas or partial(spread, replicas=2), places, requests
        self.moves_per_s, self.report_every_s = moves_per_s, report_every_s
        super().__init__("routing", problems or Drawn(), rows=ROWS, context=CONTEXT, most=MOST, seed=seed)

    def begin(self, options: dict[str, Any]) -> None:
        """Begin with empty queues."""
        tables = Tables(self.problem, self.replicas(self.problem), self.places and self.places(self.problem))
        shift = Shift.none(tables, 1)
        parts = {"demand": shift.demand, "attraction": shift.attraction}
        for name, value in options.items():
            given = np.asarray(value, dtype=float)
            if given.shape != parts[name].shape[1:] or not np.isfinite(given).all():
                raise ConfigurationError(f"{name} is {value!r}; it must be {parts[name].shape[1]} finite numbers")
            parts[name] = given[None]
        if not (parts["demand"] > 0).all():
            raise ConfigurationError(f"demand is {options['demand']!r}; factors must be above 0")
        self.model = Model(
            tables, self.rng, copies=1, moves_per_s=self.moves_per_s, report_every_s=self.report_every_s,
            shift=Shift(**parts),
        )  # fmt: skip
        self._complete = 0

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the router knows."""
        seen = self.model.view()
        return seen.rows[0], seen.context[0], seen.legal[0]

    def choose(self, node: int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Route the call."""
        tables = self.model.tables
        delays, flows = self.model.step(np.array([node]))
        delay, deadline = float(delays[0]), float(tables.deadline[flows[0]])
        if np.isnan(delay):
            return 0.0, False, False, {}
        self._complete += 1
        remarks = {"delay_s": delay, "on_time": delay <= deadline}
        return -min(delay / deadline, WORST), False, self._complete == self.requests, remarks
