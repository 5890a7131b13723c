# SPDX-License-Identifier: GPL-2.0-only
"""Which files beside it a Python file is made of: the modules it imports, and those that these import."""

import ast
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

_EXPERIMENTS = ["edgelam", "experiments"]  # the package that experiments of one's own are imported in


def python_sources(files: Iterable[Path], folder: Path, without: Collection[str] = ()) -> list[Path]:
    """`files` and the modules in `folder` that they import, those that these import, and so on.

    Modules whose file is called as in `without` are left out. Not seen is what is imported by a name worked out as the
    program runs (importlib); edgelam itself has a version of its own.
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
    except (SyntaxError, ValueError):  # whoever runs it is told
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
    """The files in `folder` that importing ``a.b.c`` reads."""
    parts = [part for part in parts if part]
    if parts[:2] == _EXPERIMENTS:
        parts = parts[2:]
    if parts[:1] == ["edgelam"]:
        return
    for count in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:count])
        yield from (path for path in (place.with_name(f"{place.name}.py"), place / "__init__.py") if path.is_file())
