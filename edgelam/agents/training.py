# SPDX-License-Identifier: GPL-2.0-only
"""Training: one update for each step that is taken (LAD-TS's slot), the same number for every learner, resumable.

The curve has how far the agent's plans are from the optimum on problems that it is not trained on, every so many
updates. A run that was killed goes on from its last checkpoint, and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgelam.agents import checkpoint
from edgelam.agents.agent import BATCH, Agent
from edgelam.agents.d2sac import D2SAC
from edgelam.agents.dqn import DQN
from edgelam.agents.experience import Demonstrations, Experience
from edgelam.agents.imitation import Imitation
from edgelam.agents.lad import LAD
from edgelam.agents.planning import solve
from edgelam.agents.sac import SAC
from edgelam.errors import ConfigurationError
from edgelam.gym.node_choice import NodeChoice
from edgelam.inference.problem import Plan, Problem, delay
from edgelam.random_streams import derive_seed, from_numbers, torch_seeded

AGENTS: dict[str, Callable[[int, int], Agent]] = {
    "diffusion-likelihood": Imitation, "diffusion-rl": LAD, "d2sac": D2SAC, "sac": SAC, "dqn": DQN,
}  # fmt: skip
"""By name: (columns of a row, columns of the context) -> agent."""
FLAT = 0.01
"""A curve is flat if the line through its last third falls by less than this: one percentage point of the distance."""
Solved = Sequence[tuple[Problem, Plan]]
Point = tuple[int, float]
"""Updates, and the mean distance from the optimum: delay / best - 1; a problem without a plan counts `NO_PLAN`."""
NO_PLAN = 1.0


def train(
    name: str,
    environments: Sequence[NodeChoice],
    updates: int,
    *,
    seed: int,
    path: Path,
    judged: Solved,
    every: int = 1000,
    demonstrations: Solved = (),
    told: Callable[[int], None] | None = None,
) -> tuple[Agent, list[Point]]:
    """Train an agent, and return it with its curve.

    Args:
        name: of `AGENTS`.
        environments: what it learns in.
        updates: how many; if `path` is a checkpoint with as many, nothing is done.
        seed: of the streams ``NAME ...``.
        path: the checkpoint; it is written every `every` updates and at the end.
        judged: problems with optimal plans for the curve; nothing is learned from them.
        every: updates between two points of the curve.
        demonstrations: problems with plans that ``diffusion-likelihood`` learns from.
        told: called with the number of updates.

    Raises ConfigurationError for an unknown name, and for a checkpoint of something else.
    """
    if name not in AGENTS:
        raise ConfigurationError(f"no agent is called {name!r}; there are: {', '.join(AGENTS)}")
    if name == "diffusion-likelihood" and not demonstrations:
        raise ConfigurationError("diffusion-likelihood learns from demonstrations, and none are given")
    stream = derive_seed(seed, name)
    experience = Experience(environments, stream) if not demonstrations else Demonstrations(demonstrations, stream)
    agent = new(name, experience.columns, seed)
    rng = from_numbers(derive_seed(stream, "choices, batches and noise"))
    about = {"agent": name, "seed": str(seed), "every": str(every)}
    curve: list[Point] = []
    done = 0
    if path.exists():
        facts, kept = checkpoint.read(path, agent, about)
        done, curve = int(facts["updates"]), [(int(u), float(g)) for u, g in json.loads(facts["curve"])]
        if done > updates:
            raise ConfigurationError(f"{path} has {done:,} updates already, more than {updates:,}")
        if done < updates:
            rng.bit_generator.state = json.loads(facts["rng"])
            experience.restore(kept, facts["experience"])
    while done < updates:
        experience.step(agent, rng, agent.explore(done))
        if experience.count < BATCH:
            continue
        agent.update(experience.batch(rng), rng)
        done += 1
        if done % every == 0:
            curve.append((done, distance(agent, judged, seed)))
        if done % every == 0 or done == updates:
            facts = about | {
                "updates": str(done), "curve": json.dumps(curve), "rng": json.dumps(rng.bit_generator.state),
                "experience": experience.facts(),
            }  # fmt: skip
            checkpoint.write(path, agent, facts, experience.tensors())
        if told is not None:
            told(done)
    return agent, curve


def new(name: str, columns: tuple[int, int], seed: int) -> Agent:
    """Return an agent with weights from the stream ``weights of NAME``."""
    with torch_seeded(derive_seed(seed, f"weights of {name}") % 2**63):
        return AGENTS[name](*columns)


def distance(agent: Agent, judged: Solved, seed: int) -> float:
    """Return the mean over problems of delay / delay of their plan - 1."""
    found = []
    for problem, best in judged:
        try:
            found.append(delay(problem, solve(problem, agent, seed=seed)) / delay(problem, best) - 1)
        except ConfigurationError:
            found.append(NO_PLAN)
    return float(np.mean(found))


def is_flat(curve: Sequence[Point]) -> bool:
    """Return whether a curve has flattened: the least-squares line through its last third falls by less than `FLAT`.

    A curve of fewer than nine points has not.
    """
    if len(curve) < 9:
        return False
    last = np.array(curve[-(len(curve) // 3) :], dtype=float)
    slope = np.polyfit(last[:, 0], last[:, 1], 1)[0]
    return bool(slope * (last[-1, 0] - last[0, 0]) > -FLAT)
