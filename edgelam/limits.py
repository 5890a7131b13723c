# SPDX-License-Identifier: GPL-2.0-only
"""Limits that the system sets a process (ulimit, containers): which one an error comes from, and how to raise it."""

import errno
import re
import resource
from pathlib import Path

_THREADS = "no further thread can be made: the limit of processes (ulimit -u) or of memory (ulimit -v) is too low"
# what shared libraries, Python and C++ say when memory or address space is used up
_MEMORY = re.compile(
    r"cannot allocate memory|failed to map segment|out of memory|bad_alloc|can't allocate memory|memory allocation|"
    r"unable to allocate|malloc of size|realloc of size",
    re.IGNORECASE,
)


def advice(error: OSError) -> str:
    """``": open files are limited to 128 (ulimit -n)"`` if a limit is behind the error, otherwise nothing."""
    match error.errno:
        case errno.EMFILE:
            return f": this process may have {_soft(resource.RLIMIT_NOFILE)} files open (ulimit -n)"
        case errno.ENFILE:
            return ": the whole machine has too many open files"
        case errno.EAGAIN:
            return f": this user may have {_soft(resource.RLIMIT_NPROC)} processes and threads (ulimit -u)"
        case errno.ENOMEM:
            return f": this process may have {_mebibytes(resource.RLIMIT_AS)} of address space (ulimit -v)"
        case errno.EFBIG:
            return f": a file may have {_mebibytes(resource.RLIMIT_FSIZE)} (ulimit -f)"
        case errno.ENOSPC:
            return ": free some space, or choose a folder on another disk"
    return ""


def cause(error: BaseException) -> str | None:
    """In one line what a limit did, if `error` comes from one; None: it has another cause."""
    text = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        found = advice(error)
        return f"{error.strerror}{where}{found}" if found else None
    if isinstance(error, RuntimeError) and "start new thread" in text:
        return _THREADS
    if isinstance(error, MemoryError) or (isinstance(error, (RuntimeError, ImportError)) and _MEMORY.search(text)):
        limited = f": this process may have {_mebibytes(resource.RLIMIT_AS)} of address space (ulimit -v)"
        return f"out of memory{f' ({text})' if text else ''}{limited if _soft(resource.RLIMIT_AS) != 'any' else ''}"
    if isinstance(error, ImportError) and "Too many open files" in text:
        return f"{text}: this process may have {_soft(resource.RLIMIT_NOFILE)} files open (ulimit -n)"
    # Python where it could not even make a MemoryError, and modules of which a part is missing for that
    if isinstance(error, (SystemError, ImportError, AttributeError)) and _address_space_used_up():
        limited = f"this process may have {_mebibytes(resource.RLIMIT_AS)} of address space (ulimit -v)"
        return f"out of memory ({type(error).__name__}: {text}): {limited}"
    return None


def _address_space_used_up() -> bool:
    """Whether this process has at some time had all address space that it may have, but for what one library takes."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    peak = re.search(r"VmPeak:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return limit != resource.RLIM_INFINITY and peak is not None and int(peak[1]) * 1024 > limit - (64 << 20)


def _soft(which: int) -> str:
    limit = resource.getrlimit(which)[0]
    return "any" if limit == resource.RLIM_INFINITY else str(limit)


def _mebibytes(which: int) -> str:
    limit = resource.getrlimit(which)[0]
    return "any amount" if limit == resource.RLIM_INFINITY else f"{limit / 2**20:.0f} MiB"
