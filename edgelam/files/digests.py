# SPDX-License-Identifier: GPL-2.0-only
"""SHA-256 digests, so that a bit that has changed on the disk is never read as another number.

The manifest of a run folder has the digest of every other file that holds numbers. Any other file (the manifest itself,
a part of a growing table, campaign.toml, the index of a campaign, a recording of CSI, a checkpoint) holds its own:
after MARK follow 64 hexadecimal digits, the digest of the file with zeros in their place.

Files that were written before edgelam kept digests are read, too; once in a process, stderr says that they are
unverified.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, BinaryIO

from edgelam.files.storage import StorageError

MARK = b"edgelam-sha256:"
BLANK = MARK.decode() + 64 * "0"
"""What a file contains at the place where its digest will be."""
KEY = "sha256"
"""The name of that entry in formats whose entries have names."""
FORMAT = 2  # format of the manifest; manifests of format 1 have no digests
MANIFEST = "manifest.json"
_WINDOW = 4 << 20  # the mark is within this many bytes of the beginning or the end of a file
_CHUNK = 1 << 20
_ZEROS = 64 * b"0"
_MARKED = re.compile(re.escape(MARK) + rb"([0-9a-f]{64})")
_CUT_OFF = re.compile(re.escape(MARK) + rb"([0-9a-f]{0,63})\Z")
_said: set[str] = set()


def sealed(content: bytes) -> bytes:
    """Return `content`, which has BLANK at least once, with its digest there."""
    stream = io.BytesIO(content)
    seal(stream)
    return stream.getvalue()


def seal(file: BinaryIO) -> None:
    """Do the same to a file that is open for reading and writing."""
    places = [place for place, digits in _marks(file) if digits == _ZEROS]
    digest = _digest(file, places)
    for place in places:
        file.seek(place)
        file.write(digest)
    file.flush()


def check_seal(content: bytes | BinaryIO, path: Path, remedy: str = "") -> bool:
    """Return whether a file holds its digest. Raises StorageError, which names `path`, if the digest is wrong."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    marks = _marks(file)
    if not marks:
        return False
    said = marks[-1][1]
    if _digest(file, [place for place, digits in marks if digits == said]) != said:
        raise _damaged(path, remedy)
    file.seek(0)
    return True


def check_file(path: Path) -> bool:
    """Do `check_seal` for a file on the disk."""
    try:
        with open(path, "rb") as file:
            return check_seal(file, path)
    except OSError as error:
        raise StorageError.of("read", path, error) from error


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a whole file, as in the manifest."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError.of("read", path, error) from error


def check_content(content: bytes, recorded: Any, path: Path, remedy: str = "") -> None:
    """Raise StorageError, which names `path`, unless `recorded` is the digest of its `content`."""
    if hashlib.sha256(content).hexdigest() != recorded:
        raise _damaged(path, remedy)


def recorded(folder: Path) -> dict[str, str] | None:
    """Return name -> digest of the files of a run folder; None if no manifest has any.

    Raises StorageError if the manifest is damaged.
    """
    file = folder / MANIFEST
    try:
        content = file.read_bytes()
        manifest = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return None
    check_manifest(content, manifest, file)
    files = manifest.get("files")
    return files if isinstance(files, dict) else {}


def run_of(folder: Path) -> str:
    """Return what identifies the run of a folder as long as the run exists; "" if there is no manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    if not isinstance(manifest, dict):
        return ""
    facts = [manifest.get(name) for name in ("experiment", "started", "process")]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def check_manifest(content: bytes, manifest: dict[str, Any], file: Path) -> None:
    """Raise StorageError unless `content`, from which `manifest` was read, is what was written. Drops its digest."""
    if manifest.get("format") == FORMAT and not check_seal(content, file):
        raise _damaged(file, "")
    manifest.pop(KEY, None)


def check_of_run(content: bytes, path: Path) -> None:
    """Raise StorageError if `path` is in a run folder whose manifest has another digest for it."""
    files = recorded(path.parent)
    if files is not None and path.name in files:
        check_content(content, files[path.name], path, "to use it as it is, copy it to another folder")


def say_unverified(path: Path) -> None:
    """Say once that numbers are read which no digest confirms."""
    if not _said:
        print(
            f"edgelam: {path} has no digest (written before edgelam kept them, or by another program): "
            "it is unverified, as are all other files without a digest",
            file=sys.stderr,
        )
    _said.add(os.fspath(path))


def _damaged(path: Path, remedy: str) -> StorageError:
    what = "its SHA-256 is not the one recorded when it was written: it is damaged or cut off, or was edited"
    return StorageError(f"{path}: {what}{'; ' if remedy else ''}{remedy}")


def _digest(file: BinaryIO, places: list[int]) -> bytes:
    """Return the digest of a file with zeros at `places`, as hexadecimal digits."""
    digest, at = hashlib.sha256(), 0
    for place in places:
        _add(digest, file, at, place)
        digest.update(_ZEROS)
        at = place + len(_ZEROS)
    _add(digest, file, at, file.seek(0, io.SEEK_END))
    return digest.hexdigest().encode()


def _marks(file: BinaryIO) -> list[tuple[int, bytes]]:
    """Return place and content of the digits after each mark near the beginning and the end of a file, in order."""
    found: dict[int, bytes] = {}
    for begin in (0, max(0, file.seek(0, io.SEEK_END) - _WINDOW)):
        file.seek(begin)
        window = file.read(_WINDOW)
        for match in _MARKED.finditer(window):
            found[begin + match.start(1)] = match[1]
    if cut := _CUT_OFF.search(window):
        found[begin + cut.start(1)] = cut[1]
    return sorted(found.items())


def _add(digest: Any, file: BinaryIO, begin: int, end: int) -> None:
    file.seek(begin)
    while begin < end:
        chunk = file.read(min(_CHUNK, end - begin))
        if not chunk:
            return  # the file has become shorter
        digest.update(chunk)
        begin += len(chunk)
