# SPDX-License-Identifier: GPL-2.0-only
"""One run of a campaign, in a process of its own: ``python -m edgelam.runs.campaigns.worker SCRATCH PARENT``.

SCRATCH holds config.toml and job.json, and gets stderr.txt and the run folder. The process, and ns-3 with it, ends when
the process PARENT ends, even if PARENT is killed.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgelam.errors import EdgelamError
from edgelam.processes import Child, die_with

STOP_S = 10.0  # time for a run to stop ns-3 and to close its files
_RECORD = "files"  # in SCRATCH: the files that the run has opened (edgelam.runs.campaigns.inputs)


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a run's process: its share of the cores; idle threads sleep (ns-3 needs their core)."""
    return {"OMP_WAIT_POLICY": "passive"} | os.environ | {"OMP_NUM_THREADS": str(threads)}


def start(scratch: Path, *, env: Mapping[str, str], cwd: Path | None = None, keep_open: tuple[int, ...] = ()) -> Child:
    """Start a run. When it is stopped, it stops ns-3 and closes its files: give it STOP_S."""
    from edgelam.cosim import files

    recorded = files.preloaded() | {files.RECORD: str((scratch / _RECORD).resolve())}
    with open(scratch / "stderr.txt", "wb") as log:
        return Child(
            [sys.executable, "-m", "edgelam.runs.campaigns.worker", str(scratch.resolve()), str(os.getpid())],
            output=log,
            errors=log,
            environment=dict(env) | recorded,
            folder=cwd,
            pass_fds=keep_open,
        )


def note_end(scratch: Path, status: int) -> None:
    """Say in stderr.txt how a run's process ended, if it could not say so itself."""
    if status < 0:
        with open(scratch / "stderr.txt", "a") as log:
            log.write(f"the run was ended by signal {-status} ({signal.strsignal(-status)})\n")


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt("the campaign was stopped")


def run(scratch: Path) -> None:
    """Do what SCRATCH/job.json says."""
    from edgelam.output.progress import Progress
    from edgelam.runs import experiments
    from edgelam.runs.campaigns.identity import code_version, experiment_files
    from edgelam.runs.campaigns.inputs import inputs_of
    from edgelam.runs.configuration import from_toml
    from edgelam.runs.folders.folder import RunFolder

    began_ns = time.time_ns()
    job = json.loads((scratch / "job.json").read_text())
    experiment = experiments.find(job["experiment"])
    found, wanted = code_version(experiment), job["campaign"]["version"]
    if found != wanted:
        raise EdgelamError(
            f"edgelam or the experiment on {os.uname().nodename} has code {found}, the campaign began with {wanted}: "
            "install the same wheel on every node, and begin the campaign again after changing code"
        )
    config: Any = from_toml(scratch / "config.toml", experiment.config)
    experiment.check(config)
    folder = RunFolder.create(experiment.name, config, seed=config.seed, out=scratch, recipe=job["recipe"])
    with folder, Progress() as progress:
        folder.note(command=job["command"], campaign=job["campaign"])
        experiment.run(config, folder, progress)
        inputs = inputs_of(scratch / _RECORD, began_ns, [scratch, *experiment_files(experiment)])
        folder.note(campaign={"inputs": inputs})


def main() -> int:
    """Do the run; the exit status says how it ended, and stderr why."""
    scratch, parent = Path(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    try:
        run(scratch)
    except (EdgelamError, KeyboardInterrupt, BaseExceptionGroup) as error:
        from edgelam.errors import first_cause
        from edgelam.runs.folders.folder import explanation

        cause = first_cause(error)
        if isinstance(cause, KeyboardInterrupt):
            return 143
        if not isinstance(cause, EdgelamError):
            raise
        print(explanation(cause), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
