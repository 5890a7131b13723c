# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam scenario new``, ``build`` and ``flags``: their options, and what they print. Nothing heavy is imported."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from edgelam.errors import ConfigurationError


@dataclass(frozen=True)
class New:
    """Write a commented scenario that runs as it is: a 5G cell, phones that walk, background traffic."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Name of the scenario; the file is NAME.cc. An existing file is never changed."""
    python: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write NAME.py, on ns-3's Python bindings: it is not compiled, but starts and runs slower."""
    wifi: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write a copy of the scenario wifi-campus instead of a 5G cell: stations, access points, wired backhaul."""


@dataclass(frozen=True)
class Build:
    """Compile a scenario in one C++ file if it or what it includes has changed, and print the path of the executable.

    Executables are kept in ~/.cache/edgelam/scenarios ($XDG_CACHE_HOME). $CXX, $CXXFLAGS and $LDFLAGS are used.
    'edgelam run ... --scenario PATH' builds, too.
    """

    path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")]
    """The file, NAME.cc."""


@dataclass(frozen=True)
class Flags:
    """Print the compiler flags for programs of several files: g++ $(edgelam scenario flags --compile) ..."""

    compile: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print only the flags for compiling."""
    link: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print only the flags for linking; write them after the objects."""
    cmake: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print a file for CMake's include(), with the target edgelam::scenario."""
    modules: tuple[str, ...] = ()
    """More ns-3 modules to link than those that edgelam itself uses: wifi, csma, ..."""


Command = (
    Annotated[New, tyro.conf.subcommand("new")]
    | Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[Flags, tyro.conf.subcommand("flags")]
)


def run(command: New | Build | Flags) -> None:
    """Carry out one command; results go to stdout, everything else to stderr."""
    match command:
        case New(name, python, wifi):
            from edgelam.scenarios.new import new

            path = new(name, ".py" if python else ".cc", wifi=wifi)
            place = path if path.is_absolute() else f"./{path}"
            print(f"{path} is written; it runs as it is:\n  edgelam run split-fedft --scenario {place}")
        case Build(path):
            from edgelam.scenarios.build import build

            built = build(path)
            print(built.executable)
        case Flags():
            _print_flags(command)


def _print_flags(wanted: Flags) -> None:
    from edgelam.scenarios import cmake, toolchain

    if wanted.compile + wanted.link + wanted.cmake > 1:
        raise ConfigurationError("--compile, --link and --cmake: give one (without them, all flags are printed)")
    modules = toolchain.check_modules(wanted.modules)
    if wanted.cmake:
        print(cmake.target_file(modules), end="")
        return
    flags = [] if wanted.link else toolchain.compile_flags()
    flags += [] if wanted.compile else toolchain.link_flags(modules)
    print(shlex.join(flags))
