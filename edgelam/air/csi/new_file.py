# SPDX-License-Identifier: GPL-2.0-only
"""A large file that appears under its name only when it is complete, whatever happens while it is written."""

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

SYNC_BYTES = 256 << 20  # written to the disk in between, so that the end does not wait for all of it


class NewFile:
    """``with NewFile(path) as new: write to new.file; new.commit()``. Without `commit`, nothing is left.

    On file systems that support O_TMPFILE, the file has no name until then, so even a killed process leaves nothing.
    On others it is a hidden file in the same folder.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Refuse now what would fail at the end: ConfigurationError for an existing file, StorageError otherwise."""
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
        """Write to the disk what has been written so far; call this from time to time."""
        at = self.file.tell()
        if at - self._synced >= SYNC_BYTES:
            self._synced = at
            self.file.flush()
            os.fdatasync(self.file.fileno())

    def commit(self) -> None:
        """Give the complete file its digest, where it says BLANK (edgelam.files.digests), and its name.

        Raises ConfigurationError if another file got the name in the meantime.
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
        """Give the file without a name its name (open(2), O_TMPFILE)."""
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
        """Close; without `commit`, the file is removed."""
        with contextlib.suppress(OSError):  # a full disk has been reported already
            self.file.close()
        if self._hidden is not None:
            with contextlib.suppress(OSError):
                self._hidden.unlink()


def refuse_full_disk(path: Path, needed_bytes: int) -> None:
    """Raise StorageError if the disk of `path` does not have this much room."""
    try:
        disk = os.statvfs(path.parent)
    except OSError as error:
        raise StorageError.of("write", path, error) from error
    free = disk.f_bavail * disk.f_frsize
    if free < needed_bytes:
        text = f"{si_bytes(needed_bytes)} are needed and {si_bytes(free)} are free"
        raise StorageError.of("write", path, OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({text})"))
