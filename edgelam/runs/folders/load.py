# SPDX-License-Identifier: GPL-2.0-only
"""Reads a run folder: ``run = edgelam.runs.load("runs/split-fedft/...")``, ``run["metrics"]``.

edgelam.runs.many reads many runs at once."""

import contextlib
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from edgelam.errors import EdgelamError
from edgelam.files import digests
from edgelam.files.storage import StorageError
from edgelam.runs.folders import folder, tables
from edgelam.text import suggest


class Run(Mapping[str, pd.DataFrame]):
    """A run as a mapping from table name to DataFrame, read when needed; also of a run that goes on or was killed.

    Every table is an attribute, too: ``run.merges`` is ``run["merges"]``, unless something else here has this name.

    path: the folder; manifest: a dict; state: running, completed, failed, interrupted or killed.
    """

    def __init__(self, path: Path) -> None:
        """Read the manifest; tables are read when needed."""
        self.path = Path(path)
        self.manifest: dict[str, Any] = folder.read_manifest(self.path)
        self.state: str = self.manifest["state"]
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return the table of this name. Raises MissingTableError if there is none: ``get(name)`` is then None."""
        if name not in self._read:
            known = f"{name}.parquet" in (self.manifest.get("files") or {})
            if not known and name not in tables.table_names(self.path):
                raise tables.MissingTableError(f"{self.path} has no table {name!r}; {suggest(name, self)}")
            self._read[name] = tables.read_table(self.path, name)
        return self._read[name]

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Return the table of this name. Raises AttributeError, which names the existing ones."""
        if name.startswith("_") or "path" not in self.__dict__ or name not in self:
            found = suggest(name, self) if "path" in self.__dict__ else "it was not opened"
            raise AttributeError(f"{self.__dict__.get('path')} has no table {name!r}; {found}")
        return self[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is a table of this name."""
        return name in tables.table_names(self.path)

    def __iter__(self) -> Iterator[str]:
        """Yield the table names in alphabetical order."""
        return iter(tables.table_names(self.path))

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(tables.table_names(self.path))

    def __repr__(self) -> str:
        """Say which run this is, and its state."""
        return f"Run({str(self.path)!r}, state={self.state!r}, tables={list(self)})"

    @property
    def verified(self) -> bool:
        """Whether its files have digests, by which a changed bit is found; folders of an older edgelam have none."""
        return bool(self.manifest["format"] == digests.FORMAT)

    @property
    def wall_s(self) -> float | None:
        """Wall-clock seconds from its beginning to its end; None while it goes on, or if it was killed.

        In folders that do not hold it, it is the time between both dates; None if the clock was set back in between.
        """
        if "wall_s" in self.manifest:
            found: float | None = self.manifest["wall_s"]
            return found
        started, ended = self.manifest["started"], self.manifest["ended"]
        if not ended:
            return None
        between_s = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
        return between_s if between_s >= 0 else None

    @property
    def metrics(self) -> pd.DataFrame:
        """The metrics table."""
        return self["metrics"]

    @property
    def transfers(self) -> pd.DataFrame:
        """The transfers table, with one row for each transfer."""
        return self["transfers"]


def load_run(path: str | Path) -> Run:
    """Open one run folder. Raises StorageError for anything else, and names a run if the folder holds several."""
    found = load(path)
    if not isinstance(found, Run):
        example = f"; give one of them, e.g. {found.paths[-1]}" if found.paths else ""
        raise StorageError(f"{path} holds {len(found.paths)} runs and is not a run itself{example}")
    return found


def load(path: str | Path) -> "Run | Any":
    """Open for reading: a run folder as a `Run`; a campaign's folder, or one that holds run folders, as `Runs`.

    Raises StorageError if it is none of these. (The type is Run or Any, since the folder decides what is returned.)
    """
    from edgelam.runs import many
    from edgelam.runs.campaigns.folder import CAMPAIGN_FILE

    path = Path(path)
    if (path / CAMPAIGN_FILE).exists():
        return many.campaign_runs(path)
    if not (path / "manifest.json").exists() and (found := many.find_runs(path)):
        return many.Runs(path, found)
    return Run(path)


@contextlib.contextmanager
def reading(*paths: str | Path) -> Iterator[None]:
    """Wrap code that shows runs: errors caused by runs that edgelam did not write, or not to the end, are explained.

    They become one StorageError that names the first such run. For complete runs, an error is a fault of the program.
    """
    try:
        yield
    except (EdgelamError, OSError, MemoryError):
        raise
    except Exception as error:
        for path in paths:
            found = load(path)
            for run in [found] if isinstance(found, Run) else map(Run, found.paths):
                if not run.verified or run.state != "completed":
                    what = run.state if run.verified else "of something else than this edgelam, or damaged"
                    at = traceback.extract_tb(error.__traceback__)[-1]
                    raise StorageError(
                        f"{run.path} cannot be shown: it is {what}, and its files have not what is needed: "
                        f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
                    ) from error
        raise
