# SPDX-License-Identifier: GPL-2.0-only
"""Who holds the clock of a run of several processes, and where in its program: each process answers this question.

The answers go over a separate socket of each participant, and are used only in texts: no number depends on them.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic  # the machine's clock, even if a program has replaced that of the module
from typing import Any

ANSWER_S = 2.0  # wall time for an answer: a process that does not answer in this time is left out


class Whereabouts:
    """Tells the other processes whether this participant holds the clock, and the Python stack of its program.

    It also interrupts a participant that holds the clock when the run has ended: otherwise, a program that is blocked
    in a socket or a lock would stay for ever.
    """

    def __init__(self, address: str, participant: int, name: str, scenario_pid: int, *, interrupt: bool) -> None:
        """Watch the calling thread; interrupt: raise KeyboardInterrupt in it if the scenario ends while it holds."""
        self.waiting = False
        self.explain: Callable[[], str] = str
        """What this participant waits for, in words."""
        self.over = False
        """The scenario has ended, and this participant has been interrupted."""
        self._since = monotonic()
        self._about = {"participant": participant, "name": name, "pid": os.getpid()}
        self._thread_id = threading.get_ident()
        self._interrupt = interrupt and threading.current_thread() is threading.main_thread()
        self._stopped = False
        self._descriptors = contextlib.ExitStack()
        self._thread: threading.Thread | None = None
        with contextlib.suppress(OSError, RuntimeError):  # without the socket the run goes on, but nobody can ask
            self._listener = self._descriptors.enter_context(socket.socket(socket.AF_UNIX))
            self._listener.bind(_place(address, participant))
            self._listener.listen()
            self._wake, self._woken = socket.socketpair()
            self._descriptors.enter_context(self._wake)
            self._descriptors.enter_context(self._woken)
            self._scenario = os.pidfd_open(scenario_pid)
            self._descriptors.callback(os.close, self._scenario)
            thread = threading.Thread(target=self._serve, name="edgelam: whereabouts", daemon=True)
            thread.start()
            self._thread = thread

    def wait(self, waiting: bool) -> None:
        """Note that from now on this participant waits, or holds."""
        self.waiting = waiting
        self._since = monotonic()

    def close(self) -> None:
        """Stop answering."""
        self._stopped = True
        if self._thread is not None and self._thread is not threading.current_thread():
            with contextlib.suppress(OSError):
                self._wake.send(b"x")
            self._thread.join()
            self._thread = None
        self._descriptors.close()

    def _serve(self) -> None:
        polled = select.poll()
        for descriptor in (self._listener.fileno(), self._woken.fileno(), self._scenario):
            polled.register(descriptor, select.POLLIN)
        while not self._stopped:
            ready = {descriptor for descriptor, _ in polled.poll()}
            if self._scenario in ready:
                polled.unregister(self._scenario)
                if self._interrupt and not self.waiting and not self._stopped:
                    self.over = True
                    signal.pthread_kill(self._thread_id, signal.SIGINT)
            if self._listener.fileno() in ready:
                with contextlib.suppress(OSError), self._listener.accept()[0] as visitor:
                    if _user_of(visitor) == os.geteuid():
                        visitor.settimeout(ANSWER_S)
                        visitor.sendall(json.dumps(self._answer()).encode())

    def _answer(self) -> dict[str, Any]:
        stack = "" if self.waiting else _stack_of(self._thread_id)
        held_s = None if self.waiting else monotonic() - self._since
        waits = ""
        if self.waiting:
            with contextlib.suppress(RuntimeError):  # it goes on in this moment
                waits = self.explain()
        return {**self._about, "held_s": held_s, "stack": stack, "waits": waits}


def holders(address: str, participants: int, me: int) -> tuple[list[dict[str, Any]], list[int], list[dict[str, Any]]]:
    """Return the other participants that hold: participant, name, pid, held_s, stack.

    Also the numbers of those that give no answer, and those that wait: participant, name, pid, waits (for what).
    """
    found: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    absent = []
    for participant in range(participants):
        if participant == me:
            continue
        absent.append(participant)
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(ANSWER_S)
            asking.connect(_place(address, participant))
            if _user_of(asking) != os.geteuid():
                continue
            answer = b""
            while part := asking.recv(1 << 16):
                answer += part
            told = json.loads(answer)
            absent.pop()
            (waiting if told["held_s"] is None else found).append(told)
    return found, absent, waiting


def describe(found: list[dict[str, Any]]) -> str:
    """Describe who holds, for how long, and where."""
    lines = []
    for told in found:
        name = f"'{told['name']}', " if told["name"] else ""
        who = f"participant {told['participant']} ({name}pid {told['pid']})"
        lines.append(f"{who} has held the clock for {told['held_s']:.0f} s; its Python stack, the latest call last:")
        lines.append(told["stack"].rstrip())
    return "\n".join(lines)


def describe_waiting(waiting: list[dict[str, Any]]) -> str:
    """Who waits meanwhile, and for what."""
    return "".join(
        f"\nparticipant {told['participant']} ('{told['name']}') waits:\n{told['waits'].rstrip()}" for told in waiting
    )


class Idleness:
    """Notices that all who hold do nothing: neither they nor what they have started use a processor."""

    def __init__(self, limit_s: float) -> None:
        """limit_s: of wall time, for how long."""
        self.limit_s = limit_s
        self._seen: dict[int, tuple[float, float]] = {}  # pid -> processor time, and since when it is that

    def is_over(self, found: list[dict[str, Any]]) -> bool:
        """Whether they have done nothing for so long, as far as this is called now and then. found: who holds."""
        now = monotonic()
        seen = {}
        for told in found:
            used_s = processor_s(told["pid"])
            before = self._seen.get(told["pid"])
            if before is None or used_s > before[0] + PROCESSOR_NOISE_S:
                before = used_s, now
            seen[told["pid"]] = before
        self._seen = seen
        return bool(seen) and all(now - since >= self.limit_s for _, since in seen.values())


PROCESSOR_NOISE_S = 0.05  # of processor time: threads that only look whether there is something to do use so little


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process and what it has started have used, as far as they still run."""
    total_ticks, left = 0, [pid]
    while left:
        pid = left.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total_ticks += sum(map(int, fields[11:15]))  # of its own, in user and system mode, and of ended children
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                left += map(int, children.read_text().split())
    return total_ticks / os.sysconf("SC_CLK_TCK")


STACK_FRAMES = 12  # the innermost ones tell where a program is


def _stack_of(thread_id: int) -> str:
    frame = sys._current_frames().get(thread_id)
    return "" if frame is None else "".join(traceback.format_stack(frame, STACK_FRAMES))


def _place(address: str, participant: int) -> str:
    return f"\0{address.removeprefix('@')}-{participant}"  # in the abstract namespace: no file is left


def _user_of(peer: socket.socket) -> int:
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
