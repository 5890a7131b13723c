# SPDX-License-Identifier: GPL-2.0-only
"""Distributed checkpoints that PyTorch would write in a thread or process beside training.

What a thread communicates, and when, depends on the machine. So `async_save` saves before it returns, in the order of
the program; what it returns is done. Training waits for it, which is pessimistic.
"""

from __future__ import annotations

from concurrent.futures import Future
from types import ModuleType
from typing import Any

from edgelam.parallel.imports import when_imported

_EXECUTORS = {
    "torch.distributed.checkpoint._async_thread_executor": "_ThreadBasedAsyncCheckpointExecutor",
    "torch.distributed.checkpoint._async_process_executor": "_ProcessBasedAsyncCheckpointExecutor",
}
"""Modules, and the class in each that saves beside training."""


def install() -> None:
    """In a rank."""
    for name in _EXECUTORS:
        when_imported(name, _change)


def _change(module: ModuleType) -> None:
    getattr(module, _EXECUTORS[module.__name__]).execute_save = _save


def _save(unused: Any, staged: Any, **how: Any) -> Future[Any]:
    """Save what is staged, or will be, and return that it is done."""
    from torch.distributed.checkpoint.state_dict_saver import save

    done: Future[Any] = Future()
    try:
        done.set_result(save(staged.result() if isinstance(staged, Future) else staged, **how))
    except Exception as error:
        done.set_exception(error)
    return done
