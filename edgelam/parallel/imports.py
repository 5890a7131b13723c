# SPDX-License-Identifier: GPL-2.0-only
"""Changing a module of PyTorch when the program imports it: to import it before would take seconds of a processor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def when_imported(name: str, change: Callable[[ModuleType], None]) -> None:
    """Call ``change(module)`` as soon as the module `name` has been imported; at once if it has been already."""
    if name in sys.modules:
        change(sys.modules[name])
    else:
        sys.meta_path.insert(0, _Changing(name, change))


class _Changing(MetaPathFinder):
    """Finds a module as Python does, and changes it after it has been imported."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name, self._change = name, change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            import_it = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                import_it(module)
                self._change(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
