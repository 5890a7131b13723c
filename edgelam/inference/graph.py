# SPDX-License-Identifier: GPL-2.0-only
"""Graphs of services: what a request of one kind passes through.

A graph is made of routers, in the words of KServe's InferenceGraph: a `Sequence` does its steps one after the other, an
`Ensemble` does all at the same time, a `Switch` does the first one whose condition holds, and a `Splitter` draws one by
weight. A step is the name of a service, or of another router of the graph. A service takes values by name. It finds
what the request brought and what steps before it on its way gave; after an Ensemble, all values of its steps are there.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from edgelam.errors import ConfigurationError
from edgelam.text import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.inference.service import Service

Kind = Literal["Sequence", "Ensemble", "Switch", "Splitter"]
ROOT = "root"
_COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
            ">=": operator.ge}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Condition:
    """``Condition("label", "==", 3)``: compares the first element of a value with a number."""

    key: str
    compare: str
    number: float

    def __post_init__(self) -> None:
        """Refuse an unknown comparison."""
        if self.compare not in _COMPARE:
            raise ConfigurationError(f"a condition cannot be {self.compare!r}; legal are: {' '.join(_COMPARE)}")

    def holds(self, value: Tensor) -> bool:
        """Return whether it holds for this value."""
        return bool(_COMPARE[self.compare](float(value.reshape(-1)[0]), self.number))


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of a router."""

    name: str
    """A service, or another router of the graph."""
    when: Condition | None = None
    """Of a Switch: when it is taken; None: always, which is legal for the last step only."""
    weight: float = 1.0
    """Of a Splitter: how often it is drawn, relative to the others. Of a Switch: how often it is expected, for
    planning."""


@dataclasses.dataclass(frozen=True)
class Router:
    """A router: what to do with its steps."""

    kind: Kind
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Refuse steps that do not go with the kind."""
        if not self.steps:
            raise ConfigurationError(f"a {self.kind} needs at least one step")
        for step in self.steps:
            if not step.weight > 0:
                raise ConfigurationError(f"step {step.name!r} has weight {step.weight!r}; it must be above 0")
            if step.when is not None and self.kind != "Switch":
                raise ConfigurationError(f"step {step.name!r} of a {self.kind} has a condition; only a Switch has them")
        if self.kind == "Switch" and any(step.when is None for step in self.steps[:-1]):
            raise ConfigurationError("every step of a Switch but the last one needs a condition")

    def shares(self) -> list[float]:
        """Return how often each step is expected to be done for each time that the router is reached."""
        if self.kind in ("Sequence", "Ensemble"):
            return [1.0] * len(self.steps)
        total = sum(step.weight for step in self.steps)
        return [step.weight / total for step in self.steps]


def sequence(*steps: str | Step) -> Router:
    """Return a router that does its steps one after the other."""
    return Router("Sequence", _steps(steps))


def ensemble(*steps: str | Step) -> Router:
    """Return a router that does all its steps at the same time."""
    return Router("Ensemble", _steps(steps))


def switch(*steps: str | Step) -> Router:
    """Return a router that does the first step whose condition holds."""
    return Router("Switch", _steps(steps))


def splitter(*steps: str | Step) -> Router:
    """Return a router that draws one of its steps by weight, from a random stream of the request."""
    return Router("Splitter", _steps(steps))


def _steps(steps: tuple[str | Step, ...]) -> tuple[Step, ...]:
    return tuple(Step(step) if isinstance(step, str) else step for step in steps)


@dataclasses.dataclass(frozen=True)
class Graph:
    """A kind of request."""

    name: str
    takes: tuple[str, ...]
    """Values that a request brings."""
    answer: tuple[str, ...]
    """Values that go back to the user."""
    routers: Mapping[str, Router]
    """By name; the request begins at the one called ``root``."""

    def services(self) -> list[str]:
        """Return the names of its services, each once, in the order in which they are reached."""
        return list(dict.fromkeys(name for name, _ in self.visits()))

    def visits(self, router: str = ROOT, share: float = 1.0) -> Iterator[tuple[str, float]]:
        """Yield each step that is a service, with how often a request is expected to do it."""
        for step, part in zip(self.routers[router].steps, self.routers[router].shares(), strict=True):
            if step.name in self.routers:
                yield from self.visits(step.name, share * part)
            else:
                yield step.name, share * part

    def check(self, services: Mapping[str, Service]) -> None:
        """Refuse a graph that cannot run with these services.

        Raises ConfigurationError for a circle, an unknown service, a router that is never reached, a value that a
        service takes and that is not there, a value that two steps of an Ensemble give, and an answer that is not
        always there.
        """
        if ROOT not in self.routers:
            raise ConfigurationError(f"graph {self.name!r} has no router {ROOT!r}; it has: {', '.join(self.routers)}")
        if not self.answer:
            raise ConfigurationError(f"graph {self.name!r} has no answer: nothing would go back to the user")
        for name in self.routers:
            if name in services:
                raise ConfigurationError(f"graph {self.name!r}: {name!r} is both a router and a service; rename one")
        reached: set[str] = set()
        self._check_names(ROOT, (), reached, services)
        for name in self.routers:
            if name not in reached:
                raise ConfigurationError(f"graph {self.name!r}: router {name!r} is never reached")
        found = frozenset(self.takes) | self._given(ROOT, frozenset(self.takes), services)
        for key in self.answer:
            if key not in found:
                raise ConfigurationError(
                    f"graph {self.name!r}: its answer {key!r} is not there at the end; there are: "
                    f"{', '.join(sorted(found))}"
                )

    def _check_names(self, router: str, path: tuple[str, ...], reached: set[str], services: Mapping[str, Any]) -> None:
        if router in path:
            circle = " -> ".join((*path[path.index(router) :], router))
            raise ConfigurationError(f"graph {self.name!r} has a circle: {circle}; a request would never end")
        reached.add(router)
        for step in self.routers[router].steps:
            if step.name in self.routers:
                self._check_names(step.name, (*path, router), reached, services)
            elif step.name not in services:
                raise ConfigurationError(
                    f"graph {self.name!r}: router {router!r} has the step {step.name!r}, which is neither a service "
                    f"nor a router; {suggest(step.name, [*services, *self.routers])}"
                )

    def _given(self, router: str, there: frozenset[str], services: Mapping[str, Service]) -> frozenset[str]:
        """Return the names of the values that a router gives for certain; there: the values before it."""
        kind, given = self.routers[router].kind, []
        for step in self.routers[router].steps:
            if step.when is not None and step.when.key not in there:
                raise ConfigurationError(
                    f"graph {self.name!r}: a condition of {router!r} reads {step.when.key!r}, which is not there; "
                    f"there are: {', '.join(sorted(there))}"
                )
            given.append(self._given_by_step(step, there, services))
            if kind == "Sequence":
                there |= given[-1]
        if kind in ("Switch", "Splitter"):
            return frozenset.intersection(*given)
        if kind == "Ensemble":
            self._check_apart(router, given)
        return frozenset().union(*given)

    def _given_by_step(self, step: Step, there: frozenset[str], services: Mapping[str, Service]) -> frozenset[str]:
        if step.name in self.routers:
            return self._given(step.name, there, services)
        service = services[step.name]
        for key in service.takes:
            if key not in there:
                raise ConfigurationError(
                    f"graph {self.name!r}: service {step.name!r} takes {key!r}, which is not there; there are: "
                    f"{', '.join(sorted(there))}"
                )
        return frozenset(service.gives)

    def _check_apart(self, router: str, given: list[frozenset[str]]) -> None:
        steps = self.routers[router].steps
        for i, mine in enumerate(given):
            for j in range(i):
                if mine & given[j]:
                    raise ConfigurationError(
                        f"graph {self.name!r}: steps {steps[j].name!r} and {steps[i].name!r} of Ensemble {router!r} "
                        f"both give {', '.join(sorted(mine & given[j]))}; rename one (Service.renames)"
                    )
