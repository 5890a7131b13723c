# SPDX-License-Identifier: GPL-2.0-only
"""Records of turns, of moves of sessions, and of sessions whose node has failed."""

from __future__ import annotations

import dataclasses
import math

UNENDED = "it has not ended"
"""Reason in the record of a turn that goes on."""


@dataclasses.dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn of a session. Times are simulated seconds of the run."""

    turn: int
    user: str
    node: str
    start_s: float
    end_s: float
    """When the last token was there, or was given up."""
    latency_s: float
    """From the request to the last token that arrived; NaN: none did."""
    first_token_s: float
    """From the request to the first token that arrived."""
    waited_s: float
    """For how long it waited because its session moved."""
    compute_s: float
    """From the beginning of its computing to the end."""
    tokens: int
    lost: int
    jitter_s: float
    """Mean difference of the transit times of successive tokens (RFC 3393); NaN: fewer than two arrived."""
    session_tokens: int
    """Tokens of which the session then has keys and values."""
    attempts: int
    """How often it was begun: again after a node has failed under it."""
    prefilled_tokens: int
    """Tokens of turns before that were read anew, since their keys and values were lost with a node."""
    answer: str
    """SHA-256 of the tokens as they were computed."""
    status: str
    """``complete`` or ``failed``."""
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One move of a session. Times are simulated seconds of the run."""

    user: str
    source: str
    target: str
    start_s: float
    paused_s: float
    """When the session was paused; NaN: it was not."""
    end_s: float
    """When it was resumed at the target, or was given up."""
    state_bytes: int
    """Bytes of the state that crossed the network."""
    weight_bytes: int
    """Bytes of weights that crossed the network for it."""
    session_tokens: int
    status: str
    """``complete`` or ``failed``: then the session is where it was."""
    reason: str

    @property
    def interruption_s(self) -> float:
        """For how long the session was paused; 0 if it was not."""
        return 0.0 if math.isnan(self.paused_s) else self.end_s - self.paused_s


@dataclasses.dataclass(frozen=True, slots=True)
class FailureRecord:
    """What became of a session whose node has failed. Times are simulated seconds of the run."""

    user: str
    node: str
    """The node that has failed."""
    target: str
    """Where the session begins again; empty: nowhere."""
    failed_s: float
    known_s: float
    """When the others knew it."""
    session_tokens: int
    """Tokens whose keys and values are lost."""
    status: str
    """``prefilled``: the next turn reads the conversation anew at the target; ``lost``: all its turns fail."""
    reason: str
