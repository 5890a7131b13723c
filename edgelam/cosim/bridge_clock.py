# SPDX-License-Identifier: GPL-2.0-only
"""The clock that is ns-3: requests and events as messages of the bridge."""

from __future__ import annotations

import contextlib
import math
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from edgelam.cosim import holding, patience
from edgelam.cosim.clock import Event
from edgelam.cosim.encoding import Encoded
from edgelam.cosim.incoming import Incoming, broken, catalogue_of
from edgelam.cosim.launch import ScenarioProcess
from edgelam.cosim.messages import Layout, Protocol
from edgelam.cosim.transfer_spec import TransferSpec
from edgelam.errors import (
    AttachError,
    ConfigurationError,
    DeadlockError,
    EdgelamError,
    ParticipantDied,
    ProtocolError,
    RunEnded,
    ScenarioDied,
    ScenarioEnded,
    StalledError,
)

_FOR_EVER_S = 1e9  # 30 years
LAST_NS = 2**62  # of simulated time, 146 years: sums of times stay within 64 bits
LONGEST_EXPLANATION = 65536  # bytes of what this participant says when the scenario asks what it waits for
LARGE_BYTES = 65536  # a value of this size goes through shared memory instead of the message's tail


class BridgeClock:
    """The clock of a scenario process, seen by one participant."""

    def __init__(
        self,
        address: str,
        participant: int,
        *,
        name: str = "",
        timeout_s: float | None = 60.0,
        process: ScenarioProcess | None = None,
        hold_timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
    ) -> None:
        """Attach to the scenario at `address`; `process`: the scenario, if this process has started it.

        timeout_s: how long to try; None, only with `process`: as long as that lives. hold_timeout_s: only with
        `process`: StalledError when another participant has held the clock for this long.
        """
        try:
            from edgelam import _bridge  # type: ignore[attr-defined]
        except ImportError as error:
            raise ConfigurationError(f"edgelam's compiled parts cannot be loaded ({error}); run 'make build'") from None
        self.now_ns = 0
        self.participant = participant
        self.explain: Callable[[], str] = str
        self._bridge = _bridge
        self._process = process
        protocol = Protocol(_bridge.SCHEMA)
        self._number = {m.name: m.number for m in protocol.by_name.values()}
        self._pack = {m.name: m.pack for m in protocol.by_name.values()}
        self._wait_number, self._pack_wait = self._number["Wait"], self._pack["Wait"]
        self._resume_number, self._unpack_resume = self._number["Resume"], protocol["Resume"].unpack
        self._others = frozenset(self._number[name] for name in ("Explain", "Deadlock", "Ended"))
        self._pack_spec = Layout(protocol["TransferRequest"].dtype["spec"]).pack_named
        self._no_array = bytes(protocol["Post"].dtype["payload"].itemsize)
        self._kept: list[Any] = []  # arrays that requests of this wait refer to: the host has counted them by Resume
        self._attached = False
        self._address, self._hold_timeout_s = address, hold_timeout_s
        self._where: holding.Whereabouts | None = None
        self._silence_s = None if process is None else min(patience.SILENCE_S, hold_timeout_s or patience.SILENCE_S)
        self._idleness: holding.Idleness | None = None
        self._told_s = 0.0  # when, on the wall clock, it was last said who holds
        if process is not None and idle_timeout_s is not None:
            self._idleness = holding.Idleness(idle_timeout_s or math.inf)
            self._silence_s = patience.LOOK_S
        child_pid = 0 if process is None else process.pid
        limit_s = _FOR_EVER_S if timeout_s is None else timeout_s
        try:
            with _told_of_a_long_build(process):
                self._end: Any = _bridge.Participant(
                    address, participant, name=name, timeout_s=limit_s, child_pid=child_pid
                )
        except _bridge.AttachRefused as error:
            raise AttachError(str(error)) from None
        except _bridge.PeerDied as error:
            self._host_died(error, "before the run began", "before the run began")
        except _bridge.BridgeTimeout as error:
            if process is None:
                raise AttachError(str(error)) from None
            raise AttachError(
                f"scenario {process.name} has not finished building its network after {limit_s:g} s (it still runs); "
                "without attach_timeout_s it is waited for as long as it runs"
            ) from None
        except _bridge.BridgeError as error:
            raise AttachError(str(error)) from None
        self._attached = True
        self.participants: int = self._end.participants
        self.scenario_pid: int | None = self._end.host_pid
        try:
            self.catalogue: dict[str, Any] = catalogue_of(self._end.catalogue)
        except AttachError:
            self.close()
            raise
        nodes = [node["id"] for node in self.catalogue["nodes"]]
        self._incoming = Incoming(protocol, self.participants, nodes, self._view)
        if self.participants > 1:
            about = (address, participant, name, self._end.host_pid)
            self._where = holding.Whereabouts(*about, interrupt=process is None)
            self._where.explain = lambda: str(self.explain())  # which is set later

    # ---- waiting ---------------------------------------------------------------------------------------------

    def wait(self, deadline_ns: int) -> list[Event]:
        """Wait in simulated time, until after now; see `Clock`."""
        if self._where is None:
            return self._wait(deadline_ns)
        self._where.wait(True)
        try:
            return self._wait(deadline_ns)
        finally:
            self._where.wait(False)

    def _wait(self, deadline_ns: int) -> list[Event]:
        events: list[Event] = []
        end = self._end
        try:
            end.send(self._wait_number, self._pack_wait(deadline_ns))
            while True:
                try:
                    frames = end.receive(self._silence_s)
                except self._bridge.BridgeTimeout:
                    self._tell_of_silence()
                    continue
                for number, sequence, body, tail in frames:
                    if number == self._resume_number:
                        now_ns = self._unpack_resume(body)[0]
                        if (
                            not self.now_ns <= now_ns <= min(deadline_ns, LAST_NS)
                            or self._incoming.latest_ns > now_ns
                            or (not events and now_ns != deadline_ns)
                            or frames[-1][1] != sequence
                        ):
                            raise broken(
                                f"a Resume at {now_ns} ns of a wait from {self.now_ns} ns until {deadline_ns} ns, "
                                f"after {len(events)} events of up to {self._incoming.latest_ns} ns and before "
                                f"{frames[-1][1] - sequence} further messages"
                            )
                        self.now_ns = now_ns
                        if self._kept:
                            self._kept.clear()
                        return events
                    if number in self._others:
                        self._other(number, body, tail)
                    else:
                        events.append(self._incoming.event(number, body, tail))
        except self._bridge.BridgeError as error:
            self._raise(error)

    def _tell_of_silence(self) -> None:
        """Say why nothing comes: once, or repeatedly (up to an error) if another participant is the cause."""
        assert self._process is not None
        found, absent, waiting = self._holders()
        if self._idleness is not None and not self._idle(self._idleness, found, waiting):
            return
        limit_s = self._hold_timeout_s
        if limit_s is not None and any(told["held_s"] >= limit_s for told in found):
            raise StalledError(
                f"simulated time has stood still at {self.now_ns / 1e9:.9f} s for longer than hold_timeout_s = "
                f"{limit_s:g} s: {holding.describe(found)}"
            )
        why = holding.describe(found)
        if absent and not found:
            numbers = ", ".join(map(str, absent))
            why = f"participant {numbers} has not attached yet, has left, or does not say what it does"
        if self._idleness is not None:
            patience.tell_of_silence(self._process, self.now_ns, max(told["held_s"] for told in found), why)
            return
        patience.tell_of_silence(self._process, self.now_ns, self._silence_s or 0.0, why)
        self._silence_s = None if self.participants == 1 else min(patience.AGAIN_S, limit_s or patience.AGAIN_S)

    def _idle(self, idleness: holding.Idleness, found: list[dict[str, Any]], waiting: list[dict[str, Any]]) -> bool:
        """Raise StalledError if all who hold do nothing; return whether it should be said who holds."""
        if idleness.is_over(found):
            raise StalledError(
                f"simulated time has stood still at {self.now_ns / 1e9:.9f} s, and those who hold the clock have used "
                f"no processor for {idleness.limit_s:g} s: {holding.describe(found)}{holding.describe_waiting(waiting)}"
            )
        now = time.monotonic()
        if all(told["held_s"] < patience.HELD_LONG_S for told in found) or now - self._told_s < patience.AGAIN_S:
            return False
        self._told_s = now
        return True

    def explain_interrupt(self, error: KeyboardInterrupt) -> None:
        """Raise what came instead of Ctrl-C, if the run is over; otherwise note who holds the clock."""
        if self._where is not None and self._where.over:
            try:
                self._end.receive(1.0)
            except self._bridge.BridgeError as gone:
                self._raise(gone)
        elif found := self._holders()[0]:
            error.add_note(holding.describe(found))

    def _holders(self) -> tuple[list[dict[str, Any]], list[int], list[dict[str, Any]]]:
        return holding.holders(self._address, self.participants, self.participant)

    def _send(self, message: str, *fields: Any, tail: bytes = b"") -> None:
        try:
            self._end.send(self._number[message], self._pack[message](*fields), tail)
        except self._bridge.BridgeError as error:
            self._raise(error)

    # ---- requests --------------------------------------------------------------------------------------------

    def transfer(
        self,
        id: int,
        source: int,
        receivers: Sequence[int],
        size_bytes: int,
        spec: TransferSpec,
        *,
        meta: bytes = b"",
        payload: Encoded | None = None,
    ) -> Any:
        """Ask for a transfer. Returns what the caller must keep until it has ended everywhere (None: nothing)."""
        array, ref = (None, self._no_array) if payload is None else self._place(payload)
        self._send(
            "TransferRequest",
            self._pack_spec(spec.packed(id, size_bytes, self.now_ns)),
            source,
            len(receivers),
            len(meta),
            0,
            ref,
            tail=struct.pack(f"<{len(receivers)}I", *receivers) + meta,
        )
        return array

    def cancel(self, id: int) -> None:
        """Withdraw a transfer."""
        if self._attached:  # otherwise nobody is left to be told: a task that is dropped after the end
            self._send("CancelTransfer", id)

    def analog(self, id: int, receiver: int, senders: Sequence[int], elements: int, most_prbs: int) -> None:
        """Ask for an analog transfer."""
        tail = struct.pack(f"<{len(senders)}I", *senders)
        self._send("AnalogRequest", id, elements, receiver, len(senders), most_prbs, 0, tail=tail)

    def claim(self, node: int) -> None:
        """Make the host report deliveries to `node` here."""
        self._send("ClaimNode", node)

    def read(self, request: int, observable: int, period_ns: int, *, aside: bool = False) -> None:
        """Read once or every `period_ns`."""
        self._send("ReadObservable", request, observable, int(aside), period_ns)

    def unsubscribe(self, request: int) -> None:
        """End a periodic reading."""
        if self._attached:
            self._send("Unsubscribe", request)

    def set_control(self, request: int, control: int, value: bytes) -> None:
        """Set a control."""
        if len(value) < LARGE_BYTES:
            self._send("SetControl", request, control, 0, self._no_array, tail=value)
        else:
            part = np.frombuffer(value, np.uint8)
            array, ref = self._place(Encoded("exact", part.size, (part,), None))
            self._kept.append(array)
            self._send("SetControl", request, control, 0, ref)

    def post(self, to: int, data: bytes, payload: Encoded | None = None) -> None:
        """Hand bytes, and perhaps a larger block, to another participant."""
        array, ref = (None, self._no_array) if payload is None else self._place(payload)
        if array is not None:
            self._kept.append(array)
        self._send("Post", to, 0, ref, tail=data)

    def _place(self, payload: Encoded) -> tuple[Any, bytes]:
        """Write a payload into shared memory."""
        try:
            array, ref = self._end.allocate(payload.nbytes)
        except self._bridge.PeerDied as error:
            self._raise(error)
        except self._bridge.BridgeError as error:
            raise EdgelamError(str(error)) from None
        payload.write_to(array)
        return array, ref

    # ---- events ----------------------------------------------------------------------------------------------

    def _other(self, number: int, body: bytes, tail: bytes) -> None:
        """Handle a frame that is not an event: a question, or the end."""
        now_ns = struct.unpack_from("<q", body)[0]
        if now_ns < self.now_ns:
            raise broken(f"simulated time {now_ns} ns after {self.now_ns} ns")
        self.now_ns = now_ns
        if number == self._number["Explain"]:
            self._send("Explanation", 0, tail=self.explain().encode(errors="replace")[:LONGEST_EXPLANATION])
            return
        self.detach()  # the scenario ends when everybody has been told
        text = tail.decode(errors="replace") or "the scenario does not say why the run cannot go on"
        if number == self._number["Deadlock"]:
            raise DeadlockError(text)
        raise ScenarioEnded(f"{text}, while participant {self.participant} waited:\n{self.explain()}")

    def _view(self, ref: bytes) -> Any:
        return self._end.view(ref)

    # ---- the end ---------------------------------------------------------------------------------------------

    def detach(self) -> None:
        """Leave in good order."""
        if self._attached:
            self._attached = False
            if self._where is not None:
                self._where.wait(True)  # it holds nothing any more: the scenario may end before this call returns
            try:
                self._end.detach()
            except self._bridge.BridgeError as error:
                self._raise(error)

    def close(self) -> None:
        """Release everything; without `detach`, the others see this participant's death."""
        self._attached = False
        if self._where is not None:
            self._where.close()
        end, self._end = self._end, _Closed()  # nothing of it waits for the garbage collector
        end.close()

    def _raise(self, error: Exception) -> NoReturn:
        """Raise the bridge's error as an error for the user."""
        self.now_ns = max(self.now_ns, self._end.time_ns)  # the others may have gone on in the meantime
        if isinstance(error, self._bridge.PeerDied):
            now = f"simulated time {self.now_ns / 1e9:.9f} s"  # of a scenario's death: events went on after its answer
            self._host_died(error, f"at {now}", f"after {now} (its last answer)")
        if isinstance(error, self._bridge.ProtocolError):
            raise broken(f"{error} (at simulated time {self.now_ns / 1e9:.9f} s)") from None
        raise RunEnded(f"{error} (at simulated time {self.now_ns / 1e9:.9f} s)") from None

    def _host_died(self, error: Any, seen: str, when: str) -> NoReturn:
        """error: the bridge's PeerDied. seen: when a participant's death was seen; when: when the scenario died."""
        text = str(error)
        process = self._process
        if error.violation:
            raise ProtocolError(f"{text} ({seen})") from None
        if error.participant >= 0:
            raise ParticipantDied(f"{text} {seen}", participant=error.participant) from None
        if process is None:
            raise ScenarioDied(f"the scenario died {when}: {text}", time_s=self.now_ns / 1e9) from None
        status = process.wait(1.0)
        lines = process.last_lines()
        if status == 2 and self.now_ns == 0 and not self._attached:
            raise ConfigurationError(
                lines or f"scenario {process.name} refused its options and did not say why"
            ) from None
        raise ScenarioDied(
            f"scenario {process.name} died {when}: {process.describe(status)}",
            exit_status=status,
            last_lines=lines,
            time_s=self.now_ns / 1e9,
        ) from None


class _Closed:
    """Stands in the place of the bridge's end when it is closed."""

    time_ns = 0

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> NoReturn:
        raise RunEnded("this run is over: nothing can be sent, read or set in it any more")


def _told_of_a_long_build(process: ScenarioProcess | None) -> contextlib.AbstractContextManager[None]:
    if process is None:
        return contextlib.nullcontext()
    return patience.told(lambda waited_s: patience.tell_of_a_long_build(process, waited_s))
