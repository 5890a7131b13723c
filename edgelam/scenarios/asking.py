# SPDX-License-Identifier: GPL-2.0-only
"""Asks a scenario what it takes, by its ``--help``, without building the network, and refuses what cannot be run."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from edgelam import limits, paths
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.scenarios.find import USAGE_STATUS, find, is_path
from edgelam.text import suggest

NO_SCENARIO = "none"
"""The name that stands for no network at all."""


def check_scenario(name: str, options: Mapping[str, str], what: str = "--options") -> None:
    """Refuse a scenario that does not exist, and options that it does not take (the scenario itself is asked).

    Legal: an installed name, a path (see `scenarios.find`; a C++ file is built), ``none`` (no network). `what` names
    the option that gave the options, for errors.
    """
    if name == NO_SCENARIO:
        if options:
            raise ConfigurationError(f"{what}: scenario none has no options, but got {', '.join(options)}")
        return
    command = _find_scenario(name)
    asked = _ask_scenario([*command, *(f"--{option}={value}" for option, value in options.items())])
    if asked.returncode == USAGE_STATUS:
        raise ConfigurationError(f"{what}: {asked.stderr.strip()}")
    if asked.returncode:
        _refuse_broken(name, asked)


def scenario_help(name: str) -> str:
    """Return what a scenario says about itself and its options. Raises ConfigurationError if it does not exist."""
    if name == NO_SCENARIO:
        return "scenario none has no options\n"
    asked = _ask_scenario(_find_scenario(name))
    if asked.returncode:
        _refuse_broken(name, asked)
    return asked.stdout


def _refuse_broken(name: str, asked: subprocess.CompletedProcess[str]) -> NoReturn:
    said = asked.stderr.strip() or "it wrote nothing"
    raise ConfigurationError(f"scenario {name} --help ended with status {asked.returncode}:\n{said}")


def _find_scenario(name: str) -> list[str]:
    if not is_path(name):
        try:
            known = paths.scenarios()
        except FileNotFoundError as error:
            raise EdgelamError(str(error)) from error
        if name not in known:
            files = [f"./{name}{kind}" for kind in (".cc", ".py") if Path(f"{name}{kind}").is_file()]
            hint = f"for the file say {files[0]}; " if files else ""
            raise ConfigurationError(f"no scenario is called {name!r}; {hint}{suggest(name, [*known, NO_SCENARIO])}")
    return find(name)


def _ask_scenario(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [*command, "--help"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(
            f"{Path(command[-1]).name} --help did not end in a minute: is it a scenario of edgelam?"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"scenario {command[0]!r} cannot be started: {error.strerror}{limits.advice(error)}"
        ) from error


def scenario_summary(binary: Path) -> str:
    """Return what an installed scenario says about itself: the first line of its ``--help``, without its name."""
    return _ask_scenario([str(binary)]).stdout.partition("\n")[0].removeprefix(f"{binary.name}:").strip()
