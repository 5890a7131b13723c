# SPDX-License-Identifier: GPL-2.0-only
"""Programs that start their ranks themselves, with torch.multiprocessing or multiprocessing.

Under the launcher all ranks run already. `torch.multiprocessing.spawn` of as many processes as there are ranks calls
the function in this process, with this process's rank. A process started in another way is no rank of the run: where
it calls `init_process_group` it ends, and the rank that started it fails, with the two lines to change. Otherwise its
tensors would cross no network.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing.process
import os
import sys
from collections.abc import Callable
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.parallel import session as sessions
from edgelam.parallel.job import VARIABLE

REFUSED = 97
"""Exit status of a process that wanted to be a rank and is none."""
_started: list[Any] = []

HOW = (
    "the launcher has started one process for each rank already. Change two lines: in the place of the processes that "
    'are started call the function once, with rank = int(os.environ["RANK"]); and take the number of ranks from '
    'int(os.environ["WORLD_SIZE"])'
)


def install() -> None:
    """In a rank."""
    for name in ("torch.multiprocessing", "torch.multiprocessing.spawn"):
        module: Any = importlib.import_module(name)
        module.spawn = _spawn
        module.start_processes = _start_processes
    process = multiprocessing.process.BaseProcess
    process.start = _marking(process.start)  # type: ignore[method-assign]


def _spawn(fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, **_: Any) -> Any:
    return _start_processes(fn, args, nprocs, join)


def _start_processes(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, *_: Any, **__: Any
) -> Any:
    """Call the function here, as the rank that this process is."""
    session = sessions.session()
    if nprocs != session.size:
        raise ConfigurationError(
            f"torch.multiprocessing.spawn of {nprocs} processes in a run of {session.size} ranks: start it with as "
            f"many --ranks, or, since {HOW}"
        )
    fn(session.rank, *args)
    return None if join else _Joined()


class _Joined:
    """What spawn returns without join: everything is over."""

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        return True


def _marking(start: Any) -> Any:
    """A child process of a rank refuses to be one."""

    @functools.wraps(start)
    def starts(self: Any) -> Any:
        if self._target is not None:
            self._target = functools.partial(in_child, self._target)
            _started.append(self)
        return start(self)

    return starts


def in_child(target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run `target` in a child process of a rank."""
    os.environ.pop(VARIABLE, None)
    import torch.distributed as dist
    from torch.distributed import distributed_c10d

    for module in (dist, distributed_c10d):
        module.init_process_group = _refuse  # type: ignore[attr-defined]
    return target(*args, **kwargs)


def _refuse(*_: Any, **__: Any) -> None:
    print(f"edgelam: process {os.getpid()}, started by a rank, calls init_process_group: {HOW}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(REFUSED)


def check_children() -> None:
    """At the end of a rank's program: raise ConfigurationError if it has started what wanted to be ranks."""
    for process in _started:
        try:
            status = process.exitcode
        except (AssertionError, ValueError):  # closed
            continue
        if status == REFUSED:
            raise ConfigurationError(f"the program starts its ranks itself: {HOW}")
