# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study migration."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.inference.migration.problem import Budgets

PolicyName = Literal["never", "always", "nearest", "threshold-mdp", "drift-plus-penalty", "full-knowledge"]
ALL: tuple[PolicyName, ...] = (
    "never", "always", "nearest", "threshold-mdp", "drift-plus-penalty", "full-knowledge",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class MigrationSettings:
    """Who talks, when sessions move, and what that may cost."""

    policies: tuple[PolicyName, ...] = ALL
    """When sessions move. full-knowledge needs never, whose run shows what is to come."""
    model: Literal["smollm2-135m", "random-small"] = "smollm2-135m"
    """The language model of the sessions. random-small: six layers with random weights, which need no download; what it
    writes means nothing."""
    num_users: int = 2
    """Users, each with a session."""
    num_seeds: int = 1
    """Every policy runs with so many seeds, from `seed` on."""
    slots: int = 26
    """How many decisions a simulation has."""
    slot_s: float = 0.25
    """Simulated seconds between two decisions."""
    turn_every_s: float = 0.3
    """Simulated seconds between two turns of a user, if the answer is there by then."""
    answer_tokens: int = 6
    """Tokens of an answer."""
    session_turns: int = 12
    """A session begins anew after so many turns."""
    v: float = 300.0
    """Weight of the penalty in drift-plus-penalty, in 1/s: the larger, the less latency, and the longer the budgets are
    exceeded."""
    sweep: tuple[float, ...] = ()
    """Further values of V with which drift-plus-penalty runs."""
    charge: bool = True
    """Whether reports, deciding and orders take time."""
    uncharged: bool = False
    """Whether drift-plus-penalty also runs with decisions that take no time."""
    decider: str = ""
    """The server that decides; empty: the last edge server, which is behind the core."""
    fail: str = ""
    """A server that fails in the middle of each simulation, such as edge1; empty: none. Its sessions lose their keys
    and values and begin again at another server, with weights from one that has them, or from the cloud."""
    bandwidth_bps: float = 150e6
    """Budget: bits of state and weights that move, per second."""
    storage_bytes: float = 1e9
    """Budget: bytes of weights and states that the servers hold."""
    power_w: float = 6.0
    """Budget: power of all servers above idle, W."""
    latency_s: float = 0.08
    """Budget: mean latency of a turn, s."""
    jitter_s: float = 0.001
    """Budget: mean difference of the transit times of successive tokens, s."""
    loss: float = 0.01
    """Budget: share of tokens that are lost."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        for name in ("num_users", "num_seeds", "slots", "answer_tokens", "session_turns"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("slot_s", "turn_every_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        for v in (self.v, *self.sweep):
            if not 0 < v < math.inf:
                raise ConfigurationError(f"V is {v}; it must be above 0 and finite")
        if len(set(self.sweep) | {self.v}) < len(self.sweep) + 1:
            raise ConfigurationError(f"V {self.sweep} and {self.v}: each may be given once")
        if not self.policies or len(set(self.policies)) < len(self.policies):
            raise ConfigurationError(f"policies are {self.policies!r}; at least one, each once")
        if "full-knowledge" in self.policies and "never" not in self.policies:
            raise ConfigurationError("policy full-knowledge needs never, whose run shows what is to come")
        self.budgets()

    def budgets(self) -> Budgets:
        """Return the budgets. Raises ConfigurationError for one that is not above 0."""
        return Budgets(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Budgets)})
