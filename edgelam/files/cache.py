# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache: ``$XDG_CACHE_HOME/edgelam`` (``~/.cache/edgelam``), for what can be made again."""

import contextlib
import fcntl
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgelam.errors import EdgelamError

LOCK = ".lock"


def cache_folder(name: str) -> Path:
    """Return the folder `name` of the cache; it is in the temporary folder if the user has no writable home.

    Executables from there are run, so nobody else may be able to put one there. The cache belongs to this user, and
    nobody else may write to it. In the temporary folder, which all users share, it is not a link, and is closed to
    others. Raises EdgelamError if there is no such folder.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~")) / ".cache") / "edgelam"
    shared = Path(tempfile.gettempdir()) / f"edgelam-{os.getuid()}"
    reasons = []
    for folder, others in ((home, 0o022), (shared, 0o077)):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            reason = _unsafe(folder, os.stat(folder) if folder == home else os.lstat(folder), others)
        except OSError as error:
            reason = f"{folder} cannot be used: {error.strerror}"
        if not reason:
            return folder / name
        reasons.append(reason)
    raise EdgelamError(f"{'; '.join(reasons)}: set XDG_CACHE_HOME to a folder of yours, for the cache ({name})")


@contextlib.contextmanager
def locked(folder: Path, waiting: str, doing: str) -> Iterator[None]:
    """Lock a folder of the cache for this process; the kernel unlocks it when the process ends, in whatever way.

    waiting: what stderr says if another process holds the lock; doing: what was tried, for the EdgelamError that is
    raised for an error of the operating system, also one in the body.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / LOCK, "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with contextlib.suppress(OSError):
                    print(f"edgelam: {waiting}; waiting for it", file=sys.stderr, flush=True)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:  # also in the body: a full disk, a folder that was removed
        reason = f"{error.strerror or error} ({os.fsdecode(error.filename)})" if error.filename else str(error)
        raise EdgelamError(f"cannot {doing} in {folder}: {reason} (XDG_CACHE_HOME sets the folder)") from error


def _unsafe(folder: Path, status: os.stat_result, others: int) -> str:
    """Return why files in `folder` cannot be trusted or kept; others: the permissions that nobody else may have."""
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is a link or a file"
    if status.st_uid != os.getuid():
        return f"{folder} belongs to user {status.st_uid}"
    if status.st_mode & others:
        return f"{folder} is open to others (mode {stat.S_IMODE(status.st_mode):o}; chmod 700 closes it)"
    return "" if os.access(folder, os.W_OK) else f"{folder} cannot be written to"
