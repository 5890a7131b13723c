# SPDX-License-Identifier: GPL-2.0-only
"""The folder of a campaign. When a run is finished, it appears there complete, in one step.

campaign.toml    the experiment, and every request: grid, seeds, command; with its digest
order.txt        the names of the requested runs, in the order of the grid; with its digest
runs/NAME/       finished run folders; the name gives the seed, the run's identity (edgelam.runs.campaigns.identity)
                 and what it has read (edgelam.runs.campaigns.inputs)
failed/NAME/     what failed runs have left: config.toml, stderr.txt, the run folder; removed when the run succeeds
index/           tables over all runs, updated from the run folders when runs are missing (edgelam.runs.many)
.work/NAME/      runs in progress; the campaign and the run's process hold the lock on it
"""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.files import digests
from edgelam.files.storage import StorageError, is_hidden, make_folder, sync_folder, write_atomically
from edgelam.runs.campaigns.inputs import short_name, unchanged
from edgelam.runs.configuration import from_toml, to_toml
from edgelam.runs.folders.folder import read_manifest

CAMPAIGN_FILE = "campaign.toml"
_ORDER_FILE = "order.txt"


@dataclasses.dataclass(frozen=True)
class Request:
    """One ``edgelam campaign`` command."""

    command: str
    asked: str
    """Time of the request, UTC."""
    first_seed: int
    seeds: int
    grid: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """Setting -> values as text, in the order in which they were given."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """campaign.toml."""

    experiment: str
    threads: int
    """OMP_NUM_THREADS of every run: results depend on it, so it stays as it was at the first request."""
    requests: dict[str, Request] = dataclasses.field(default_factory=dict)
    """Requests by number, from 1."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One requested run: a cell of the grid with one seed."""

    label: str
    """The cell and seed for people: ``rounds=5 seed 3``."""
    config: Any
    identity: str
    version: str
    command: str
    """The shell command that reproduces it."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return run_name(self.config.seed, self.identity)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A job on which only this campaign works, as long as the lock is held."""

    job: Job
    scratch: Path
    lock: int
    """File descriptor; the run's process inherits it, so that an orphan still holds the lock."""


class CampaignFolder:
    """Finds finished runs, gives claims, and puts the results of claimed runs in their places."""

    def __init__(self, path: Path) -> None:
        """Take the folder; nothing is made yet."""
        self.path = Path(path)
        self.runs, self.failed, self.index = self.path / "runs", self.path / "failed", self.path / "index"
        self.work = self.path / ".work"
        self._folders = (self.runs, self.failed, self.index, self.work)
        self._inputs: dict[str, dict[str, str | None]] = {}  # of finished runs, by folder

    def asked(self) -> Asked | None:
        """Return the content of campaign.toml; None if there is none yet. Raises ConfigurationError, StorageError."""
        file = self.path / CAMPAIGN_FILE
        if not file.exists():
            return None
        if not digests.check_file(file):
            digests.say_unverified(file)
        return from_toml(file, Asked)

    def ask(self, experiment: str, threads: int, request: Request) -> Asked:
        """Make the folder, or refuse one of another experiment; note the request unless it repeats the last one."""
        make_folder(self.path)
        with self._locked():  # another campaign may begin on this folder at the same moment
            asked = self.asked()
            if asked is None:
                self._refuse_foreign()
                asked = Asked(experiment, threads)
            self.refuse_other(asked, experiment)
            for folder in self._folders:
                make_folder(folder)
            last = asked.requests.get(str(len(asked.requests)))
            if last is None or dataclasses.replace(last, asked=request.asked) != request:
                requests = {**asked.requests, str(len(asked.requests) + 1): request}
                asked = dataclasses.replace(asked, requests=requests)
                text = f"{to_toml(asked)}\n# {digests.BLANK}\n"
                write_atomically(self.path / CAMPAIGN_FILE, digests.sealed(text.encode()))
        return asked

    def _refuse_foreign(self) -> None:
        """Raise ConfigurationError if the folder holds anything that a campaign killed early cannot have left."""
        for there in self.path.iterdir():
            empty_folder = there in self._folders and there.is_dir() and not any(there.iterdir())
            if not (empty_folder or is_hidden(there)):
                raise ConfigurationError(f"--out {self.path}: the folder holds something other than a campaign")

    def note_order(self, names: Sequence[str]) -> None:
        """Keep the order of these runs, that of the last grid; runs that were requested earlier come after them."""
        with self._locked():
            before = self._order()
            order = list(dict.fromkeys([*names, *before]))
            if order != before:
                text = "".join(f"{name}\n" for name in order) + f"# {digests.BLANK}\n"
                write_atomically(self.path / _ORDER_FILE, digests.sealed(text.encode()))

    def _order(self) -> list[str]:
        file = self.path / _ORDER_FILE
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # of a campaign that began before such a file was written
            return []
        except OSError as error:
            raise StorageError.of("read", file, error) from error
        if not digests.check_seal(content, file, "delete it: the campaign's command writes it again"):
            digests.say_unverified(file)
        return [line for line in content.decode("utf-8", "replace").splitlines() if not line.startswith("#")]

    def finished(self) -> list[Path]:
        """Return the finished runs in the order of the grid; runs that are not in the noted order come last."""
        place = {name: index for index, name in enumerate(self._order())}
        try:
            there = sorted(self.runs.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError.of("read", self.runs, error) from error
        return sorted(there, key=lambda run: place.get(job_name(run.name), len(place)))

    def refuse_other(self, asked: Asked, experiment: str) -> None:
        """Raise ConfigurationError if this is the campaign of another experiment."""
        if asked.experiment != experiment:
            raise ConfigurationError(
                f"--out {self.path}: this is a campaign of {asked.experiment}; choose another folder"
            )

    def is_finished(self, job: Job) -> bool:
        """Return whether its run is there; only completed runs are put there."""
        return bool(self.finished_names([job]))

    def finished_names(self, jobs: Iterable[Job]) -> dict[str, str]:
        """Return, for each finished job by name, the folder of the run that has read its files as they are now."""
        there: dict[str, list[str]] = {}
        for run in self.finished():
            there.setdefault(job_name(run.name), []).append(run.name)
        names = {job.name: [name for name in there.get(job.name, []) if self._is_current(name)] for job in jobs}
        return {job: runs[0] for job, runs in names.items() if runs}

    def _is_current(self, name: str) -> bool:
        """Whether a run has read its files as they are now. A damaged manifest counts as yes: it is reported later."""
        if name not in self._inputs:
            if not (self.runs / name / "manifest.json").exists():
                return False
            try:
                self._inputs[name] = (read_manifest(self.runs / name).get("campaign") or {}).get("inputs") or {}
            except StorageError:
                return True
        return unchanged(self._inputs[name])

    def claim(self, job: Job) -> Claim | None:
        """The right to run `job`, with an empty scratch folder; None if somebody else has it or finished the job."""
        scratch = self.work / job.name
        while True:
            make_folder(scratch)
            try:
                lock = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                continue  # finished by somebody else in this moment
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return None
            if not _is_still(scratch, lock):  # removed between opening and locking
                os.close(lock)
                continue
            if self.is_finished(job):
                self.release(Claim(job, scratch, lock))
                return None
            for left in scratch.iterdir():  # of a campaign that was killed
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            return Claim(job, scratch, lock)

    def prepare(self, claim: Claim, experiment: str, recipe: str) -> None:
        """Write the files that the run's process reads: config.toml and job.json."""
        job = claim.job
        write_atomically(claim.scratch / "config.toml", to_toml(job.config).encode())
        facts = {
            "experiment": experiment, "recipe": recipe, "command": job.command, "label": job.label,
            "campaign": {"identity": job.identity, "version": job.version},
        }  # fmt: skip
        write_atomically(claim.scratch / "job.json", json.dumps(facts, indent=2).encode())

    def collect(self, claim: Claim, experiment: str) -> bool:
        """Put what a run left in its scratch folder in its place; return True if it is finished, False if it failed."""
        found = [path.parent for path in (claim.scratch / experiment).glob("*/manifest.json")]
        failed = self.failed / claim.job.name
        finished = len(found) == 1 and read_manifest(found[0])["state"] == "completed"
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(failed)
        if finished:
            with contextlib.suppress(FileNotFoundError):
                os.replace(claim.scratch / "stderr.txt", found[0] / "stderr.txt")
            _move(found[0], self._place_of(claim.job, found[0]))
            self.release(claim)
        else:
            _move(claim.scratch, failed)
            os.close(claim.lock)
        return finished

    def _place_of(self, job: Job, run: Path) -> Path:
        """Return the place of a finished run: its name says which files it has read."""
        read = short_name((read_manifest(run).get("campaign") or {}).get("inputs") or {})
        place = self.runs / "-".join([job.name, *filter(None, [read])])
        with contextlib.suppress(FileNotFoundError):  # a run with the same files, which differed when this one began
            shutil.rmtree(place)
        return place

    def release(self, claim: Claim) -> None:
        """Give up a claim, and remove its scratch folder."""
        shutil.rmtree(claim.scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(claim.lock)

    def sweep(self) -> None:
        """Remove unfinished runs of campaigns that were killed."""
        for scratch in self.work.iterdir():
            with contextlib.suppress(OSError):  # somebody else removes it, or works on it
                lock = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_still(scratch, lock):
                        shutil.rmtree(scratch)
                finally:
                    os.close(lock)

    @contextlib.contextmanager
    def _locked(self) -> Any:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def run_name(seed: int, identity: str) -> str:
    """Return the name of a job's folder."""
    return f"seed{seed}-{identity[:16]}"


def job_name(run: str) -> str:
    """Return the job's part of the name of a run's folder."""
    return "-".join(run.split("-")[:2])


def now() -> str:
    """Return the time that is noted with a request."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        there, held = os.stat(path), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def _move(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
        sync_folder(target.parent)
    except OSError as error:
        raise StorageError.of("put a run to", target, error) from error
