# SPDX-License-Identifier: GPL-2.0-only
"""A large file that appears under its name only once it is whole, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from edgelam.errors import ConfigurationError
from edgelam.files import digests
from edgelam.files.storage import StorageError, hidden_name, open_hidden, sync_folder
from edgelam.text import si_bytes

SYNC_BYTES = 256 << 20  # written to the disk along the way, so that the end does not wait for all of it


class NewFile:
    """``with NewFile(path) as new: write to new.file; new.commit()``. Without `commit` nothing is left.

    On file systems that have it (O_TMPFILE) the file has no name until then, so that even a killed process leaves
    nothing; elsewhere it is a hidden file beside.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Refuse now what would fail at the end: ConfigurationError for an existing file, StorageError for the rest."""
        self.path = path
        self._overwrite = overwrite
        self._refuse_existing()
        self._hidden: Path | None = None
        self._synced = 0
        try:
            descriptor = self._open()
            self.file: BinaryIO = os.fdopen(descriptor, "w+b", buffering=1 << 20)
        except OSError as error:
            raise StorageError.of("write", path, error) from error

    def _open(self) -> int:
        with contextlib.suppress(OSError, AttributeError):
            return os.open(self.path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
        self._hidden, descriptor = open_hidden(self.path.parent)
        return descriptor

    def sync(self) -> None:
        """Call now and then while writing: what has been written goes to the disk in parts."""
        at = self.file.tell()
        if at - self._synced >= SYNC_BYTES:
            self._synced = at
            self.file.flush()
            os.fdatasync(self.file.fileno())

    def commit(self) -> None:
        """The file is whole: put its digest where it says BLANK (edgelam.files.digests), and give it its name.

        Raises ConfigurationError if the name was taken meanwhile.
        """
        try:
            self.file.flush()
            digests.seal(self.file)
            os.fsync(self.file.fileno())
            if self._hidden is None:
                if self._overwrite:
                    self._hidden = hidden_name(self.path.parent)
                    self._link(self._hidden)
                else:
                    self._link(self.path)
            if self._hidden is not None:
                if self._overwrite:
                    os.replace(self._hidden, self.path)
                else:
                    os.link(self._hidden, self.path)
                    self._hidden.unlink()
                self._hidden = None
            sync_folder(self.path.parent)
        except FileExistsError:
            self._refuse_existing()
            raise
        except OSError as error:
            raise StorageError.of("write", self.path, error) from error

    def _link(self, name: Path) -> None:
        """Name the nameless file (open(2), O_TMPFILE)."""
        descriptors = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
        try:  # with a folder's descriptor, os.link follows the symbolic link that stands for the file
            os.link(str(self.file.fileno()), name, src_dir_fd=descriptors, follow_symlinks=True)
        finally:
            os.close(descriptors)

    def _refuse_existing(self) -> None:
        if not self._overwrite and self.path.exists():
            raise ConfigurationError(f"{self.path} is there already; --overwrite replaces it")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close; without `commit` the file is gone."""
        with contextlib.suppress(OSError):  # a full disk has been told of already
            self.file.close()
        if self._hidden is not None:
            with contextlib.suppress(OSError):
                self._hidden.unlink()


def refuse_full_disk(path: Path, needed_bytes: int) -> None:
    """Raise StorageError if the disk that `path` will be on has not that much room."""
    try:
        disk = os.statvfs(path.parent)
    except OSError as error:
        raise StorageError.of("write", path, error) from error
    free = disk.f_bavail * disk.f_frsize
    if free < needed_bytes:
        text = f"{si_bytes(needed_bytes)} are needed and {si_bytes(free)} are free"
        raise StorageError.of("write", path, OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({text})"))
