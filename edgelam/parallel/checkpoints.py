# SPDX-License-Identifier: GPL-2.0-only
"""Distributed checkpoints that PyTorch would write in a thread or process beside training.

What a thread communicates, and when, depends on the machine. So `async_save` saves before it returns, in the order of
the program; what it returns is done. Training waits for it, which is pessimistic.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_EXECUTORS = {
    "torch.distributed.checkpoint._async_thread_executor": "_ThreadBasedAsyncCheckpointExecutor",
    "torch.distributed.checkpoint._async_process_executor": "_ProcessBasedAsyncCheckpointExecutor",
}
"""Modules, and the class in each that saves beside training."""


def install() -> None:
    """In a rank. The modules take a second of a processor to import: they are changed when the program imports them."""
    for name in _EXECUTORS:
        if name in sys.modules:
            _change(sys.modules[name])
    sys.meta_path.insert(0, _Changing())


def _change(module: ModuleType) -> None:
    getattr(module, _EXECUTORS[module.__name__]).execute_save = _save


class _Changing(MetaPathFinder):
    """Finds the modules as Python does, and changes them after they have been imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _EXECUTORS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            import_it = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                import_it(module)
                _change(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _save(unused: Any, staged: Any, **how: Any) -> Future[Any]:
    """Save what is staged, or will be, and return that it is done."""
    from torch.distributed.checkpoint.state_dict_saver import save

    done: Future[Any] = Future()
    try:
        done.set_result(save(staged.result() if isinstance(staged, Future) else staged, **how))
    except Exception as error:
        done.set_exception(error)
    return done
