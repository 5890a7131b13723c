# SPDX-License-Identifier: GPL-2.0-only
"""Finds the files on which a Python file depends: modules beside it that it imports, and those that these import."""

import ast
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

_EXPERIMENTS = ["edgelam", "experiments"]  # the package in which users' experiments are imported


def python_sources(files: Iterable[Path], folder: Path, without: Collection[str] = ()) -> list[Path]:
    """Return `files` and the modules in `folder` that they import, those that these import, and so on.

    Modules whose file names are in `without` are left out. Modules that are imported by a name computed at run time
    (importlib) are not seen. edgelam itself has a version of its own.
    """
    found: dict[Path, None] = {}
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = None
            waiting += [path for path in _imported(file, folder) if path.name not in without]
    return sorted(found)


def _imported(file: Path, folder: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # the user is told when the file runs
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom) and node.level <= len(file.parents):
            base = file.parents[node.level - 1] if node.level else folder
            if base.is_relative_to(folder):
                for alias in node.names:  # a module, or a name in one
                    yield from _modules(base, [*(node.module or "").split("."), alias.name])


def _modules(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Return the files in `folder` that importing ``a.b.c`` reads."""
    parts = [part for part in parts if part]
    if parts[:2] == _EXPERIMENTS:
        parts = parts[2:]
    if parts[:1] == ["edgelam"]:
        return
    for count in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:count])
        yield from (path for path in (place.with_name(f"{place.name}.py"), place / "__init__.py") if path.is_file())
