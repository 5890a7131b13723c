# SPDX-License-Identifier: GPL-2.0-only
"""Read a run folder back: ``run = edgelam.runs.load("runs/split-fedft/...")``, ``run["metrics"]``.

Many at once: edgelam.runs.many."""

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
    """A run as a mapping from table name to DataFrame, read when asked for. Also of a run that goes on, or was killed.

    Every table is an attribute as well: ``run.merges`` is ``run["merges"]``, where nothing else here is called so.

    path: the folder; manifest: a dict; state: running, completed, failed, interrupted or killed.
    """

    def __init__(self, path: Path) -> None:
        """Read the manifest; tables are read when asked for."""
        self.path = Path(path)
        self.manifest: dict[str, Any] = folder.read_manifest(self.path)
        self.state: str = self.manifest["state"]
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The table of that name. Raises StorageError if there is none: ask ``name in run``."""
        if name not in self._read:
            known = f"{name}.parquet" in (self.manifest.get("files") or {})
            if not known and name not in tables.table_names(self.path):
                raise StorageError(f"{self.path} has no table {name!r}; {suggest(name, self)}")
            self._read[name] = tables.read_table(self.path, name)
        return self._read[name]

    def __getattr__(self, name: str) -> pd.DataFrame:
        """The table of that name. Raises AttributeError, which names those there are."""
        if name.startswith("_") or "path" not in self.__dict__ or name not in self:
            found = suggest(name, self) if "path" in self.__dict__ else "it was not opened"
            raise AttributeError(f"{self.__dict__.get('path')} has no table {name!r}; {found}")
        return self[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a table of that name."""
        return name in tables.table_names(self.path)

    def __iter__(self) -> Iterator[str]:
        """Table names in alphabetical order."""
        return iter(tables.table_names(self.path))

    def __len__(self) -> int:
        """How many tables there are."""
        return len(tables.table_names(self.path))

    def __repr__(self) -> str:
        """Say which run this is and how it stands."""
        return f"Run({str(self.path)!r}, state={self.state!r}, tables={list(self)})"

    @property
    def verified(self) -> bool:
        """Whether its files have digests, by which a changed bit is found: not in a folder of an older edgelam."""
        return bool(self.manifest["format"] == digests.FORMAT)

    @property
    def wall_s(self) -> float | None:
        """Wall-clock seconds from its beginning to its end; None while it goes on, or where it was killed.

        In folders that do not hold it, the time between both dates; None where the clock was set back in between.
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
        """The transfers table, one row a transfer."""
        return self["transfers"]


def load_run(path: str | Path) -> Run:
    """Open one run folder. Raises StorageError for what is none, and names a run where the folder holds several."""
    found = load(path)
    if not isinstance(found, Run):
        example = f"; give one of them, e.g. {found.paths[-1]}" if found.paths else ""
        raise StorageError(f"{path} holds {len(found.paths)} runs and is none itself{example}")
    return found


def load(path: str | Path) -> "Run | Any":
    """Open for reading: a run folder as a `Run`; a campaign's folder, or one that holds run folders, as `Runs`.

    Raises StorageError where it is none of these. (The type says Any beside Run: what it is the folder decides.)
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
    """Around what shows runs: whatever it raises at one that edgelam did not write, or not to its end, is told.

    It becomes one StorageError that names the first such run. Of runs that are whole it is a fault of the program's.
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
