# SPDX-License-Identifier: GPL-2.0-only
"""The run folder: ``<out>/<experiment>/<time>-<seed>/``, one for every execution of an experiment, never overwritten.

manifest.json    what was run, with which versions, where, and how it ended
config.toml      the configuration, to run it again: edgelam run EXPERIMENT --config .../config.toml
metrics.parquet, transfers.parquet, ...    tables in simulated time (edgelam.runs.folders.tables)
wall.parquet     wall-clock readings, the only table that differs between two runs of one seed
*.svg, *.png     figures, drawn from the tables
scenario/        files with relative names of the scenario, which runs there (scenario-2/: of the second simulation)

The manifest has the SHA-256 of each of the other files, and of itself (edgelam.files.digests).
"""

import contextlib
import datetime
import errno
import fcntl
import hashlib
import json
import os
import platform
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import pyarrow as pa

from edgelam import host
from edgelam.errors import EdgelamError, first_cause
from edgelam.files import digests
from edgelam.files.storage import StorageError, make_folder, sync_folder, write_atomically
from edgelam.runs.configuration import to_plain, to_toml
from edgelam.runs.folders import tables

_NEW = ".new-"  # begins the name of a folder that is being made
_RESERVE_BYTES = 1 << 16  # freed when the run ends, so that its end can be written even on a full disk
DRAWN = {".svg", ".png", ".pdf", ".html"}  # made from the tables: may be edited, and drawn again
State = Literal["running", "completed", "failed", "interrupted"]


class RunFolder:
    """The folder of one run while it is written. Use it as a context manager: leaving it records how the run ended.

    An exception sets the state to ``failed`` (or ``interrupted`` for Ctrl-C and SIGTERM) with its text as the reason.
    A process that is killed leaves ``running``; `edgelam.runs.load` then says ``killed``.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        """Use ``create``. path: where the folder will be."""
        self.path = path
        self.manifest = manifest
        self._tables: dict[str, tables.TableWriter] = {}
        self._together = tables.Tables()
        self._on_append: Callable[[str, int, Mapping[str, Any]], object] | None = None
        self._begun = time.monotonic()

    @classmethod
    def create(
        cls,
        experiment: str,
        config: Any,
        *,
        seed: int,
        out: Path = Path("runs"),
        recipe: str | None = None,
        now: datetime.datetime | None = None,
        learning: bool = True,
    ) -> Self:
        """Make the folder and its manifest, in state ``running``.

        config: a dataclass; seed: the run's root seed; out: the folder that holds all runs; recipe: the name `config`
        started from; now: the time in the folder's name (UTC by default). Two runs of the same second get ``-2``,
        ``-3``, ...; learning: whether the run uses PyTorch. Raises StorageError.
        """
        # a replay takes it from a manifest, which may come from anybody
        if experiment in ("", "..") or Path(experiment).name != experiment or "\0" in experiment:
            raise StorageError(f"an experiment's name is one part of a path, not {experiment!r}")
        now = now or datetime.datetime.now(datetime.UTC)
        configuration, text = (
            to_plain(config),
            to_toml(config),
        )  # at first, so that nothing is made for what cannot be written
        manifest = {
            "format": digests.FORMAT,
            "experiment": experiment,
            "recipe": recipe,
            "state": "running",
            "reason": None,
            "started": now.isoformat(timespec="seconds"),
            "ended": None,
            "wall_s": None,
            "command": host.shell_line(sys.argv),
            "seeds": {"root": seed},
            "configuration": configuration,
            "versions": host.versions(),
            "source": host.source_commit(),
            "host": host.host_facts(learning=learning),  # it takes seconds, so it comes before the folder is made
            "process": {
                "node": platform.node(),
                "boot": host.boot_id(),
                "pid": os.getpid(),
                "start": host.process_start(os.getpid()),
            },
            "tables": {},
            "files": {"config.toml": hashlib.sha256(text.encode()).hexdigest()},
        }
        parent = Path(out) / experiment
        make_folder(parent)
        with _new_folder(parent) as new:
            folder = cls(new, manifest)
            folder.write_manifest()
            write_atomically(new / "config.toml", text.encode())
            write_atomically(new / ".reserve", os.urandom(_RESERVE_BYTES))
            folder.path = _give_name(new, f"{now:%Y%m%d-%H%M%S}-{seed}")
        return folder

    @property
    def wall_s(self) -> float:
        """Wall-clock seconds since the run began."""
        return time.monotonic() - self._begun

    def table(self, name: str, schema: pa.Schema | Mapping[str, Any] | None = None) -> tables.TableWriter:
        """Return the writer of one table; the first call makes it and gives the schema (pyarrow, or {column: type})."""
        if name not in self._tables:
            if schema is None:
                raise EdgelamError(f"table {name!r} has no schema yet: give one with the first use of it")
            if not isinstance(schema, pa.Schema):
                schema = tables.schema_from(schema)
            self._tables[name] = tables.TableWriter(self.path, name, schema, together=self._together)
            self._tables[name].on_append = self._on_append
        return self._tables[name]

    def watch(self, on_append: Callable[[str, int, Mapping[str, Any]], object]) -> None:
        """Let `on_append(table, row number, row)` be called for every row that is appended to any table from now on."""
        self._on_append = on_append
        for table in self._tables.values():
            table.on_append = on_append

    def note(self, **facts: Any) -> None:
        """Add facts to the manifest (``folder.note(seeds={...})`` adds to the entry of that name) and write it."""
        for name, value in facts.items():
            present = self.manifest.get(name)
            self.manifest[name] = {**present, **value} if isinstance(present, dict) else value
        self.write_manifest()

    record = note  # as it was called before

    def write_manifest(self) -> None:
        """Write manifest.json in one step, with a digest of itself."""
        sealed = {**self.manifest, digests.KEY: digests.BLANK}
        text = json.dumps(sealed, indent=2, ensure_ascii=False, default=str) + "\n"
        write_atomically(self.path / digests.MANIFEST, digests.sealed(text.encode("utf-8", "backslashreplace")))

    def close(self, state: State = "completed", reason: str | None = None) -> None:
        """Compact the tables and record how the run ended, and the digests of all files.

        If the disk is full, the manifest still says so if possible, and the tables stay as parts; StorageError is
        raised once.
        """
        trouble: StorageError | None = None
        try:
            self._compact_tables()
        except StorageError as error:
            trouble = error
        if trouble is not None and state == "completed":
            state, reason = "failed", str(trouble)
        self.manifest["state"], self.manifest["reason"] = state, reason
        with contextlib.suppress(OSError):
            (self.path / ".reserve").unlink()
        self.manifest["ended"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.manifest["wall_s"] = round(
            self.wall_s, 3
        )  # not from the dates: the clock may be changed while a run goes on
        try:
            self.manifest["files"] = {name: digests.digest_of(self.path / name) for name in covered(self.path)}
            self.write_manifest()
            for table in self._tables.values():  # now that their digests are known
                table.remove_parts()
        except StorageError as error:
            trouble = trouble or error
        if trouble is not None:
            raise trouble

    def _compact_tables(self) -> None:
        """Compact the tables; afterwards nothing is added to them. Raises StorageError; written parts are kept."""
        trouble: StorageError | None = None
        for name, table in self._tables.items():
            try:
                table.compact()
            except StorageError as error:
                trouble = trouble or error
            self.manifest["tables"][name] = {"rows": table.rows_written}
        if trouble is not None:
            raise trouble

    def __enter__(self) -> Self:
        """From now on, scenarios write files with relative names into this folder."""
        from edgelam.cosim.files import scenarios_write_to  # imported here: reading a folder does not need it

        self._writing = scenarios_write_to(self.path)
        self._writing.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Record how the run ended; the exception goes on."""
        self._writing.__exit__(kind, error, traceback)
        if error is None:
            self.close()
            return
        error = first_cause(error)
        if isinstance(error, KeyboardInterrupt):
            state, reason = "interrupted", str(error) or "Ctrl-C"
        elif isinstance(error, EdgelamError):
            state, reason = "failed", str(error)
        else:
            state, reason = "failed", f"{type(error).__name__}: {error}"
        with contextlib.suppress(StorageError):  # the first error is shown
            self.close(state, reason)  # type: ignore[arg-type]


def explanation(cause: BaseException) -> str:
    """Return the text that a command prints for an error with which it ends."""
    return "\n".join([f"edgelam: {cause}", *getattr(cause, "__notes__", ())])


@contextlib.contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder, to be filled and then named; if the body raises, it is removed.

    A process that is killed leaves it: the next call removes it, since the lock on it ended with the process.
    """
    for left in parent.glob(f"{_NEW}*"):
        with contextlib.suppress(StorageError), _locked(left) as mine:  # the folder of another user may stay
            if mine:
                shutil.rmtree(left, ignore_errors=True)
    while True:
        path = parent / f"{_NEW}{secrets.token_hex(8)}"
        make_folder(path, exist_ok=False)
        try:
            with _locked(path) as mine:
                if mine is False or not path.is_dir():  # another process has just removed it as an old one
                    continue
                yield path
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool | None]:
    """Lock a folder: True. False: somebody else holds it, or it was removed. None: this file system has no locks.

    Raises StorageError if the folder cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        yield False
        return
    except OSError as error:
        raise StorageError.of("open the folder", folder, error) from error
    try:
        held: bool | None = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held = False if isinstance(error, BlockingIOError) else None
        yield held
    finally:
        os.close(descriptor)


def _give_name(folder: Path, name: str) -> Path:
    """Rename a folder that is not empty, in one step, to NAME, or to NAME-2, NAME-3, ... if NAME exists."""
    for attempt in range(1, 1000):
        path = folder.with_name(name if attempt == 1 else f"{name}-{attempt}")
        try:
            os.rename(folder, path)
            sync_folder(path.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                continue
            raise StorageError.of("make the folder", path, error) from error
        return path
    raise StorageError(f"cannot make a run folder {name} in {folder.parent}: 999 of that name exist")


def covered(path: Path) -> list[str]:
    """Return the files of a run folder whose digests the manifest gets at the end: all but what is drawn from them."""
    found = (file.relative_to(path) for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    return sorted(
        name.as_posix()
        for name in found
        if name.as_posix() != digests.MANIFEST
        and name.suffix not in DRAWN
        and not any(part.startswith(".") or part.endswith(".parts") for part in name.parts)
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a run folder. Its state is ``killed`` if it says ``running`` and its process has ended.

    Raises StorageError if `path` is not a run folder, or if its manifest is not what was written.
    """
    file = Path(path) / digests.MANIFEST
    try:
        content = file.read_bytes()
        manifest = json.loads(content)
    except FileNotFoundError as error:
        what = "there is no such folder" if not Path(path).is_dir() else "it has no manifest.json"
        raise StorageError(f"{path} is not a run folder: {what}") from error
    except NotADirectoryError as error:
        raise StorageError(f"{path} is not a run folder: it is a file") from error
    except OSError as error:
        raise StorageError.of("read", file, error) from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{file} is not a manifest: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") not in (1, digests.FORMAT):
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise StorageError(f"{file} has format {found}; this version of edgelam reads formats 1 and {digests.FORMAT}")
    digests.check_manifest(content, manifest, file)
    if reason := _unlike_a_manifest(manifest):
        raise StorageError(f"{file} is not a manifest that edgelam wrote: {reason}")
    if manifest["format"] == 1:
        digests.say_unverified(file)
    if manifest["state"] == "running" and not _alive(manifest.get("process") or {}):
        manifest["state"], manifest["reason"] = "killed", "the process ended without a message (SIGKILL, power, memory)"
    return manifest


_NEEDED: dict[str, Any] = {
    "experiment": str, "state": str, "started": str, "seeds": dict, "configuration": dict, "process": dict,
}  # fmt: skip
_MAY_BE: dict[str, Any] = {
    "ended": str, "reason": str, "recipe": str, "command": str, "wall_s": int | float, "versions": dict,
    "source": dict, "host": dict, "campaign": dict, "replay": dict, "tables": dict, "files": dict, "simulations": list,
    "without_network": list, "unfinished": list,
}  # fmt: skip


def _unlike_a_manifest(manifest: Mapping[str, Any]) -> str:
    """Return what its readers could not understand; empty for a manifest."""
    for name, kind in (*_NEEDED.items(), *_MAY_BE.items()):
        if not isinstance(manifest.get(name), kind) and (name in _NEEDED or manifest.get(name) is not None):
            return f"{name} is {_shown(manifest, name)}"
    name = manifest["experiment"]
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return f"experiment is {_shown(manifest, 'experiment')}, which is no name"
    if manifest["state"] not in (*get_args(State), "killed"):
        return f"state is {_shown(manifest, 'state')}"
    for name in ("started", "ended"):
        try:
            datetime.datetime.fromisoformat(manifest.get(name) or manifest["started"])
        except ValueError:
            return f"{name} is {_shown(manifest, name)}, which is no date"
    if not isinstance(manifest["seeds"].get("root"), int):
        return f"seeds is {_shown(manifest, 'seeds')}"
    process = manifest["process"]
    if not isinstance(process.get("pid"), int) or not isinstance(process.get("node"), str):
        return f"process is {_shown(manifest, 'process')}"
    if not all(isinstance(facts, dict) for facts in manifest.get("simulations") or ()):
        return f"simulations is {_shown(manifest, 'simulations')}"
    return ""


def _shown(manifest: Mapping[str, Any], name: str) -> str:
    text = repr(manifest[name]) if name in manifest else "missing"
    return text if len(text) <= 60 else f"{text[:60]}..."


def _alive(process: Mapping[str, Any]) -> bool:
    if process.get("node") != platform.node():
        return True  # it runs, or ran, on another machine: it cannot be checked from here
    if process.get("boot") != host.boot_id():
        return False
    return host.process_start(int(process.get("pid", -1))) == process.get("start")
