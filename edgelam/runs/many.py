# SPDX-License-Identifier: GPL-2.0-only
"""Many runs at once: ``edgelam.runs.load("campaigns/...")``, also for any folder with run folders in it.

Reading thousands of small files takes seconds, so what was read once is kept for all runs, in one Parquet file for each
table (edgelam.runs.index; a campaign's folder index/). Every reading compares it with the existing run folders, reads
what is missing, and writes it again in one step. Another process that reads at the same time sees the old file or the
new one.
"""

import concurrent.futures
import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.files.storage import StorageError
from edgelam.runs import results, statistics
from edgelam.runs.campaigns.folder import CampaignFolder, job_name, run_name
from edgelam.runs.configuration.settings import plain_text
from edgelam.runs.folders import tables
from edgelam.runs.folders.folder import read_manifest
from edgelam.runs.folders.load import Run
from edgelam.runs.index import (
    concatenate,
    facts_of,
    read_index,
    result_readers,
    scores_of,
    table_of,
    with_run_name,
    write_index,
)
from edgelam.runs.scores import Score, merged
from edgelam.text import suggest

_FACTS = ("run", "state", "experiment", "version", "inputs", "started", "wall_s", "node")
_ORIGINS = ("version", "inputs")  # those in which two runs with the same settings and seed may differ


class Runs(Mapping[str, pd.DataFrame]):
    """Run folders as one mapping from table name to DataFrame; `run`, the first column, is the folder under `path`."""

    def __init__(self, path: Path, runs: Sequence[Path], index: Path | None = None) -> None:
        """runs: the run folders, in the order of rows; index: the folder that keeps what was read, or None."""
        self.path = Path(path)
        self._runs = {str(run.relative_to(self.path)): run for run in runs}
        self._index = index
        self._read: dict[str, pd.DataFrame] = {}

    @property
    def paths(self) -> list[Path]:
        """The run folders."""
        return list(self._runs.values())

    @property
    def folder(self) -> Path:
        """The folder that was opened: a campaign's, or `path`."""
        return self.path if self._index is None else self._index.parent

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run: run (folder name), state, experiment, version, inputs, started, wall_s, node; every setting.

        version, inputs: hashes of the code, and of the files that a run of a campaign has read.
        """
        return self._cached("runs of this folder", lambda: self._collect("runs", "2", facts_of))

    @property
    def results(self) -> pd.DataFrame:
        """The results that the experiments give: run, text columns that label a row, and numbers, the metrics."""
        return self._cached(
            "results of this folder", lambda: self._collect("results", result_readers(self.runs), scores_of)
        )

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The tidy DataFrame: `results`, each row with its run's seed and the settings that are not the same in all."""
        return self._frame(self.varying())

    @property
    def labels(self) -> list[str]:
        """The columns of `frame` that say what a row is about (method, test set), not how good it is."""
        return _labels_in(self.frame, self.varying())

    @property
    def metrics(self) -> list[str]:
        """The columns of `frame` that hold results as numbers; the first is the main one."""
        return [name for name in _outcomes_in(self.frame, self.varying()) if _is_number(self.frame[name])]

    def varying(self) -> list[str]:
        """The settings that are not the same in all runs, without the seed.

        `version` (of the code) and `inputs` (a hash of the files read) are among them if runs with the same settings
        and seed differ in them: such runs must not be averaged.
        """
        settings = [name for name in _columns(self.runs) if name not in (*_FACTS, "seed")]
        found = [name for name in settings if len(self.runs[name].unique()) > 1]
        if "run" not in self.runs:
            return found
        told = ["experiment", "seed", *found]
        cells = len(self.runs[told].drop_duplicates())
        return [*found, *(name for name in _ORIGINS if len(self.runs[[*told, name]].drop_duplicates()) > cells)]

    def only(self, **settings: Any) -> "Runs":
        """Return the runs whose settings (or state, experiment, version) have these values; a dot is written ``__``.

        ``found.only(rounds=5, lora__rank=8, encoding=["int8", "fp16"])``: a list means any of its items, but if a
        setting takes lists, it is one value. Raises ConfigurationError for an unknown name, and for a value that no run
        has (except for a state).
        """
        chosen = self.runs
        for name, value in settings.items():
            column = name.replace("__", ".")
            if column not in self.runs:
                raise ConfigurationError(f"no setting is called {name!r}; {suggest(name, _columns(self.runs))}")
            chosen = chosen[_any_of(chosen[column], self._wanted(column, value))]
        return self.named(chosen["run"])

    def _wanted(self, column: str, value: Any) -> list[Any]:
        """Return the values that a run may have in this column."""
        present = self.runs[column]
        wanted = [value]
        if isinstance(value, list | tuple):
            wanted = [plain_text(value)] if (present == plain_text(value)).any() else list(value)
        for each in wanted:
            if column != "state" and not _any_of(present, [each]).any():
                raise ConfigurationError(f"no run has {column} = {each!r}; {statistics.there_are(present)}")
        return wanted

    def named(self, names: Iterable[str]) -> "Runs":
        """Return the runs whose column `run` is one of these names, in the order of the names."""
        chosen = Runs(self.path, [self._runs[name] for name in names if name in self._runs], self._index)
        chosen._read = {name: chosen._in_order(table) for name, table in self._read.items()}
        return chosen

    @functools.cached_property
    def declared(self) -> tuple[Score, ...]:
        """What these runs measure, as the first of each experiment declares it; for units, and which way is better."""
        if "run" not in self.runs:
            return ()
        first = self.runs.drop_duplicates("experiment")["run"]
        return merged(results.of_run(Run(self._runs[name])) for name in first)

    def score(self, metric: str) -> Score:
        """Return the score of a metric; one without unit and direction if it is not declared."""
        return next((score for score in self.declared if score.name == metric), Score(metric))

    def check_metric(self, name: str) -> None:
        """Raise ConfigurationError, which names the existing metrics, unless there is a metric of this name."""
        if name not in self.metrics:
            raise ConfigurationError(f"no metric is called {name!r}; {suggest(name, self.metrics)}")

    def compare(
        self,
        metric: str | None = None,
        baseline: Mapping[str, Any] | None = None,
        settings: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return a metric's mean and 95 % interval over seeds, and paired difference to a baseline, by cell and label.

        metric: a column of `metrics`, by default the first; baseline: {setting: value}, where other settings keep the
        row's own value; by default each setting's value in the first row; settings: those that define the cells, by
        default those that vary. Columns: settings, labels, then count, mean, interval (half of it), difference,
        difference_interval, pairs. Runs of a pair have the same seed.
        """
        metric = metric or next(iter(self.metrics), "")
        self.check_metric(metric)
        settings = self.varying() if settings is None else list(settings)
        frame = self._frame(settings)
        return statistics.compare(frame, settings, _labels_in(frame, settings), metric, baseline)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return the table of this name, of all runs that have it. Raises MissingTableError if no run has it."""
        found = self._cached(name, lambda: self._collect(f"table-{name}", "1", lambda run: table_of(run, name)))
        if "run" not in found:
            raise tables.MissingTableError(f"no run in {self.path} has a table {name!r}; {suggest(name, self)}")
        return found

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Return ``[name]``, if nothing else has this name. Raises AttributeError, which names the tables."""
        if not name.startswith("_") and "_runs" in self.__dict__:
            try:
                return self[name]
            except StorageError as error:
                raise AttributeError(str(error)) from error
        raise AttributeError(f"Runs has no attribute {name!r}")

    def __iter__(self) -> Iterator[str]:
        """Yield the names of tables, as the first run has them."""
        return iter(tables.table_names(next(iter(self._runs.values()))) if self._runs else [])

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(list(iter(self)))

    def __repr__(self) -> str:
        """Say how many runs these are."""
        return f"Runs({str(self.path)!r}, {len(self._runs)} runs)"

    def _frame(self, settings: Sequence[str]) -> pd.DataFrame:
        """`results`, each row with its run's seed and these settings."""
        if "run" not in self.results:
            return pd.DataFrame(columns=["run", "seed", *settings])
        return self.runs[["run", "seed", *settings]].merge(self.results, on="run", suffixes=("", "_result"))

    def _cached(self, name: str, read: Callable[[], pa.Table]) -> pd.DataFrame:
        if name not in self._read:
            self._read[name] = self._in_order(tables.to_pandas(read()))
        return self._read[name]

    def _in_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return only the rows of these runs, in the order of the runs."""
        if "run" not in table:
            return table
        place = table["run"].map({name: index for index, name in enumerate(self._runs)})
        return table.loc[place.dropna().sort_values(kind="stable").index].reset_index(drop=True)

    def _readable(self, name: str, read: Callable[[Path], pa.Table]) -> pa.Table:
        try:
            if self._index is not None:
                _check_name(self._runs[name])
            return read(self._runs[name])
        except StorageError as error:
            remedy = f"move {self._runs[name]} away to read the other runs"
            if self._index is not None:  # of a campaign
                remedy = f"delete {self._runs[name]} and give the campaign's command again: then that run is done again"
            raise StorageError(f"{error}; {remedy}") from error

    def damaged(self) -> dict[str, StorageError]:
        """Return the runs that have no results because their files cannot be read, and why."""
        found: dict[str, StorageError] = {}
        try:
            _ = self.frame
        except StorageError:  # it is about the first; the others are tried one by one
            for name in self._runs:
                try:
                    _ = self.named([name]).frame
                except StorageError as error:
                    found[name] = error
        return found

    def _collect(self, name: str, reader: str, read: Callable[[Path], pa.Table]) -> pa.Table:
        """Return the rows of all runs, from the index and, for runs that it lacks, from the run folders.

        reader: what decides, beside the runs, what is read; if the index was made with another reader, it is not used.
        """
        file = self._index / f"{name}.parquet" if self._index is not None else None
        known, table = read_index(file, reader) if file is not None else ([], None)
        there = set(known)
        missing = [name for name in self._runs if name not in there]
        if missing:
            new = _of_all(lambda name: with_run_name(self._readable(name, read), name), missing)
            table = concatenate([*([] if table is None else [table]), *new])
            known = [*known, *missing]
            if file is not None:
                write_index(file, table, known, reader)
        if table is None:
            return pa.table({})
        return table


def campaign_runs(path: Path) -> Runs:
    """Return the finished runs of a campaign's folder, in the order of its grid."""
    campaign = CampaignFolder(path)
    return Runs(campaign.runs, campaign.finished(), campaign.index)


def update_index(path: Path) -> None:
    """Read the finished runs of a campaign that its index lacks, so that the next query need not read them."""
    with contextlib.suppress(EdgelamError):  # errors are reported when results are asked for
        _ = campaign_runs(path).results


def find_runs(path: Path) -> list[Path]:
    """Return the run folders in a folder, and in the folders in it."""
    found = (file.parent for pattern in ("*", "*/*") for file in Path(path).glob(f"{pattern}/manifest.json"))
    return sorted(run for run in found if not run.name.startswith("."))  # hidden: being made just now


def _of_all(read: Callable[[str], pa.Table], names: Sequence[str]) -> list[pa.Table]:
    """Call `read` for each name, several at once if threads can be made."""
    try:
        with concurrent.futures.ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
            return list(pool.map(read, names))
    except RuntimeError:  # no more threads may be made (ulimit -u, -v)
        return [read(name) for name in names]


def _check_name(path: Path) -> None:
    """Raise StorageError if a run of a campaign does not fit its folder's name: it was copied or renamed."""
    manifest = read_manifest(path)
    identity = (manifest.get("campaign") or {}).get("identity")
    if isinstance(identity, str) and job_name(path.name) != run_name(manifest["seeds"]["root"], identity):
        raise StorageError(f"{path} holds the run {run_name(manifest['seeds']['root'], identity)}: it was renamed")


def _columns(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns]


def _any_of(values: pd.Series, wanted: Sequence[Any]) -> pd.Series:
    """Return which of `values` are one of `wanted`; None stands for an open setting."""
    found = pd.Series(False, index=values.index)
    for value in wanted:
        found |= values.isna() if value is None else (values == value).fillna(False).astype(bool)
    return found


def _outcomes_in(frame: pd.DataFrame, settings: Sequence[str]) -> list[str]:
    """Return the columns after run, seed and the settings."""
    return _columns(frame)[2 + len(settings) :]


def _labels_in(frame: pd.DataFrame, settings: Sequence[str]) -> list[str]:
    return [name for name in _outcomes_in(frame, settings) if not _is_number(frame[name])]


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values))
