# SPDX-License-Identifier: GPL-2.0-only
"""The compiler's options to build programs and Python modules that were written for ns3-ai."""

from __future__ import annotations

import sysconfig
from importlib.util import find_spec
from pathlib import Path

from edgelam.errors import EdgelamError
from edgelam.scenarios import toolchain

PYTHON_PATH = Path(__file__).parent / "python"


def cflags() -> list[str]:
    """The options for compiling: those of a scenario, after the folders of the interface, pybind11 and Python."""
    package, ns3 = toolchain.include_folders()
    pybind11 = find_spec("pybind11")
    if pybind11 is None or pybind11.origin is None:
        raise EdgelamError("pybind11 is not installed; it is one of edgelam's dependencies (pip install pybind11)")
    python = [Path(pybind11.origin).parent / "include", Path(sysconfig.get_paths()["include"])]
    folders = [flag for folder in (package / "ns3-ai", package, ns3, *python) for flag in ("-isystem", str(folder))]
    return ["-std=c++20", "-O2", *(f"-D{name}" for name in toolchain.DEFINITIONS), *folders]


def libs() -> list[str]:
    """Return the options for linking, after the sources: the interface, and every ns-3 library that is used.

    They are linked as needed: a Python module must not load the whole simulator into the agent's process.
    """
    folders = toolchain.library_folders()
    modules = sorted(path.name[3:-3] for path in folders[1].glob(f"lib{toolchain.NS3}-*.so"))
    named = ["-Wl,--as-needed", "-ledgelam-ns3-ai", *(f"-l{module}" for module in modules)]
    return [*(f"-L{folder}" for folder in folders), *named, *toolchain.link_options()]
