# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for a future of PyTorch lets simulated time pass, so that what it waits for can happen."""

from __future__ import annotations

import functools
from typing import Any

import torch

from edgelam.parallel import session as sessions


def install() -> None:
    """In a rank: have everybody wait so."""
    future = torch._C.Future
    future.wait = _driving(future.wait)  # type: ignore[method-assign]
    reducer: Any = torch._C._distributed_c10d.Reducer
    reducer._delay_all_reduce = _at_once(reducer._delay_all_reduce)


def _at_once(delay_all_reduce: Any) -> Any:
    """DDP's first step with a static graph reduces everything at its end and waits in C++: nothing may be left open."""

    @functools.wraps(delay_all_reduce)
    def delayed(self: Any) -> None:
        session = sessions.session()
        session.at_once = True
        try:
            delay_all_reduce(self)
        finally:
            session.at_once = False

    return delayed


def _driving(wait: Any) -> Any:
    @functools.wraps(wait)
    def waits(self: Any) -> Any:
        session = sessions.current()
        if session is not None and session.may_run and not self.done():
            session.drain(self.done)
        return wait(self)

    return waits
