# SPDX-License-Identifier: GPL-2.0-only
"""What all ranks of a run must know from the beginning; it travels in their environment."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from edgelam.cosim.transfer_spec import TransferSpec
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim.node import Node
    from edgelam.cosim.simulation import Simulation

VARIABLE = "EDGELAM_PARALLEL"
FIRST = 1
"""The participant that is rank 0; participant 0 is the launcher."""


@dataclass(frozen=True)
class Job:
    """Which ranks there are, and how they compute and communicate."""

    ranks: tuple[str, ...]
    """The node of each rank, in their order."""
    devices: Mapping[str, str] = field(default_factory=dict)
    """Node name patterns to device profiles, as for `cosim.simulate`."""
    compute: Literal["modelled", "measured", "free"] = "modelled"
    """How long computing takes."""
    clock: Literal["wall", "simulated"] = "wall"
    """What `time.time` and the like tell a rank's program."""
    algorithm: str = "ring"
    """Of collectives (edgelam/parallel/collectives)."""
    protocol: Literal["tcp", "udp"] = "tcp"
    """By which messages cross the network; what udp loses is repaired."""
    rate_bps: float | None = None
    """udp: pace of transfers, bits of payload a second, which algorithms divide where several share a link. None: the
    scenario's for each transfer."""
    clusters: tuple[tuple[str, ...], ...] = ()
    """Which ranks are near one another, by their nodes, for the algorithm hierarchical; each rank in one of them.
    Empty: blocks of about the square root of their number."""
    server: str | None = None
    """The node through which the algorithm star goes. None: the first edge server, or cloud server, that is no rank; if
    there is none, rank 0's node."""

    def __post_init__(self) -> None:
        """Refuse what is not legal without a scenario."""
        if not 1 <= len(self.ranks) <= 199:
            raise ConfigurationError(f"{len(self.ranks)} ranks; legal are 1 to 199, each with a node of its own")
        twice = sorted({name for name in self.ranks if self.ranks.count(name) > 1})
        if twice:
            raise ConfigurationError(f"ranks: {', '.join(twice)} is given twice; each rank needs a node of its own")
        if self.protocol not in ("tcp", "udp"):
            raise ConfigurationError(f"protocol is {self.protocol!r}; legal are tcp and udp")
        if self.rate_bps is not None:
            if self.protocol != "udp":
                raise ConfigurationError(
                    f"rate_bps is {self.rate_bps!r} and the protocol {self.protocol}: it is the pace of udp; tcp finds "
                    "its own"
                )
            TransferSpec(rate_bps=self.rate_bps)  # refuses what is no rate
        if self.clusters:
            named = [name for cluster in self.clusters for name in cluster]
            if sorted(named) != sorted(self.ranks) or not all(self.clusters):
                raise ConfigurationError(
                    f"clusters are {' '.join(','.join(cluster) for cluster in self.clusters)}: each of the ranks "
                    f"{', '.join(self.ranks)} must be in one of them, and nobody else"
                )

    @property
    def participants(self) -> int:
        """How many processes take part, the launcher included."""
        return len(self.ranks) + FIRST

    def server_node(self, sim: Simulation) -> Node | None:
        """The server of the algorithm star, None if it is rank 0's node. The launcher serves at it."""
        if self.server is not None:
            return sim.node(self.server)
        free = [node for node in sim.nodes.values() if node.name not in self.ranks]
        return next((node for role in ("edge", "cloud") for node in free if node.role == role), None)

    def clusters_of(self, members: Sequence[int]) -> list[list[int]] | None:
        """`clusters` as places among `members`, which are ranks of the run; None where none are given."""
        places = {self.ranks[member]: place for place, member in enumerate(members)}
        found = [[places[name] for name in cluster if name in places] for cluster in self.clusters]
        return [cluster for cluster in found if cluster] or None

    def variables(self) -> dict[str, str]:
        """The environment variable that tells a rank."""
        return {VARIABLE: json.dumps(dataclasses.asdict(self))}

    @classmethod
    def of_environment(cls) -> Self:
        """The job of this process. Raises ConfigurationError where it is no rank."""
        text = os.environ.get(VARIABLE)
        if text is None:
            raise ConfigurationError(
                "this process is no rank of a run: start the program with 'edgelam torchrun', or from participant 0 "
                "with the variables of edgelam.parallel.environment (docs/parallel.md)"
            )
        values: dict[str, Any] = json.loads(text)
        clusters = tuple(map(tuple, values["clusters"]))
        return cls(**values | {"ranks": tuple(values["ranks"]), "clusters": clusters})
