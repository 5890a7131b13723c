# SPDX-License-Identifier: GPL-2.0-only
"""The folder in which a scenario works: it writes files with relative names there, and still finds what it reads.

A run of an experiment has such a folder for each of its simulations. If a file with a relative name is not there, the
library ``edgelam-files``, which is preloaded into the scenario, looks for it in the user's folder
(ns3-scenarios/files/files.cc explains how, and what it does not see).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edgelam import paths
from edgelam.errors import ConfigurationError

LIBRARY = "lib/libedgelam-files.so"
RECORD = "EDGELAM_FILES_RECORD"
"""The environment variable that names a file, in which the library notes each file that its process opens."""


class _Outputs:
    """Where simulations get their folders."""

    def __init__(self, path: Path) -> None:
        self.path, self.begun = path, 0


_outputs: list[_Outputs] = []  # the last counts


@contextlib.contextmanager
def scenarios_write_to(folder: Path) -> Iterator[None]:
    """Scenarios started inside work in folders of their own in `folder`: ``scenario``, ``scenario-2``, and so on.

    The number is that of the simulation, in the order in which they begin. If one wrote nothing, its folder is removed.
    """
    _outputs.append(_Outputs(Path(folder).resolve()))
    try:
        yield
    finally:
        _outputs.pop()


def working_folder(asked: str | os.PathLike[str] | None) -> Path | None:
    """Make the folder in which a scenario works: `asked`, or one of the run; None stands for the current folder.

    Raises ConfigurationError if it cannot be made. Afterwards, call `leave_folder`.
    """
    folder = Path(asked).absolute() if asked is not None else None
    if folder is None and _outputs:
        now = _outputs[-1]
        now.begun += 1
        folder = now.path / ("scenario" if now.begun == 1 else f"scenario-{now.begun}")
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"scenario_folder {str(folder)!r}: {error.strerror}") from None
    return folder


def leave_folder(folder: Path | None) -> None:
    """Remove the folder of a scenario that has ended, if it is empty."""
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.rmdir()


def variables(folder: Path | None) -> dict[str, str]:
    """Return the environment of a scenario that works in `folder` and reads from the current folder."""
    if folder is None:
        return {}
    return preloaded() | {"EDGELAM_FILES_FOLDER": os.path.realpath(folder), "EDGELAM_FILES_FROM": os.getcwd()}


def preloaded() -> dict[str, str]:
    """Return the environment that loads the library into a process before all others."""
    library = str(paths.installed(LIBRARY))
    present = os.environ.get("LD_PRELOAD", "").split()
    checks = [*filter(None, [os.environ.get("ASAN_OPTIONS")]), "verify_asan_link_order=0"]  # it must be the first
    return {"LD_PRELOAD": " ".join([library, *(p for p in present if p != library)]), "ASAN_OPTIONS": ":".join(checks)}
