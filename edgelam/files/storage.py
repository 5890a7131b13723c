# SPDX-License-Identifier: GPL-2.0-only
"""Files that are complete or do not exist: they are written under another name, synced, then renamed."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgelam.errors import EdgelamError

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, or choose a folder on another disk with --out",
    errno.EDQUOT: "the quota of this disk is reached: free some space, or choose another folder with --out",
    errno.EFBIG: "the file would be larger than this process may write (ulimit -f)",
    errno.EROFS: "the file system is read-only: choose another folder (runs: --out)",
    errno.EACCES: "this user may not write there: choose another folder (runs: --out), or copy the run",
    errno.EPERM: "this user may not write there: choose another folder (runs: --out), or copy the run",
    errno.ENOTDIR: "a part of this path is a file: choose another folder (runs: --out)",
    errno.ENOENT: "the folder does not exist: was it removed while the run was writing to it?",
}


class StorageError(EdgelamError):
    """A run folder cannot be written or read; what was written before is complete."""

    @classmethod
    def of(cls, doing: str, path: Path, error: OSError) -> "StorageError":
        """Describe an error of the operating system: what was done, with which path, why it failed, what helps."""
        advice = _ADVICE.get(error.errno or 0, "nothing was half written")
        return cls(f"cannot {doing} {path}: {error.strerror or error}; {advice}")


def make_folder(path: Path, *, exist_ok: bool = True) -> None:
    """Make a folder and its parents. Raises FileExistsError if it exists and must not, else StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError as error:
        if not exist_ok and path.is_dir():
            raise
        raise StorageError(f"cannot make the folder {path}: there is a file of that name") from error
    except OSError as error:
        raise StorageError.of("make the folder", path, error) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file so that, whatever happens, `path` holds its old content or the new one, never a part.

    What the body writes goes to a hidden file in the same folder, is synced to the disk, and takes the name in one
    step; the folder is synced, so that the name survives a power cut. Raises StorageError (full disk, read-only folder,
    ...). After that, and if the body raises, no temporary file is left.
    """
    try:
        temporary, descriptor = open_hidden(path.parent)
        try:
            with open(descriptor, "wb") as file:
                _keep_mode(path, descriptor)
                yield file
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError.of("write", path, error) from error


def hidden_name(folder: Path) -> Path:
    """Return a name in `folder` that nobody can guess and no other process takes, even on another machine."""
    return folder / f".{secrets.token_hex(8)}.tmp"


def is_hidden(path: Path) -> bool:
    """Return whether a path is from `hidden_name`: a file being written, or what a killed process has left."""
    return path.name.startswith(".") and path.suffix == ".tmp"


def open_hidden(folder: Path) -> tuple[Path, int]:
    """Make a hidden file in `folder`, for reading and writing; return its name and descriptor. It follows no link."""
    path = hidden_name(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return path, os.open(path, flags, 0o666)  # minus the umask, as for any new file


def _keep_mode(path: Path, descriptor: int) -> None:
    """Keep the mode of the file that is replaced, so that the same users may use it."""
    with contextlib.suppress(OSError):
        old = os.lstat(path)
        if stat.S_ISREG(old.st_mode):
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (a rename alone may be lost with the power)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
