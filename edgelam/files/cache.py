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
    """The folder `name` of the cache; in the temporary folder for a user without a home that can be written to.

    Executables from there are run, so nobody else may be able to put one there: the cache is this user's, and no one
    else may write to it; in the temporary folder, which all users share, it is no link either, and closed to others.
    Raises EdgelamError if there is no such place.
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
    """Hold a folder of the cache for this process; the kernel lets go of it when the process ends, however it does.

    waiting: what stderr says where another process holds it; doing: what was tried, for the EdgelamError that an
    operating system error becomes, also one of the body.
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
    except OSError as error:  # also of the body: a full disk, a folder that is gone
        reason = f"{error.strerror or error} ({os.fsdecode(error.filename)})" if error.filename else str(error)
        raise EdgelamError(f"cannot {doing} in {folder}: {reason} (XDG_CACHE_HOME sets the place)") from error


def _unsafe(folder: Path, status: os.stat_result, others: int) -> str:
    """Why files in `folder` cannot be trusted or kept; `others`: what may be allowed to nobody else."""
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is a link or file"
    if status.st_uid != os.getuid():
        return f"{folder} belongs to user {status.st_uid}"
    if status.st_mode & others:
        return f"{folder} is open to others (mode {stat.S_IMODE(status.st_mode):o}; chmod 700 closes it)"
    return "" if os.access(folder, os.W_OK) else f"{folder} cannot be written to"
