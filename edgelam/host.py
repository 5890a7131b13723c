# SPDX-License-Identifier: GPL-2.0-only
"""What the manifest says about the origin of a run: versions, source, machine."""

import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = [
    "edgelam",
    "ns3",
    "torch",
    "transformers",
    "peft",
    "numpy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "matplotlib",
]
PACKAGES += ["msgspec", "tyro"]
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
)


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages on which results depend; None if one is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    if found["edgelam"] is None:  # edgelam is used from a source tree
        import edgelam

        found["edgelam"] = edgelam.__version__
    return found


def shell_line(words: Sequence[str]) -> str:
    """Return a command as it is typed into bash; a word that is not UTF-8 text as ``$'Stra\\xdfe'``."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    data = os.fsencode(word)
    try:
        data.decode()
    except UnicodeDecodeError:
        return "$'" + "".join(chr(b) if chr(b).isascii() and chr(b).isalnum() else f"\\x{b:02x}" for b in data) + "'"
    return shlex.quote(word)


def source_commit() -> dict[str, Any] | None:
    """Return the git commit of edgelam's own source, and whether files differ from it; None if it is not known.

    A container has no checkout: EDGELAM_SOURCE_COMMIT says from which commit it was built, in the form of `git describe
    --always --abbrev=40 --dirty --exclude '*'`.
    """
    folder = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed copy may be inside somebody's repository (in its .venv), and still not be part of it.
    if git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        told = re.fullmatch("([0-9a-f]{40})(-dirty)?", os.environ.get("EDGELAM_SOURCE_COMMIT", ""))
        return {"commit": told[1], "modified": told[2] is not None} if told else None
    commit = git("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "modified": bool(git("status", "--porcelain", "-uno"))}


def host_facts(*, learning: bool = True) -> dict[str, Any]:
    """Describe the machine: with the same CPU type and number of threads, results are the same, byte for byte.

    learning: include what PyTorch says about it, whose import takes some seconds.
    """
    return (_learning_facts() if learning else {}) | {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "environment": {name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ},
    }


def _learning_facts() -> dict[str, Any]:
    import torch

    return {
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def boot_id() -> str | None:
    """Return what identifies one boot of one machine: process numbers have a meaning only within it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks after boot; None if there is no such process (zombies count as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
