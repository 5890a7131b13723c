# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios in one file: written from a template, built from C++ or run as Python, found by name or path.

``find`` gives the command that runs a scenario, and builds it first if necessary; ``build`` compiles a scenario;
``toolchain`` has the flags; ``new`` writes a first scenario. Nothing here imports the learning or the coupling.
"""

from edgelam.scenarios.build import SUFFIXES, build
from edgelam.scenarios.find import USAGE_STATUS, checksum_of, find, is_path

__all__ = ["SUFFIXES", "USAGE_STATUS", "build", "checksum_of", "find", "is_path"]
