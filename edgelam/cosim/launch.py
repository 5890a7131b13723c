# SPDX-License-Identifier: GPL-2.0-only
"""Starting a scenario process and making sure that it ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from edgelam import limits, reasons
from edgelam.errors import ConfigurationError

LAST_LINES = 12
LAST_BYTES = 1 << 16


ADDRESS_VARIABLE = "EDGELAM_SCENARIO_ADDRESS"  # in a scenario's environment, which other users cannot read


def random_address() -> str:
    """A Unix socket address of the abstract name space (unix(7)): no file is left behind."""
    return f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"


def command_line(program: Sequence[str], seed: int, options: Mapping[str, Any], bridge: Mapping[str, Any]) -> list[str]:
    """The command `program` with ``--name=value`` for every option; booleans as 1 and 0."""
    given = {"seed": seed, **{f"edgelam-{key}": value for key, value in bridge.items()}}
    twice = {*given, "edgelam-address"} & options.keys()
    if twice:
        raise ConfigurationError(f"options: {', '.join(sorted(twice))}: an argument of `simulate`, not an option")
    command = list(program)
    for name, value in {**options, **given}.items():
        if not isinstance(value, (bool, int, float, str)):
            raise ConfigurationError(f"option {name!r}: a number, a boolean or text is needed, not {value!r}")
        command.append(f"--{name}={int(value) if isinstance(value, bool) else value}")
    return command


class ScenarioProcess:
    """A running scenario. Always `stop` it."""

    def __init__(
        self,
        name: str,
        command: list[str],
        log: str | os.PathLike[str] | None = None,
        *,
        show: bool = False,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command` in a session of its own, so that Ctrl-C in the terminal reaches Python only.

        `name` is what errors call it. What it writes goes to the file `log`, or to a file without a name; with `show`
        to where Python writes. It runs in `folder`, or in the current one, with `variables` added to the environment.
        """
        self._shown = show
        self._log: IO[bytes]
        try:
            if log is None:
                self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
            else:
                Path(log).parent.mkdir(parents=True, exist_ok=True)
                self._log = open(log, "w+b")  # noqa: SIM115
        except OSError as error:
            where = "the scenario's output in a temporary file" if log is None else f"scenario_log {os.fspath(log)!r}"
            raise ConfigurationError(f"{where}: {error.strerror or error}{limits.advice(error)}") from None
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=None if show else self._log,
                stderr=None if show else self._log,
                cwd=folder,
                env=os.environ | dict(variables or {}),
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            reason = f"{error.strerror}{limits.advice(error)}"
            raise ConfigurationError(f"scenario {command[0]!r} cannot be started: {reason}") from None
        self.name = name
        self.pid = self._process.pid
        kept = "is kept for errors (scenario_log gives it a file)" if log is None else f"goes to {os.fspath(log)}"
        self.output = "what it writes is shown here" if show else f"what it writes {kept}"
        """Where to look for what it writes, in words."""

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit status once it has ended (negative: a signal), None after the time-out."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def last_lines(self) -> str:
        """What it wrote last."""
        return "\n".join(self._end_of_log().rstrip().splitlines()[-LAST_LINES:])

    def _end_of_log(self) -> str:
        if self._log.closed:
            return self._tail
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), LAST_BYTES, max(0, size - LAST_BYTES)).decode(errors="replace")

    def stop(self, grace_s: float = 1.0) -> int:
        """End it if it has not ended: wait a little, then terminate, then kill; reap it. Returns the exit status."""
        status = self._process.poll()
        for seconds, number in ((0.0, signal.SIGTERM), (grace_s, signal.SIGKILL)):
            if status is None:
                status = self.wait(seconds) if seconds else self._process.poll()
            if status is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, number)
                    os.killpg(self.pid, signal.SIGCONT)  # a stopped process ends only once it goes on
        if status is None:
            status = self._process.wait()
        if not self._log.closed:
            self._tail = self._end_of_log()
            self._log.close()
        return status

    def describe(self, status: int | None) -> str:
        """What ns-3 said of it, how it ended, and its last lines."""
        if self._shown:
            return describe_status(status)
        said = reasons.of_output(self._end_of_log())
        return (f"{said} ({describe_status(status)})" if said else describe_status(status)) + quote(self.last_lines())


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


def quote(lines: str) -> str:
    """The last lines of a log, for the end of an error's text."""
    return ("; its last lines:\n  " + lines.replace("\n", "\n  ")) if lines else "; it wrote nothing"


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


def wait_until(done: Any, timeout_s: float) -> bool:
    """Poll `done` for up to `timeout_s` seconds of wall time."""
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
