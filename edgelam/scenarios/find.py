# SPDX-License-Identifier: GPL-2.0-only
"""Finds the command that runs a scenario, from the name or path that a user gives."""

import os
import sys
from pathlib import Path

from edgelam import paths
from edgelam.errors import ConfigurationError
from edgelam.scenarios import trust
from edgelam.scenarios.build import SUFFIXES, build, checksum

USAGE_STATUS = 2  # a scenario's exit status after a mistake on its command line


def is_path(scenario: str | os.PathLike[str]) -> bool:
    """Return whether this is the path of a scenario, not the name of an installed one."""
    text = os.fspath(scenario)
    return isinstance(scenario, Path) or os.sep in text or text.endswith((*SUFFIXES, ".py"))


def find(scenario: str | os.PathLike[str]) -> list[str]:
    """Return the command of a scenario without its options.

    Legal are the name of an installed scenario, the path of an executable, of a C++ file, which is built if necessary,
    and of a Python file, which this Python runs. Raises ConfigurationError for anything else, and for a path that only
    a file names and that the user does not trust (`trust`).
    """
    text = os.fspath(scenario)
    if not is_path(scenario):
        return [str(_installed(text))]
    trust.check(text)
    path = Path(text).absolute()  # "./mine" would lose its dot, and be looked for in $PATH
    if path.suffix in SUFFIXES:
        return [str(build(Path(text)).executable)]
    if path.suffix == ".py":
        if not path.is_file():
            raise ConfigurationError(f"scenario {text!r}: there is no such file")
        return [sys.executable, str(path)]
    if not path.is_file() or not os.access(path, os.X_OK):
        raise ConfigurationError(f"scenario {text!r} is not a program that can be run")
    return [str(path)]


def checksum_of(scenario: str | os.PathLike[str] | None) -> str | None:
    """Return the SHA-256 of the executable that `find` gives for a user's scenario; None for an installed one.

    For a C++ file, it depends on all files from which it is built, also those that it includes. Raises as `find` does.
    """
    return checksum(Path(find(scenario)[-1])) if scenario is not None and is_path(scenario) else None


def _installed(name: str) -> Path:
    try:
        known = paths.scenarios()
    except FileNotFoundError as error:
        raise ConfigurationError(str(error)) from None
    if name not in known:
        raise ConfigurationError(
            f"unknown scenario {name!r}; there are: none, {', '.join(known)} "
            "(or give the path of a program, of a file .cc or .py)"
        )
    return known[name]
