# SPDX-License-Identifier: GPL-2.0-only
"""Runs of ns3-scenarios/validation/radio.cc: a few at a time, each printing lines of JSON."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from edgelam.errors import EdgelamError
from edgelam.output.progress import Progress
from edgelam.paths import installed
from edgelam.processes import Child, deferred_interrupt, stop_all

_LOOK_S = 0.02  # how often a finished run is looked for


def executable() -> Path:
    """The installed executable."""
    return installed("bin/validation/radio-validation")


class Runner:
    """Starts runs, at most `processes` at a time, and shows how many are done."""

    def __init__(self, processes: int, progress: Progress) -> None:
        """Nothing is started yet."""
        self._processes, self.progress = processes, progress

    def run(self, case: str, jobs: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        """Run a case with the options of each job; returns the lines each printed, in the order of `jobs`.

        True stands for a flag that is set, False for one that is left out. Raises EdgelamError with what a run said
        when it failed. However it ends, no process is left.
        """
        self.progress.begin(case, len(jobs), "runs")
        results: list[list[dict[str, Any]]] = [[] for _ in jobs]
        waiting = list(enumerate(jobs))
        going: dict[int, tuple[Child, IO[bytes], IO[bytes]]] = {}
        done = 0
        try:
            while waiting or going:
                while waiting and len(going) < self._processes:
                    index, job = waiting.pop(0)
                    out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
                    log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
                    with deferred_interrupt():
                        going[index] = (Child(_command(case, job), output=out, errors=log), out, log)
                time.sleep(_LOOK_S)
                for index in [index for index, (process, _, _) in going.items() if process.wait(0) is not None]:
                    process, out, log = going.pop(index)
                    with out, log:
                        results[index] = _result(_command(case, jobs[index]), process.stop(), out, log)
                    done += 1
                    self.progress.step(done)
        finally:
            stop_all((process for process, _, _ in going.values()), 0.0)
            for _, out, log in going.values():
                out.close()
                log.close()
        return results


def _command(case: str, job: Mapping[str, Any]) -> list[str]:
    given = {name: value for name, value in job.items() if value is not False}
    return [
        str(executable()),
        case,
        *(f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()),
    ]


def _result(command: list[str], status: int, out: IO[bytes], log: IO[bytes]) -> list[dict[str, Any]]:
    out.seek(0)
    log.seek(0)
    if status:
        said = log.read().decode(errors="replace").strip() or f"it ended with status {status}"
        raise EdgelamError(f"{' '.join(command)} failed: {said}")
    return [json.loads(line) for line in out.read().splitlines()]
