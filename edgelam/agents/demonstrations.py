# SPDX-License-Identifier: GPL-2.0-only
"""Problems with plans of the exact solver, to learn from and to be judged by; kept in a file, as solving takes long."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from edgelam.errors import ConfigurationError
from edgelam.files.storage import write_atomically
from edgelam.inference.deployment import exact
from edgelam.inference.drawn_problem import Drawn
from edgelam.inference.problem import Plan, Problem
from edgelam.random_streams import derive_seed, from_numbers

GAP = 1e-3
"""Relative gap at which the exact solver stops here; a plan that its limited search left with more states its own."""
KEPT_EVERY = 10
FORMAT = "edgelam demonstrations 1"
Plans = list[list[dict[str, int]]]
"""By number of the problem and flow: service -> node; no flow: no plan. The gaps of a file are those beyond `GAP`, by
number."""


def solved(
    drawn: Sequence[Drawn], count: int, *, seed: int, name: str, path: Path, told: Callable[[int], None] | None = None
) -> list[tuple[Problem, Plan]]:
    """Return `count` problems, of each of `drawn` in turn, with plans of the exact solver.

    Args:
        drawn: what problems are like.
        count: how many.
        seed: of the streams ``NAME NUMBER``.
        name: of the streams; other names give other problems.
        path: the file that keeps the plans; what it has is not solved again.
        told: called with the number of problems that are solved.

    A problem without a plan is left out, and the next number is taken. Raises ConfigurationError if the file is of
    other problems.
    """
    about = {"format": FORMAT, "drawn": [repr(each) for each in drawn], "seed": seed, "name": name, "gap": GAP}
    plans, gaps = _read(path, about)
    found: list[tuple[Problem, Plan]] = []
    number = 0
    while len(found) < count:
        problem = drawn[number % len(drawn)](from_numbers(derive_seed(seed, f"{name} {number}")))
        if number == len(plans):
            plan = _solve(problem)
            plans.append([{str(s): n for s, n in at.items()} for at in plan.at])
            if plan.gap > GAP:
                gaps[str(number)] = plan.gap
            if len(plans) % KEPT_EVERY == 0:
                _write(path, about, plans, gaps)
        if plans[number]:
            at = tuple({int(s): n for s, n in at.items()} for at in plans[number])
            found.append((problem, Plan(at, gap=gaps.get(str(number), GAP))))
        number += 1
        if told is not None:
            told(len(found))
    _write(path, about, plans, gaps)
    return found


def _solve(problem: Problem) -> Plan:
    try:
        return exact.solve(problem, gap=GAP)
    except ConfigurationError:  # no plan keeps to all bounds
        return Plan(())


def _read(path: Path, about: dict[str, object]) -> tuple[Plans, dict[str, float]]:
    if not path.exists():
        return [], {}
    try:
        known = json.loads(path.read_text())
        plans, gaps = known.pop("plans"), known.pop("gaps", {})
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"{path} is no file of solved problems: {error}; remove it, or name another") from None
    if known != about:
        raise ConfigurationError(f"{path} has plans of other problems ({known}); remove it, or name another folder")
    return list(plans), dict(gaps)


def _write(path: Path, about: dict[str, object], plans: Plans, gaps: dict[str, float]) -> None:
    write_atomically(path, json.dumps(about | {"plans": plans} | ({"gaps": gaps} if gaps else {})).encode())
