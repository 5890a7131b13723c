# SPDX-License-Identifier: GPL-2.0-only
"""Learners are trained, and compared with solvers on problems of sizes and demands that they are not trained on."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

from edgelam.agents import planning, training
from edgelam.agents.agent import Agent
from edgelam.agents.curve import is_flat
from edgelam.agents.demonstrations import solved
from edgelam.errors import ConfigurationError
from edgelam.files.storage import make_folder
from edgelam.gym import DeploymentEnv
from edgelam.inference.deployment import SOLVERS, exact
from edgelam.inference.drawn_problem import Drawn
from edgelam.inference.problem import Plan, Problem, delay, excess
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from ..config import Config
from . import tables

TRAINED_ON = tuple(Drawn(services=8, nodes=nodes, flows=3, length=4, tightness=0.5) for nodes in (4, 5, 6))
SEEN = "5 nodes, as trained"
SETS: dict[str, Drawn] = {
    SEEN: TRAINED_ON[1],
    "3 nodes": dataclasses.replace(TRAINED_ON[1], nodes=3),
    "9 nodes": dataclasses.replace(TRAINED_ON[1], nodes=9),
    "4 times the demand": dataclasses.replace(TRAINED_ON[1], load=4.0),
    "ample memory": dataclasses.replace(TRAINED_ON[1], tightness=0.1),
}
"""Name -> problems on which methods are compared; only the first is like those that learners are trained on."""
Solve = Callable[[Problem, int], Plan]
TREE = 100
"""Nodes of the tree after which the exact solver stops where services are deployed for ns-3: a node of the problem of
six users takes about 0.2 s. On the problems of `SETS` it searches as far as it does by default."""


def solvers(config: Config, folder: RunFolder, progress: Progress) -> dict[str, Solve]:
    """Train what learns; return method -> solver."""
    settings = config.deployment
    problems = _Problems(config, folder, progress)
    found: dict[str, Solve] = {name: SOLVERS[name] for name in settings.methods if name in SOLVERS}
    found["exact"] = lambda problem, seed: exact.solve(problem, most_nodes=TREE)
    if settings.learned:
        judged = problems.solved("judged", TRAINED_ON, settings.judged)
        for name in settings.learned:
            examples = []
            if name == "diffusion-likelihood":
                examples = problems.solved("examples", TRAINED_ON, settings.examples)
            progress.begin(name, settings.updates, "updates")
            agent, curve = training.train(
                name, [DeploymentEnv(drawn) for drawn in TRAINED_ON], settings.updates, seed=config.seed,
                path=problems.place / f"{name}.safetensors", judge=training.from_optimum(judged, config.seed),
                demonstrations=examples, told=progress.step,
            )  # fmt: skip
            for updates, distance in curve:
                folder.table("curves", tables.CURVES).append(
                    {"method": name, "updates": updates, "distance": distance}
                )  # fmt: skip
            folder.table("learners", tables.LEARNERS).append(
                {"method": name, "updates": settings.updates, "flat": is_flat([(u, 1 + d) for u, d in curve])}
            )
            found[name] = _of(agent)
    return {name: found[name] for name in settings.methods}


def compare(config: Config, methods: dict[str, Solve], folder: RunFolder, progress: Progress) -> None:
    """Solve the problems of all `SETS` with all methods; a row for each."""
    settings = config.deployment
    known = _Problems(config, folder, progress)
    for title, drawn in SETS.items():
        name = f"tested, {title}"
        problems = known.solved(name, (drawn,), settings.judged)
        progress.begin(name, settings.judged * len(methods), "plans")
        for done, ((number, (problem, best)), method) in enumerate(itertools.product(enumerate(problems), methods), 1):
            row = {"set": title, "problem": number, "method": method, "best_s": delay(problem, best), "gap": best.gap}
            try:
                plan = best if method == "exact" else methods[method](problem, config.seed)
                row |= {"delay_s": delay(problem, plan), "excess": excess(problem, plan.at), "reason": "",
                        "operations": plan.operations}  # fmt: skip
            except ConfigurationError as error:
                row |= {"delay_s": None, "excess": None, "reason": str(error), "operations": None}
            folder.table("model", tables.MODEL).append(row)
            progress.step(done)


def _of(agent: Agent) -> Solve:
    return lambda problem, seed: planning.solve(problem, agent, seed=seed)


class _Problems:
    """Solved problems of a run, by name; they are kept beside the checkpoints."""

    def __init__(self, config: Config, folder: RunFolder, progress: Progress) -> None:
        settings = config.deployment
        self.place = Path(settings.agents) if settings.agents else folder.path / "agents"
        make_folder(self.place)
        self._seed, self._progress = config.seed, progress

    def solved(self, name: str, drawn: tuple[Drawn, ...], count: int) -> list[tuple[Problem, Plan]]:
        self._progress.begin(f"problems: {name}", count, "problems")
        file = "".join(c if c.isalnum() else "-" for c in name)
        path = self.place / f"{file}.json"
        return solved(drawn, count, seed=self._seed, name=name, path=path, told=self._progress.step)
