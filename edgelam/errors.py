# SPDX-License-Identifier: GPL-2.0-only
# ruff: noqa: N818  (what happened is said plainly: ScenarioDied, TransferRefused)
"""Every error that edgelam raises on purpose.

EdgelamError                 everything below; its text is written for the user, no traceback needed
├── ConfigurationError       a value that is not legal (also a ValueError); the text says what is legal
│   ├── NotReplayable        a run that cannot be replayed over another network; the text says why
│   └── Diverged             what is learned is no longer a number
├── NotSimulatedError        an asyncio feature that has no meaning in simulated time
├── AwaitInComputeError      an `await` inside a compute block
├── OutOfDeviceMemory        a node's memory is too small
├── OutOfDeviceStorage       a node's storage is too small
├── BatteryEmpty             a node's battery is empty: it computes, sends and receives no more
├── TransferError            a transfer was cancelled, expired or failed (carries its record)
│   └── TransferRefused      the network did not accept the request (no route, impossible size)
├── ObservableRefused        a reading was refused
├── ControlRefused           a control was refused, with the scenario's reason
├── AttachError              no scenario to attach to: nobody there, another version, index taken
└── RunEnded                 the run cannot go on
    ├── DeadlockError        everybody waits and nothing is outstanding; says who waits for what
    ├── StalledError         the program spins without ever letting simulated time move
    ├── ScenarioDied         the ns-3 process ended too early
    ├── ScenarioEnded        the scenario ended by itself while somebody still waited
    ├── ParticipantDied      another Python process of the run ended without detaching
    ├── RankFailed           a rank of torch.distributed raised an error or was killed
    ├── ProtocolError        the scenario, or another participant, sent what the protocol does not allow
    └── RunCancelled         the main coroutine was cancelled
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgelam.cosim.records import TransferRecord


class EdgelamError(Exception):
    """Root of all errors raised on purpose."""


class ConfigurationError(EdgelamError, ValueError):
    """A value that is not legal; the text repeats it and says what is legal."""


class NotReplayable(ConfigurationError):
    """Over another network, the run would have done something else; the text says where it depends on the network."""


class Diverged(ConfigurationError):
    """The learning has diverged: a value is no longer a number. The text says which, when and on which device."""


class NotSimulatedError(EdgelamError, RuntimeError):
    """An asyncio feature that has no meaning in simulated time (sockets, subprocesses, signals)."""


class AwaitInComputeError(EdgelamError, RuntimeError):
    """A coroutine gave up control inside a compute block."""


class OutOfDeviceMemory(EdgelamError):
    """An allocation does not fit a node's memory; the text gives both numbers in bytes."""


class OutOfDeviceStorage(EdgelamError):
    """An object does not fit a node's storage; the text gives both numbers in bytes."""


class BatteryEmpty(EdgelamError):
    """A node's battery is empty; the text says when it became empty."""


class TransferError(EdgelamError):
    """A transfer did not complete. `records`: one `TransferRecord` per receiver; `record`: the first that failed."""

    def __init__(self, text: str, records: Sequence[TransferRecord] = ()) -> None:
        """Make the error from its text and the records of all receivers."""
        super().__init__(text)
        self.records = tuple(records)

    @property
    def record(self) -> TransferRecord | None:
        """The record of the first receiver that did not get everything; None if the transfer never started."""
        bad = [r for r in self.records if r.status not in ("complete", "partial")]
        return bad[0] if bad else None


class TransferRefused(TransferError):
    """The network did not accept the request; nothing was sent."""


class ObservableRefused(EdgelamError):
    """A reading of an observable was refused; the text is the scenario's reason."""


class ControlRefused(EdgelamError):
    """A control was refused; the text is the scenario's reason."""


class AttachError(EdgelamError):
    """No scenario could be attached to."""


class RunEnded(EdgelamError):
    """The run cannot go on."""


class DeadlockError(RunEnded):
    """Everybody waits without a deadline and nothing is outstanding; the text says who waits for what."""


class StalledError(RunEnded):
    """The program loops without waiting for anything, so simulated time never moves."""


class ScenarioDied(RunEnded):
    """The scenario process ended too early.

    `exit_status` is the exit code (negative for a signal, None if it is not this process's child); `last_lines` is what
    the scenario last wrote to stderr; `time_s` is the simulated time.
    """

    def __init__(self, text: str, *, exit_status: int | None = None, last_lines: str = "", time_s: float = 0.0) -> None:
        """Make the error from its text and facts."""
        super().__init__(text)
        self.exit_status = exit_status
        self.last_lines = last_lines
        self.time_s = time_s


class ScenarioEnded(RunEnded):
    """The scenario ended by itself while somebody still waited."""


class ParticipantDied(RunEnded):
    """Another participant ended without detaching; `participant`: its number, from 0."""

    def __init__(self, text: str, *, participant: int | None = None) -> None:
        """Make the error from its text and the number of the participant that died."""
        super().__init__(text)
        self.participant = participant


class RankFailed(RunEnded):
    """A rank of torch.distributed raised, was killed or ended with another status than 0; `rank`: its number."""

    def __init__(self, text: str, *, rank: int) -> None:
        """Make the error from its text and the rank."""
        super().__init__(text)
        self.rank = rank


class ProtocolError(RunEnded):
    """Another process of the run has sent what the protocol of the bridge does not allow; the text says what."""


class RunCancelled(RunEnded):
    """The main coroutine was cancelled."""


def first_cause(error: BaseException) -> BaseException:
    """Return the error of a group (from asyncio's task groups) to show: an interrupt, else one raised on purpose."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [first_cause(part) for part in error.exceptions]
    for kind in (KeyboardInterrupt, EdgelamError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]
