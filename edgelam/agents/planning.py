# SPDX-License-Identifier: GPL-2.0-only
"""An agent as a solver of deployment: it places call after call, and takes back what leads nowhere.

Nodes that do not fit have no probability. If no node fits, the last call is taken back and gets the next most probable
node: a depth-first search in the agent's order, of at most `TRIES` times as many decisions as there are calls.
"""

from __future__ import annotations

import numpy as np
import torch

from edgelam.agents.agent import Agent, State
from edgelam.cosim.work import Work, count
from edgelam.errors import ConfigurationError
from edgelam.inference.deployment.placing import Placing
from edgelam.inference.dispatch import BYTES_AN_OPERATION
from edgelam.inference.problem import Plan, Problem
from edgelam.random_streams import derive_seed, from_numbers

TRIES = 20


def solve(problem: Problem, agent: Agent, *, seed: int) -> Plan:
    """Return a plan; seed: of the stream ``decisions of an agent``, for what its chain draws.

    The plan's work is what PyTorch's counter sees of a decision, times the number of decisions, and the stated
    operations of what the agent is shown. Raises ConfigurationError if it finds no plan.
    """
    problem.check()
    placing = Placing(problem)
    rng = from_numbers(derive_seed(seed, "decisions of an agent"))
    left: list[list[int]] = []
    """For each call that is placed, the nodes that have not been tried, the most probable one last."""
    gave = [np.full(len(problem.nodes), 1 / len(problem.nodes), np.float32)]
    each, decisions, shown = Work(), 0, 0
    while not placing.complete:
        fits = placing.fits()
        if fits.any():
            if decisions == TRIES * len(placing.order):
                raise ConfigurationError(f"the agent found no plan in {decisions} decisions: memory or processors are "
                                         "taken by what it placed before")  # fmt: skip
            state = state_of(placing.rows(), placing.context(), fits, gave[-1])
            if not decisions:  # counted once: all have the same shapes
                each = count(_decide, agent, state, from_numbers(derive_seed(seed, "counting")))
            found = _decide(agent, state, rng)
            decisions += 1
            shown += placing.operations()
            gave.append(found)
            left.append([int(n) for n in np.argsort(found, kind="stable") if fits[n]])
        elif not _taken_back(placing, left, gave):
            raise ConfigurationError("the agent found no plan, whatever it takes back: memory or processors do not do")
        placing.place(left[-1].pop())
    return placing.plan(decisions * each.flops + shown, decisions * each.bytes + BYTES_AN_OPERATION * shown)


def state_of(rows: np.ndarray, context: np.ndarray, legal: np.ndarray, before: np.ndarray) -> State:
    """Return one state as a batch."""
    return State(
        torch.from_numpy(rows)[None], torch.from_numpy(context)[None], torch.from_numpy(legal.astype(bool))[None],
        torch.from_numpy(before)[None],
    )  # fmt: skip


def _decide(agent: Agent, state: State, rng: np.random.Generator) -> np.ndarray:
    with torch.no_grad():
        return agent.probabilities(state, rng)[0].numpy()


def _taken_back(placing: Placing, left: list[list[int]], gave: list[np.ndarray]) -> bool:
    """Take calls back until one has another node to try; return whether there is one."""
    while left:
        placing.undo()
        if left[-1]:
            return True
        left.pop()
        gave.pop()
    return False
