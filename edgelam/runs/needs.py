# SPDX-License-Identifier: GPL-2.0-only
"""The needs of an experiment: nodes of some roles, observables and controls that a scenario must have.

One declaration decides everything that depends on it: how many nodes an installed scenario makes, which nodes there are
without a scenario, which nodes the experiment uses, and what is refused before a run begins.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation

_WHERE = "(docs/writing-an-experiment.md: what a scenario must have)"


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a scenario must have for an experiment; by default nothing."""

    roles: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Role -> least number of its nodes, ``{"ue": 4, "edge|cloud": 1}``; ``edge|cloud``: the first of the two roles
    that has enough."""
    observables: tuple[str, ...] = ()
    """Names of observables that must exist, with wildcards: ``csi/*`` exists if any name begins with ``csi/``."""
    controls: tuple[str, ...] = ()
    """Names of controls that must exist, in the same form."""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Options of an installed scenario beside the number of nodes, unless the user sets them."""

    def __post_init__(self) -> None:
        """Refuse a number of nodes that is not legal."""
        for role, count in self.roles.items():
            if not role or not isinstance(count, int) or count < 1:
                raise ConfigurationError(f"needs {count!r} nodes of role {role!r}; legal is a whole number from 1")

    @property
    def installed_options(self) -> dict[str, str]:
        """Options of an installed scenario, with the needed numbers of user devices (ue) and edge servers (edge)."""
        numbers = {"numUe": self.roles.get("ue"), "numEdge": self.roles.get("edge")}
        return {name: str(count) for name, count in numbers.items() if count is not None} | dict(self.options)

    @property
    def ideal_nodes(self) -> dict[str, str]:
        """Node name -> role if there is no network: ue0, ue1, ..., edge0."""
        wanted = [(role.split("|")[0], count) for role, count in self.roles.items()]
        return {f"{role}{index}": role for role, count in wanted for index in range(count)}

    def nodes(self, sim: Simulation) -> list[list[Node]]:
        """Return a list of nodes for each of `roles`, in its order: the first ones. Raises ConfigurationError."""
        found = []
        for roles, count in self.roles.items():
            groups = [[node for node in sim.nodes.values() if node.role == role] for role in roles.split("|")]
            nodes = next((group for group in groups if len(group) >= count), None)
            if nodes is None:
                there = ", ".join(f"{node.name} ({node.role})" for node in sim.nodes.values())
                raise ConfigurationError(
                    f"scenario {sim.scenario!r} has {max(map(len, groups))} nodes of role {roles.replace('|', ' or ')}"
                    f", and {count} are needed; it has {there or 'no nodes'}. Its options (--options) may say how many "
                    f"there are, or the experiment's settings how many it uses {_WHERE}"
                )
            found.append(nodes[:count])
        return found

    def check(self, sim: Simulation) -> None:
        """Refuse a scenario that lacks something: ConfigurationError says what it lacks and what it has."""
        self.nodes(sim)
        for kind, wanted, there in (
            ("observable", self.observables, list(sim.observables)),
            ("control", self.controls, list(sim.controls)),
        ):
            for pattern in wanted:
                if not fnmatch.filter(there, pattern):
                    raise ConfigurationError(
                        f"scenario {sim.scenario!r} has no {kind} {pattern!r}, which is needed; it has: "
                        f"{', '.join(there) or 'none'} {_WHERE}"
                    )
