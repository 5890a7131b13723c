# SPDX-License-Identifier: GPL-2.0-only
"""The files that a run has read, whoever named them: they are noted while it runs, and compared before a result is used
again.

The library ``edgelam-files`` notes which files the run's process and its children open (ns3-scenarios/files/files.cc).
Left out are files that count in another way (edgelam, the experiment's modules, installed packages, a scenario's
program) and files that are not inputs: those that the run wrote itself, files of the system, hidden files in the home
folder (caches, settings), and git's.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import edgelam
from edgelam import paths
from edgelam.errors import EdgelamError
from edgelam.files.cache import cache_folder
from edgelam.runs.campaigns.identity import digest_of

Inputs = dict[str, str | None]
"""Path (relative to the working folder if it is inside): SHA-256 of the content, None if there was no file."""


@dataclasses.dataclass(frozen=True)
class _Opened:
    """One record: kind R (read), W (written), M (not there)."""

    kind: str
    path: str
    file: tuple[int, int]
    """Device and inode."""
    size: int
    changed_ns: int


def inputs_of(record: Path, began_ns: int, own: Iterable[Path]) -> Inputs:
    """Return what a run that began at `began_ns` (wall clock, ns) has read, from the library's record.

    own: files and folders that count in another way. Raises EdgelamError if a file has changed in the meantime: it is
    not known what the run has read.
    """
    opened = list(_records(record))
    written = {each.file for each in opened if each.kind == "W"}
    places = {_name(each.path) for each in opened if each.kind == "W"}
    skipped = [*map(os.path.realpath, [*own, *_elsewhere()])]
    found: Inputs = {}
    for each in opened:
        path = _source_of(each.path)
        name = _name(path)
        if each.kind == "W" or each.file in written or name in places or _is_left_out(path, skipped):
            continue
        try:
            now = os.stat(path)
        except OSError:
            found[name] = None
            continue
        if each.kind == "M":
            if (now.st_dev, now.st_ino) not in written:
                found.setdefault(name, None)
            continue
        as_it_was = (*each.file, each.size, each.changed_ns)
        changed = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) != as_it_was
        if now.st_mtime_ns >= began_ns if path != os.path.normpath(each.path) else changed:
            raise EdgelamError(f"{name} changed while the run was reading it; the same command runs it again")
        found[name] = digest_of(Path(path))
    return dict(sorted(found.items()))


def unchanged(inputs: Mapping[str, str | None]) -> bool:
    """Return whether all these files are now as the run has read them."""
    return all(_digest_now(name) == digest for name, digest in inputs.items())


def short_name(inputs: Mapping[str, str | None]) -> str:
    """Return a hash of what was read; empty if nothing was read.

    Missing files are left out: they vary by chance (a run that compiles looks in more places), and if such a file
    exists later, it is among the files that are read then.
    """
    read = {name: digest for name, digest in inputs.items() if digest is not None}
    text = json.dumps(read, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8] if read else ""


def _digest_now(name: str) -> str | None:
    try:
        return digest_of(Path(name))
    except OSError:
        return None


def _records(record: Path) -> Iterator[_Opened]:
    try:
        content = record.read_bytes()
    except FileNotFoundError:
        return
    for text in content.split(b"\0")[:-1]:
        kind, device, inode, size, changed_ns, path = os.fsdecode(text).split(" ", 5)
        yield _Opened(kind, path, (int(device), int(inode)), int(size), int(changed_ns))


def _source_of(path: str) -> str:
    """Return the real path; for a compiled Python module, that of its source."""
    path = os.path.normpath(path)
    folder, name = os.path.split(path)
    if name.endswith(".pyc") and os.path.basename(folder) == "__pycache__":
        return os.path.join(os.path.dirname(folder), f"{name.partition('.')[0]}.py")
    return path


def _name(path: str) -> str:
    path, here = os.path.normpath(path), os.getcwd()
    return os.path.relpath(path, here) if path.startswith(here + os.sep) else path


@functools.cache
def _elsewhere() -> tuple[Path, ...]:
    """Return folders whose files count by versions and checksums, or not at all."""
    package = Path(edgelam.__file__).parent
    return (Path(sys.prefix), Path(sys.base_prefix), package, paths.package_folder(), cache_folder("scenarios"))


def _is_left_out(path: str, skipped: list[str]) -> bool:
    real = os.path.realpath(path)
    if any(real == each or real.startswith(each + os.sep) for each in skipped):
        return True
    if not os.path.isabs(_name(path)):  # in the working folder
        return ".git" in Path(_name(path)).parts
    home = os.path.expanduser("~") + os.sep
    return ".git" in Path(path).parts or (path.startswith(home) and path.removeprefix(home).startswith("."))
