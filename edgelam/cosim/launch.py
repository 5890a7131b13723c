# SPDX-License-Identifier: GPL-2.0-only
"""A scenario's process: its command line, the address at which others meet it, and what it writes."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from edgelam import limits, reasons
from edgelam.errors import ConfigurationError
from edgelam.processes import Child, describe_status

LAST_LINES = 12
LAST_BYTES = 1 << 16


ADDRESS_VARIABLE = "EDGELAM_SCENARIO_ADDRESS"  # in a scenario's environment, which other users cannot read
STARTER_VARIABLE = "EDGELAM_SCENARIO_STARTER"  # this process: a scenario that nobody has joined ends with it


def random_address() -> str:
    """Return a Unix socket address of the abstract namespace (unix(7)): no file is left."""
    return f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"


def command_line(
    executable: Sequence[str], seed: int, options: Mapping[str, Any], bridge: Mapping[str, Any]
) -> list[str]:
    """Return the command `executable` with ``--name=value`` for every option; booleans as 1 and 0."""
    given = {"seed": seed, **{f"edgelam-{key}": value for key, value in bridge.items()}}
    twice = {*given, "edgelam-address"} & options.keys()
    if twice:
        raise ConfigurationError(
            f"options: {', '.join(sorted(twice))} is set by an argument of `simulate` and cannot be given as an option"
        )
    command = list(executable)
    for name, value in {**options, **given}.items():
        if not isinstance(value, (bool, int, float, str)):
            raise ConfigurationError(f"option {name!r} is {value!r}; legal are numbers, booleans and text")
        command.append(f"--{name}={int(value) if isinstance(value, bool) else value}")
    return command


class ScenarioProcess(Child):
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
        """Start `command`.

        Errors call it `name`. What it writes goes to the file `log`, or to a file without a name, or, with `show`, to
        where Python writes. It runs in `folder` or in the current folder, with `variables` added to the environment.
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
            written = None if show else self._log
            environment = os.environ | dict(variables or {})
            super().__init__(command, output=written, errors=written, folder=folder, environment=environment)
        except OSError as error:
            self._log.close()
            reason = f"{error.strerror}{limits.advice(error)}"
            raise ConfigurationError(f"scenario {command[0]!r} cannot be started: {reason}") from None
        self.name = name
        kept = "is kept for errors (scenario_log gives it a file)" if log is None else f"goes to {os.fspath(log)}"
        self.output = "what it writes is shown here" if show else f"what it writes {kept}"
        """Says in words where its output is."""

    def last_lines(self) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self._end_of_log().rstrip().splitlines()[-LAST_LINES:])

    def _end_of_log(self) -> str:
        if self._log.closed:
            return self._tail
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), LAST_BYTES, max(0, size - LAST_BYTES)).decode(errors="replace")

    def stop(self, grace_s: float = 1.0) -> int:
        """Stop the scenario as `Child.stop` does, and keep its last lines."""
        status = super().stop(grace_s)
        if not self._log.closed:
            self._tail = self._end_of_log()
            self._log.close()
        return status

    def describe(self, status: int | None) -> str:
        """Describe what ns-3 said about it, how it ended, and its last lines."""
        if self._shown:
            return describe_status(status)
        said = reasons.of_output(self._end_of_log())
        return (f"{said} ({describe_status(status)})" if said else describe_status(status)) + quote(self.last_lines())


def quote(lines: str) -> str:
    """Return the last lines of a log, for the end of an error's text."""
    return ("; its last lines:\n  " + lines.replace("\n", "\n  ")) if lines else "; it wrote nothing"
