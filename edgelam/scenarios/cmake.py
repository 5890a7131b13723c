# SPDX-License-Identifier: GPL-2.0-only
"""The flags of `toolchain` as a file that CMake includes."""

from collections.abc import Iterable

from edgelam.scenarios import toolchain


def target_file(modules: Iterable[str] = ()) -> str:
    """Return CMake code that defines ``edgelam::scenario``; modules: more ns-3 modules to link."""
    libraries = toolchain.libraries(modules)
    lines = [
        "# Written by: edgelam scenario flags --cmake. Use: target_link_libraries(NAME PRIVATE edgelam::scenario)",
        "add_library(edgelam::scenario INTERFACE IMPORTED)",
        "target_compile_features(edgelam::scenario INTERFACE cxx_std_20)",
        f"target_compile_definitions(edgelam::scenario INTERFACE {' '.join(toolchain.DEFINITIONS)})",
        f"target_include_directories(edgelam::scenario SYSTEM INTERFACE {_quoted(toolchain.include_folders())})",
        f"target_link_directories(edgelam::scenario INTERFACE {_quoted(toolchain.library_folders())})",
        f"target_link_options(edgelam::scenario INTERFACE {_quoted(toolchain.link_options())})",
        f"target_link_libraries(edgelam::scenario INTERFACE -Wl,--no-as-needed {' '.join(libraries)} -Wl,--as-needed)",
    ]
    return "\n".join(lines) + "\n"


def _quoted(values: Iterable[object]) -> str:
    return " ".join(f'"{value}"' for value in values)
