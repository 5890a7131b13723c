# SPDX-License-Identifier: GPL-2.0-only
"""Runs on a Ray cluster. Nodes need the same edgelam installed, and share no disk: files travel with the tasks.

A task gets config.toml, job.json and the files that the configuration names by relative paths, runs the same worker
process as a campaign on one machine, and returns what that has left.
"""

import io
import logging
import os
import shutil
import socket
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.files.storage import StorageError
from edgelam.processes import Child
from edgelam.runs.campaigns import worker
from edgelam.runs.campaigns.folder import Claim
from edgelam.runs.campaigns.identity import files_to_carry
from edgelam.runs.configuration import to_plain


class RayWorkers:
    """Tasks on a cluster, one for each run."""

    def __init__(self, address: str, count: int, threads: int) -> None:
        """Connect to the cluster; at most `count` runs at a time (0: as its CPUs allow), `threads` CPUs each."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError as error:
            raise EdgelamError("--ray needs the package ray: pip install '.[ray]' in edgelam's sources") from error
        _refuse_silence(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise EdgelamError(
                f"--ray {address}: no Ray cluster answers there ({error}); start one: ray start --head"
            ) from error
        self._ray, self._threads, self._limit = ray, threads, count
        self._task = ray.remote(run_on_node).options(num_cpus=threads, max_retries=3)
        self._running: dict[Any, Claim] = {}

    def free(self) -> int:
        """How many more runs can be started now; nodes may come and go."""
        slots = int(self._ray.cluster_resources().get("CPU", 0)) // self._threads
        return (min(slots, self._limit) if self._limit else slots) - len(self._running)

    def start(self, claim: Claim) -> None:
        """Send a run to the cluster."""
        files = pack([claim.scratch / "config.toml", claim.scratch / "job.json"], claim.scratch)
        inputs = pack(relative_inputs(claim.job.config), Path())
        own = os.environ.get("EDGELAM_EXPERIMENTS", "")
        self._running[self._task.remote(files, inputs, self._threads, own)] = claim

    def ended(self) -> list[Claim]:
        """The runs that have ended since the last call; what they left is unpacked into their scratch folders."""
        if not self._running:
            return []
        over, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        claims = [self._running.pop(task) for task in over]
        for task, claim in zip(over, claims, strict=True):
            try:
                unpack(self._ray.get(task), claim.scratch)
            except self._ray.exceptions.RayError as error:  # the node or its Ray process died, again and again
                (claim.scratch / "stderr.txt").write_text(f"the Ray cluster could not run this: {error}\n")
            except StorageError as error:
                (claim.scratch / "stderr.txt").write_text(f"what the Ray cluster sent back cannot be read: {error}\n")
        return claims

    def stop(self) -> list[Claim]:
        """Cancel all runs, wait until they have ended, and leave the cluster."""
        for task in self._running:
            self._ray.cancel(task)
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=15)
        claims = list(self._running.values())
        self._running.clear()
        self._ray.shutdown()
        return claims


def run_on_node(files: bytes, inputs: bytes, threads: int, experiments: str) -> bytes:
    """Do one run on a node of the cluster, in a folder of its own. Returns what the run has left, packed."""
    here = Path(tempfile.mkdtemp(prefix="edgelam-campaign-"))
    scratch, cwd = here / "scratch", here / "cwd"
    process: Child | None = None
    try:
        unpack(files, scratch)
        unpack(inputs, cwd)
        env = worker.environment(threads) | ({"EDGELAM_EXPERIMENTS": experiments} if experiments else {})
        process = worker.start(scratch, env=env, cwd=cwd)
        while (status := process.wait(0.2)) is None:  # in short waits: Ray cancels a task only between them
            pass
        worker.note_end(scratch, status)
        return pack(list(scratch.iterdir()), scratch)
    finally:
        if process is not None:
            process.stop(worker.STOP_S)
        shutil.rmtree(here, ignore_errors=True)


def _refuse_silence(address: str) -> None:
    """Try to connect to HOST:PORT first: if nobody answers, Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        if address != "auto":
            raise ConfigurationError(f"--ray takes auto, HOST:PORT or ray://HOST:PORT, got {address!r}")
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise EdgelamError(
            f"--ray {address}: no Ray cluster answers there ({error}); start one: ray start --head"
        ) from error


def relative_inputs(config: Any) -> list[Path]:
    """Return the files that the configuration names by relative paths; absolute ones must be on every node."""
    found = [path for path in files_to_carry(to_plain(config)) if not path.is_absolute()]
    for path in found:
        if ".." in path.parts:
            raise ConfigurationError(f"--ray: {path} is outside the working folder and cannot be sent to other nodes")
    return found


def pack(paths: list[Path], folder: Path) -> bytes:
    """Pack files and folders, by their names relative to `folder`; links and other special files are left out."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", dereference=True) as archive:  # two names of one file are two files

        def add(path: Path) -> None:
            if not path.is_symlink() and (path.is_file() or path.is_dir()):
                archive.add(path, arcname=str(path.relative_to(folder)), recursive=False)
                for inner in sorted(path.iterdir()) if path.is_dir() else ():
                    add(inner)

        for path in paths:
            if path.is_symlink() and path.is_file():  # an input, named by the user who began the campaign
                archive.add(path, arcname=str(path.relative_to(folder)))
            else:
                add(path)
    return stream.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Unpack what `pack` packed into a new folder; nothing is written outside it, and not more than was sent.

    Raises StorageError for anything else; then nothing is unpacked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place, size = folder.resolve(), 0
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:  # as it is: nothing is decompressed
            for member in archive:
                inside = (place / member.name).resolve().is_relative_to(place)
                if not inside or not (member.isfile() or member.isdir()):
                    raise StorageError(f"{member.name!r} is not a file or folder inside {folder}; nothing was unpacked")
                size += member.size
                if size > len(packed):  # holes count: a file that has only holes can have any size
                    raise StorageError(f"{member.name!r} is larger than what was sent; nothing was unpacked")
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and later; given, because the default changes
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(folder)
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise StorageError(f"what was sent for {folder} is damaged: {error}") from error
    except OSError as error:
        raise StorageError.of("unpack to", folder, error) from error
