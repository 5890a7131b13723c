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


def _driving(wait: Any) -> Any:
    @functools.wraps(wait)
    def waits(self: Any) -> Any:
        session = sessions.current()
        if session is not None and session.may_run and not self.done():
            session.drain()
        return wait(self)

    return waits
