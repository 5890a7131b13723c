# SPDX-License-Identifier: GPL-2.0-only
"""Steps that agents learn from: one is taken for each update, by the agent itself, or as a plan says."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from edgelam.agents.agent import BATCH, Agent, Batch, State
from edgelam.agents.planning import state_of
from edgelam.gym.deployment import DeploymentEnv
from edgelam.gym.node_choice import NodeChoice, Observation
from edgelam.gym.offloading import OffloadingEnv
from edgelam.inference.problem import Plan, Problem
from edgelam.random_streams import derive_seed

CAPACITY = 20_000
"""Steps that are kept: the last ones."""
Environment = NodeChoice | OffloadingEnv
"""What agents learn in: each step chooses a node, which has a row of numbers."""


class Experience:
    """Episodes of several environments in turn, and the steps that were taken in them."""

    def __init__(self, environments: Sequence[Environment], seed: int) -> None:
        """environments: they may have different numbers of nodes; seed: of the streams ``episode NUMBER``."""
        self.environments, self.seed = list(environments), seed
        first = self.environments[0]
        self.columns = len(first.rows), len(first.context_names)
        nodes = max(int(env.action_space.n) for env in self.environments)  # type: ignore[attr-defined]
        rows, context = self.columns
        self._kept: dict[str, Tensor] = {
            "action": torch.zeros(CAPACITY, dtype=torch.int64),
            "reward": torch.zeros(CAPACITY), "ended": torch.zeros(CAPACITY),
        }  # fmt: skip
        for when in ("state", "after"):
            self._kept |= {
                f"{when}.rows": torch.zeros(CAPACITY, nodes, rows), f"{when}.context": torch.zeros(CAPACITY, context),
                f"{when}.legal": torch.zeros(CAPACITY, nodes, dtype=torch.bool),
                f"{when}.before": torch.zeros(CAPACITY, nodes),
            }  # fmt: skip
        self.count = 0
        """How many steps have been taken."""
        self.episode = -1
        self._taken: list[int] = []
        """Choices of the episode that is running."""
        self._seen: Observation = {}
        self._before = np.zeros(0, np.float32)

    def step(self, agent: Agent, rng: np.random.Generator, explore: float) -> None:
        """Take a step."""
        if not self._seen:
            self._begin(self.episode + 1)
        seen_before, gave = self._seen, self._before
        node, self._before = self._choose(agent, rng, explore)
        seen, reward, ended, _, _ = self._env.step(node)
        self._taken.append(node)
        self._seen = {} if ended else seen
        place = self.count % CAPACITY
        self._note(place, "state", seen_before, gave)
        if not ended:
            self._note(place, "after", seen, self._before)
        self._kept["action"][place], self._kept["reward"][place] = node, reward
        self._kept["ended"][place] = float(ended)
        if ended:  # nothing follows; the values of what follows are finite, and count 0
            for part in ("rows", "context", "legal", "before"):
                self._kept[f"after.{part}"][place] = self._kept[f"state.{part}"][place]
        self.count += 1

    def batch(self, rng: np.random.Generator) -> Batch:
        """Return steps that are drawn from those that are kept."""
        index = torch.from_numpy(rng.integers(min(self.count, CAPACITY), size=BATCH))
        kept = {name: tensor[index] for name, tensor in self._kept.items()}
        state, after = (
            State(*(kept[f"{when}.{part}"] for part in ("rows", "context", "legal", "before")))
            for when in ("state", "after")
        )
        return Batch(state, kept["action"], kept["reward"], kept["ended"], after)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps of it."""
        size = min(self.count, CAPACITY)
        return {name: tensor[:size] for name, tensor in self._kept.items()} | {
            "taken": torch.tensor(self._taken, dtype=torch.int64), "before": torch.from_numpy(self._before),
        }  # fmt: skip

    def facts(self) -> str:
        """Return the rest of it, as text."""
        return json.dumps({"count": self.count, "episode": self.episode, "running": bool(self._seen)})

    def restore(self, tensors: Mapping[str, Tensor], facts: str) -> None:
        """Go on where a checkpoint was written: its episode is done again up to there."""
        known = json.loads(facts)
        if known["episode"] >= 0:
            self._begin(known["episode"])
            for node in tensors["taken"].tolist():
                self._seen = self._env.step(node)[0]
                self._taken.append(node)
        if not known["running"]:
            self._seen = {}
        self._before = tensors["before"].numpy().copy()
        self.count = known["count"]
        for name, tensor in self._kept.items():
            tensor[: len(tensors[name])] = tensors[name]

    def _choose(self, agent: Agent, rng: np.random.Generator, explore: float) -> tuple[int, np.ndarray]:
        """Return a node, and the probabilities that the agent gives."""
        with torch.no_grad():
            gave = agent.probabilities(self._as_batch(), rng)[0].numpy()
        legal = np.flatnonzero(self._seen["legal"])
        if explore and rng.random() < explore:
            return int(rng.choice(legal)), gave
        exact = gave[legal].astype(float)
        return int(rng.choice(legal, p=exact / exact.sum())), gave

    def _begin(self, episode: int) -> None:
        self.episode, self._taken = episode, []
        self._env = self.environments[episode % len(self.environments)]
        self._seen, _ = self._env.reset(seed=derive_seed(self.seed, f"episode {episode}") % 2**63)
        legal = self._seen["legal"].astype(np.float32)
        self._before = legal / max(legal.sum(), 1)

    def _as_batch(self) -> State:
        seen = self._seen
        return state_of(seen["nodes"], seen["context"], seen["legal"], self._before)

    def _note(self, place: int, when: str, seen: Observation, before: np.ndarray) -> None:
        nodes = len(before)
        for part, array in (("rows", seen["nodes"]), ("legal", seen["legal"].astype(bool)), ("before", before)):
            kept = self._kept[f"{when}.{part}"][place]
            kept[nodes:] = 0
            kept[:nodes] = torch.from_numpy(array)
        self._kept[f"{when}.context"][place] = torch.from_numpy(seen["context"])


class Demonstrations(Experience):
    """Steps as plans of solved problems say, one problem after the other, again and again."""

    def __init__(self, solved: Sequence[tuple[Problem, Plan]], seed: int) -> None:
        """solved: problems with optimal plans."""
        self.solved = list(solved)
        sizes = {len(problem.nodes): problem for problem, _ in self.solved}
        super().__init__([DeploymentEnv(functools.partial(_same, problem)) for problem in sizes.values()], seed)
        self._of_size = dict(zip(sizes, self.environments, strict=True))

    def _choose(self, agent: Agent, rng: np.random.Generator, explore: float) -> tuple[int, np.ndarray]:
        _, plan = self.solved[self.episode % len(self.solved)]
        f, s = self._env.placing.call  # type: ignore[union-attr]
        node = plan.at[f][s]
        return node, np.eye(len(self._before), dtype=np.float32)[node]

    def _begin(self, episode: int) -> None:
        self.episode, self._taken = episode, []
        problem, _ = self.solved[episode % len(self.solved)]
        self._env = self._of_size[len(problem.nodes)]
        self._seen, _ = self._env.reset(options={"problem": problem})
        legal = self._seen["legal"].astype(np.float32)
        self._before = legal / max(legal.sum(), 1)


def _same(problem: Problem, rng: np.random.Generator) -> Problem:
    return problem
