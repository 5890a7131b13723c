# SPDX-License-Identifier: GPL-2.0-only
"""Child processes: how they are started, and how all of them are ended, however this process ends.

A `Child` has its own session, so Ctrl-C in a terminal reaches only this process, which stops its children: `Child.stop`
ends a child and everything that it has started, and reaps it. Always call it, in a ``finally``, and start children
inside `deferred_interrupt`: then Ctrl-C cannot come between a start and the ``try`` that ends it.

If this process is killed (SIGKILL), it can do nothing any more. A scenario sees this over the bridge and ends; a
program of ours uses `die_with`; any other is started with the words of `bound`.
"""

from __future__ import annotations

import atexit
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
from typing import IO, Any, NoReturn

_PR_SET_PDEATHSIG = 1


class Child:
    """A process in its own session. Always `stop` it."""

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
        """Start `command`, with an empty standard input.

        output, errors: where it writes; None: where this process writes. folder: where it runs; None: here.
        environment: all variables; None: those of this process. pass_fds: descriptors that stay open. Raises OSError.
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
        """The exit status when it has ended (negative: a signal), or None after the time-out (0: do not wait)."""
        if timeout_s == 0:
            return self.process.poll()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_s: float = 1.0) -> int:
        """End it and what it has started: SIGTERM to it, after `grace_s` SIGKILL to all. Return its exit status."""
        stop_all([self], grace_s)
        return self.process.returncode


def stop_all(children: Iterable[Child], grace_s: float = 1.0) -> None:
    """End several at once, as `Child.stop` ends one; they share the `grace_s` seconds."""
    left = list(children)
    with deferred_interrupt():
        for child in left:
            if child.wait(0) is None:
                child.process.terminate()
                _signal_session(child, signal.SIGCONT)  # a stopped process ends only when it goes on
        end = time.monotonic() + grace_s
        for child in left:
            child.wait(max(0.0, end - time.monotonic()))
            _signal_session(child, signal.SIGKILL)
            child.wait()


def _signal_session(child: Child, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
        os.killpg(child.pid, number)


def describe_status(status: int | None) -> str:
    """Describe an exit status in words."""
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
    """Let this process be killed from now on when the thread of `parent` that started it ends; for programs of ours."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)


def bound(name: str = "TERM") -> list[str]:
    """Return the words before a command with which it gets signal `name` when its parent ends; none without setpriv."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", name, "--"]


def leave(status: int) -> NoReturn:
    """End this process as Python does, but for taking apart all that PyTorch has made, which takes seconds."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # waits for threads
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it, or it is none
            stream.flush()
    os._exit(status)


# ---- signals ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Delay Ctrl-C to the end of the block, which must not be left half done (starting and ending processes).

    The same holds for every other signal by which a program may be ended and for which it has a function.
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
