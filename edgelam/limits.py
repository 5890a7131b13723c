# SPDX-License-Identifier: GPL-2.0-only
"""Limits that the system sets for a process (ulimit, containers): which one caused an error, and how to raise it."""

import errno
import re
import resource
from pathlib import Path

_THREADS = "no further thread can be made: the limit of processes (ulimit -u) or of memory (ulimit -v) is too low"
# what shared libraries, Python and C++ say when there is no more memory or address space
_MEMORY = re.compile(
    r"cannot allocate memory|failed to map segment|out of memory|bad_alloc|can't allocate memory|memory allocation|"
    r"unable to allocate|malloc of size|realloc of size",
    re.IGNORECASE,
)


def advice(error: OSError) -> str:
    """Return ``": open files are limited to 128 (ulimit -n)"`` if a limit caused the error, otherwise nothing."""
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
    """Return in one line what a limit did, if it caused `error`; None: the error has another cause."""
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
    # when Python could not even make a MemoryError, and when a part of a module is missing for this reason
    if isinstance(error, (SystemError, ImportError, AttributeError)) and _address_space_used_up():
        limited = f"this process may have {_mebibytes(resource.RLIMIT_AS)} of address space (ulimit -v)"
        return f"out of memory ({type(error).__name__}: {text}): {limited}"
    return None


def _address_space_used_up() -> bool:
    """Return whether this process once used nearly all its address space: less was left than one library takes."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    peak = re.search(r"VmPeak:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return limit != resource.RLIM_INFINITY and peak is not None and int(peak[1]) * 1024 > limit - (64 << 20)


def _soft(which: int) -> str:
    limit = resource.getrlimit(which)[0]
    return "any" if limit == resource.RLIM_INFINITY else str(limit)


def _mebibytes(which: int) -> str:
    limit = resource.getrlimit(which)[0]
    return "any amount" if limit == resource.RLIM_INFINITY else f"{limit / 2**20:.0f} MiB"
