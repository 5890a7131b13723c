# SPDX-License-Identifier: GPL-2.0-only
"""The base of all environments: an episode is a Problem, and each step chooses one of its nodes.

An observation has a row of numbers for each node, so a policy that treats all rows alike (edgelam/agents) serves any
number of nodes. An environment is written by three methods, `begin`, `look` and `choose`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.random_streams import derive_seed, from_numbers

Observation = dict[str, np.ndarray]
"""``nodes`` float32 [N, columns of a row], ``context`` float32 [its columns], ``legal`` int8 [N]: 1 where a node may be
chosen."""
Problems = Callable[[np.random.Generator], Any]
"""Draws the problem of an episode: a `Problem`, or anything with `nodes`. All have the same number of nodes."""


class NodeChoice(gymnasium.Env[Observation, int]):
    """An environment in which each step chooses a node."""

    options: ClassVar[tuple[str, ...]] = ()
    """Names of the options of `reset` that it has beside ``problem``; all others are refused."""

    def __init__(
        self, name: str, problems: Problems, *, rows: Sequence[str], context: Sequence[str], most: float, seed: int = 1
    ) -> None:
        """Make the spaces.

        Args:
            name: of the random stream ``NAME episodes``, from which everything random is drawn.
            problems: draws the problem of each episode.
            rows: names of the columns of a node's row.
            context: names of the columns of what is the same for all nodes.
            most: largest absolute value of both.
            seed: of the stream until `reset` gives another one.

        Raises ConfigurationError if the seed is not legal.
        """
        self.name, self.problems = name, problems
        self.rows, self.context_names = tuple(rows), tuple(context)
        self.problem: Any = problems(self._stream(seed))
        self.rng = self._stream(seed)
        num_n = len(self.problem.nodes)
        self.action_space = spaces.Discrete(num_n)  # type: ignore[assignment]  # its elements are NumPy integers
        self.observation_space = spaces.Dict(  # type: ignore[assignment]  # its values are NumPy arrays
            {
                "nodes": spaces.Box(-most, most, (num_n, len(self.rows)), np.float32),
                "context": spaces.Box(-most, most, (len(self.context_names),), np.float32),
                "legal": spaces.MultiBinary(num_n),
            }
        )
        self._running = False

    def begin(self, options: dict[str, Any]) -> None:
        """Begin an episode with `self.problem`; draw what is random from `self.rng`."""
        raise NotImplementedError

    def look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows [N, columns], the context [columns], and which nodes may be chosen, bool [N]."""
        raise NotImplementedError

    def choose(self, node: int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Choose a node; return the reward, whether the episode has ended, whether it is cut short, and remarks.

        Any node may come, also one that may not be chosen: what then happens is up to the environment, and stated.
        """
        raise NotImplementedError

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict]:
        """Begin an episode.

        seed: of all episodes from now on; None: the stream goes on. options: ``{"problem": Problem}`` is the problem of
        this episode, and further ones are the environment's (`options` of the class). Raises ConfigurationError for an
        option that there is not, and for a problem with another number of nodes.
        """
        super().reset(seed=seed)
        if seed is not None:
            self.rng = self._stream(seed)
        given = dict(options or {})
        refuse_unknown(given, ("problem", *self.options))
        problem = given.pop("problem", None)
        self.problem = self.problems(self.rng) if problem is None else problem
        if len(self.problem.nodes) != self.action_space.n:  # type: ignore[attr-defined]
            raise ConfigurationError(
                f"the problem of an episode has {len(self.problem.nodes)} nodes; this environment is for "
                f"{self.action_space.n}, and one for another number is to be made"  # type: ignore[attr-defined]
            )
        self.begin(given)
        self._running = True
        return self._seen(), {}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Choose a node. Raises EdgelamError if no episode is running, ConfigurationError if there is no such node."""
        if not self._running:
            raise EdgelamError("this episode has ended, or none has begun: call reset()")
        if not self.action_space.contains(action):
            raise ConfigurationError(
                f"action is {action!r}; legal are whole numbers from 0 to {len(self.problem.nodes) - 1}: a node"
            )
        reward, terminated, truncated, remarks = self.choose(int(action))
        self._running = not (terminated or truncated)
        return self._nothing() if terminated else self._seen(), float(reward), terminated, truncated, remarks

    def action_masks(self) -> np.ndarray:
        """Return which nodes may be chosen, bool [N] (the name that sb3-contrib's MaskablePPO asks for)."""
        return self.look()[2] if self._running else np.ones(len(self.problem.nodes), dtype=bool)

    def _seen(self) -> Observation:
        rows, context, legal = self.look()
        return {
            "nodes": rows.astype(np.float32), "context": context.astype(np.float32), "legal": legal.astype(np.int8),
        }  # fmt: skip

    def _nothing(self) -> Observation:
        """What is seen when an episode has ended by itself, and nothing is left to be decided: zeros."""
        places: Any = self.observation_space
        return {name: np.zeros(space.shape, space.dtype) for name, space in places.items()}

    def _stream(self, seed: int) -> np.random.Generator:
        if seed < 0:
            raise ConfigurationError(f"seed is {seed!r}; legal are whole numbers from 0")
        return from_numbers(derive_seed(seed, f"{self.name} episodes"))


def refuse_unknown(options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise ConfigurationError for an option of `reset` that is not known."""
    for name in options:
        if name not in known:
            raise ConfigurationError(f"reset has no option {name!r}; there are: {', '.join(known) or 'none'}")
