# SPDX-License-Identifier: GPL-2.0-only
"""Child processes: how they are started, and that none is left, however this process ends.

A `Child` has a session of its own, so that Ctrl-C in a terminal reaches this process only, which stops its children:
`Child.stop` ends a child and whatever that has started, and reaps it. Call it in any case, in a ``finally``, and start
children inside `deferred_interrupt`: then Ctrl-C does not come between a start and the ``try`` that ends it.

Where this process is killed (SIGKILL) it can do nothing any more. A scenario sees that over the bridge and ends; a
program of ours says so itself (`die_with`); any other is started as `bound` says.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

_PR_SET_PDEATHSIG = 1


class Child:
    """A process in a session of its own. Always `stop` it."""

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        output: IO[bytes] | None = None,
        errors: IO[bytes] | None = None,
        folder: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start `command`; it reads nothing.

        output, errors: where it writes; None: where this process does. folder: where it runs; None: here. environment:
        the whole of it; None: this process's. pass_fds: descriptors that stay open in it. Raises OSError.
        """
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            cwd=folder,
            env=environment,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.pid = self.process.pid

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit status once it has ended (negative: a signal), None after the time-out (0: as things are)."""
        if timeout_s == 0:
            return self.process.poll()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_s: float = 1.0) -> int:
        """End it and what it has started: SIGTERM to it, after `grace_s` SIGKILL to all. Returns its exit status."""
        stop_all([self], grace_s)
        return self.process.returncode


def stop_all(children: Iterable[Child], grace_s: float = 1.0) -> None:
    """End several at once, as `Child.stop` does one; they share the `grace_s` seconds."""
    left = list(children)
    with deferred_interrupt():
        for child in left:
            if child.wait(0) is None:
                child.process.terminate()
                _signal_session(child, signal.SIGCONT)  # a stopped process ends only once it goes on
        end = time.monotonic() + grace_s
        for child in left:
            child.wait(max(0.0, end - time.monotonic()))
            _signal_session(child, signal.SIGKILL)
            child.wait()


def _signal_session(child: Child, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
        os.killpg(child.pid, number)


def describe_status(status: int | None) -> str:
    """An exit status in words."""
    if status is None:
        return "without an exit status"
    if status == -signal.SIGXFSZ:
        return "killed by SIGXFSZ: a file it wrote became larger than this process may write (ulimit -f)"
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exit status {status}"


# ---- where the parent is killed --------------------------------------------------------------------------------------


def die_with(parent: int) -> None:
    """For a program of ours: from now on this process is killed when the thread of `parent` that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)


def bound(name: str = "TERM") -> list[str]:
    """Words before a command, by which it gets signal `name` when its parent ends; none where setpriv is missing."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", name, "--"]


# ---- signals ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Ctrl-C inside takes effect at the end: for what must not be left half done (starting and ending processes).

    So does each other signal that a program has a function for, by which it may be ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[tuple[int, Any]] = []
    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        handler = signal.getsignal(number)
        if callable(handler):  # otherwise ignored, deadly, or not set from Python
            previous[number] = handler
            signal.signal(number, lambda *given: caught.append(given))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if caught:
            previous[signal.Signals(caught[0][0])](*caught[0])
