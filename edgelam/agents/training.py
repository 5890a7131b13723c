# SPDX-License-Identifier: GPL-2.0-only
"""Training: so many updates, the same number for every learner, with one step or several for each; resumable.

The curve has how good the agent is where it is not trained, every so many updates. A run that was killed goes on from
its last checkpoint, and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgelam.agents import checkpoint
from edgelam.agents.agent import BATCH, DISCOUNT, Agent
from edgelam.agents.d2sac import D2SAC
from edgelam.agents.dqn import DQN
from edgelam.agents.experience import Demonstrations, Environment, Experience
from edgelam.agents.imitation import Imitation
from edgelam.agents.lad import LAD
from edgelam.agents.planning import solve
from edgelam.agents.sac import SAC
from edgelam.errors import ConfigurationError
from edgelam.inference.problem import Plan, Problem, delay
from edgelam.random_streams import derive_seed, from_numbers, torch_seeded

LIKELIHOOD = "diffusion-likelihood"
REINFORCED: dict[str, Callable[[int, int, float], Agent]] = {
    "diffusion-rl": LAD, "d2sac": D2SAC, "sac": SAC, "dqn": DQN,
}  # fmt: skip
"""By name: (columns of a row, columns of the context, discount) -> agent that learns from rewards."""
AGENTS = (LIKELIHOOD, *REINFORCED)
Solved = Sequence[tuple[Problem, Plan]]
Point = tuple[int, float]
"""Updates, and what `judge` says then."""
NO_PLAN = 1.0
"""Distance from the optimum of a problem without a plan."""


def train(
    name: str,
    environments: Sequence[Environment],
    updates: int,
    *,
    seed: int,
    path: Path,
    judge: Callable[[Agent], float],
    every: int = 1000,
    demonstrations: Solved = (),
    discount: float = DISCOUNT,
    steps: int = 1,
    told: Callable[[int], None] | None = None,
) -> tuple[Agent, list[Point]]:
    """Train an agent, and return it with its curve.

    Args:
        name: of `AGENTS`.
        environments: what it learns in, episode by episode in turn.
        updates: how many; if `path` is a checkpoint with as many, nothing is done.
        seed: of the streams ``NAME ...``.
        path: the checkpoint; it is written every `every` updates and at the end.
        judge: says how good the agent is, for the curve: `from_optimum`, or another mean delay.
        every: updates between two points of the curve.
        demonstrations: problems with plans that ``diffusion-likelihood`` learns from.
        discount: of rewards that come later, for each step; ``diffusion-likelihood`` looks at no rewards.
        steps: that are taken for each update.
        told: called with the number of updates.

    Raises ConfigurationError for an unknown name, and for a checkpoint of something else.
    """
    if name not in AGENTS:
        raise ConfigurationError(f"no agent is called {name!r}; there are: {', '.join(AGENTS)}")
    if not 0 <= discount <= 1:
        raise ConfigurationError(f"discount is {discount!r}; legal is 0 to 1")
    if steps < 1:
        raise ConfigurationError(f"steps are {steps!r}; there must be at least one for each update")
    if name == LIKELIHOOD and not demonstrations:
        raise ConfigurationError("diffusion-likelihood learns from demonstrations, and none are given")
    stream = derive_seed(seed, name)
    experience = Experience(environments, stream) if not demonstrations else Demonstrations(demonstrations, stream)
    agent = new(name, experience.columns, seed, discount)
    rng = from_numbers(derive_seed(stream, "choices, batches and noise"))
    about = {"agent": name, "seed": str(seed), "every": str(every)}
    if (discount, steps) != (DISCOUNT, 1):
        about |= {"discount": repr(discount), "steps": str(steps)}
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
        for _ in range(steps):
            experience.step(agent, rng, agent.explore(done))
        if experience.count < BATCH:
            continue
        agent.update(experience.batch(rng), rng)
        done += 1
        if done % every == 0:
            curve.append((done, judge(agent)))
        if done % every == 0 or done == updates:
            facts = about | {
                "updates": str(done), "curve": json.dumps(curve), "rng": json.dumps(rng.bit_generator.state),
                "experience": experience.facts(),
            }  # fmt: skip
            checkpoint.write(path, agent, facts, experience.tensors())
        if told is not None:
            told(done)
    return agent, curve


def new(name: str, columns: tuple[int, int], seed: int, discount: float = DISCOUNT) -> Agent:
    """Return an agent with weights from the stream ``weights of NAME``."""
    with torch_seeded(derive_seed(seed, f"weights of {name}") % 2**63):
        return Imitation(*columns) if name == LIKELIHOOD else REINFORCED[name](*columns, discount)


def from_optimum(judged: Solved, seed: int) -> Callable[[Agent], float]:
    """Return what judges an agent by its `distance` on these problems; nothing is learned from them."""
    return lambda agent: distance(agent, judged, seed)


def distance(agent: Agent, judged: Solved, seed: int) -> float:
    """Return the mean over problems of delay / delay of their plan - 1."""
    found = []
    for problem, best in judged:
        try:
            found.append(delay(problem, solve(problem, agent, seed=seed)) / delay(problem, best) - 1)
        except ConfigurationError:
            found.append(NO_PLAN)
    return float(np.mean(found))
