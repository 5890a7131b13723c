# SPDX-License-Identifier: GPL-2.0-only
"""What is needed to compile against the installed package: compiler, include folders, libraries, flags."""

import functools
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from edgelam import paths
from edgelam.errors import ConfigurationError, EdgelamError

# The same as for ns-3 itself, so that logging and assertions in a scenario's own code work as in ns-3.
DEFINITIONS = ("NS3_LOG_ENABLE", "NS3_ASSERT_ENABLE", "HAVE_GSL")
NS3 = "ns3.44"
# What edgelam's own library uses; programs that use its headers use these too.
MODULES = (
    "core", "network", "internet", "applications", "point-to-point", "traffic-control", "mobility", "propagation",
    "antenna", "spectrum", "buildings", "lte",
)  # fmt: skip


def compiler() -> list[str]:
    """Return the command of the C++ compiler: $CXX, otherwise g++. Raises ConfigurationError if there is none."""
    command = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    if shutil.which(command[0]) is None:
        where = "$CXX" if os.environ.get("CXX") else "C++ scenarios are compiled"
        raise ConfigurationError(f"no C++ compiler: {command[0]} was not found ({where}); apt-get install g++")
    return command


def compiler_version(command: list[str]) -> str:
    """Return what the compiler says about itself. Raises ConfigurationError if it does not start."""
    try:
        asked = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(f"the C++ compiler {shlex.join(command)} does not start: {error}") from error
    return asked.stdout.strip()


def include_folders() -> list[Path]:
    """Return the folders of edgelam's headers (``<edgelam/scenario.h>``) and ns-3's (``"ns3/node.h"``)."""
    return [_package() / "include", _ns3() / "include"]


def library_folders() -> list[Path]:
    """Return the folders of libedgelam-ns3 and of ns-3's libraries."""
    return [_package() / "lib", _ns3() / "lib64"]


def compile_flags() -> list[str]:
    """Return the flags for compiling; $CXXFLAGS come last."""
    # -isystem: warnings only about the user's own code
    folders = [flag for folder in include_folders() for flag in ("-isystem", str(folder))]
    return ["-std=c++20", "-O2", "-Wall", *(f"-D{name}" for name in DEFINITIONS), *folders, *_flags("CXXFLAGS")]


def link_flags(modules: Iterable[str] = ()) -> list[str]:
    """Return the flags for linking, after the objects; $LDFLAGS come last. `modules`: more ns-3 modules to link."""
    # with --as-needed, a module whose types are only named in a text would be dropped
    named = ["-Wl,--no-as-needed", *(f"-l{name}" for name in libraries(modules)), "-Wl,--as-needed"]
    return [*(f"-L{folder}" for folder in library_folders()), *named, *link_options(), *_flags("LDFLAGS")]


def libraries(modules: Iterable[str] = ()) -> list[str]:
    """Return the names of the libraries of a scenario, with those of more ns-3 `modules`."""
    return ["edgelam-ns3", *(f"{NS3}-{name}" for name in [*MODULES, *sorted(set(modules) - set(MODULES))])]


def link_options() -> list[str]:
    """Return the linker's options other than the libraries."""
    return [
        f"-Wl,-rpath,{':'.join(map(str, library_folders()))}",
        # ns-3's config-store, which lte needs, leaves GTK symbols open that nobody calls
        "-Wl,--allow-shlib-undefined",
        "-Wl,-z,lazy",
    ]


def check_modules(names: Iterable[str]) -> list[str]:
    """Return `names`, if ns-3 has modules of these names. Raises ConfigurationError otherwise."""
    names, known = list(names), {path.stem.partition("-")[2] for path in library_folders()[1].glob(f"lib{NS3}-*.so")}
    for name in names:
        if name not in known:
            raise ConfigurationError(f"ns-3 has no module {name!r}; there are: {', '.join(sorted(known))}")
    return names


def modules_of(headers: Iterable[Path]) -> set[str]:
    """Return the ns-3 modules to which these headers belong; other headers are ignored."""
    folder = include_folders()[1] / "ns3"
    homes = _module_of_header()
    return {homes[path.name] for path in headers if path.parent == folder and path.name in homes}


@functools.cache
def _module_of_header() -> dict[str, str]:
    """Return header name -> ns-3 module, from the lists that ns-3 installs (``core-module.h``, ...)."""
    folder, libraries = include_folders()[1] / "ns3", library_folders()[1]
    found = {}
    for listing in sorted(folder.glob("*-module.h")):
        module = listing.name.removesuffix("-module.h")
        if (libraries / f"lib{NS3}-{module}.so").exists():
            for header in re.findall(r"#include <ns3/([^>]+)>", listing.read_text()):
                found[header] = module
    return found


def _flags(variable: str) -> list[str]:
    try:
        return shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        raise ConfigurationError(f"${variable} is {os.environ[variable]!r}: {error}") from error


def _package() -> Path:
    try:
        return paths.package_folder()
    except FileNotFoundError as error:
        raise EdgelamError(str(error)) from error


def _ns3() -> Path:
    spec = importlib.util.find_spec("ns3")
    if spec is None or not spec.submodule_search_locations:
        raise EdgelamError("ns-3 is not installed; 'pip install .' installs it with edgelam (edgelam doctor)")
    return Path(next(iter(spec.submodule_search_locations)))
