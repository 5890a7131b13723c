# SPDX-License-Identifier: GPL-2.0-only
"""Refuses, with the reason, what an event loop offers and a simulated one cannot."""

from __future__ import annotations

import asyncio
from typing import Any

from edgelam.errors import NotSimulatedError

_SOCKETS = (
    "a real socket does not work on the simulated clock; use Node.send and Node.receive, or do it outside simulate()",
    """create_connection create_server create_datagram_endpoint create_unix_connection create_unix_server
    connect_accepted_socket start_tls sendfile sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall
    sock_sendto sock_connect sock_accept sock_sendfile getaddrinfo getnameinfo add_reader remove_reader add_writer
    remove_writer connect_read_pipe connect_write_pipe""",
)
_SUBPROCESSES = (
    "a subprocess does not work on the simulated clock; subprocess.run holds the clock until it is done",
    "subprocess_shell subprocess_exec",
)
_SIGNALS = (
    "the time of a signal is not simulated; use signal.signal outside simulate()",
    "add_signal_handler remove_signal_handler",
)


class RefusingLoop(asyncio.AbstractEventLoop):
    """An event loop whose methods listed above raise `NotSimulatedError`."""

    def get_task_factory(self) -> None:
        """Return None: tasks are always `SimTask`."""
        return

    def set_task_factory(self, factory: Any) -> None:
        """Raise NotSimulatedError: other tasks would hash by their address."""
        if factory is not None:
            raise NotSimulatedError("a task factory would make tasks without a fixed order")

    def get_debug(self) -> bool:
        """Return False: asyncio's debug mode measures wall time."""
        return False

    def set_debug(self, enabled: bool) -> None:
        """Do nothing, see `get_debug`."""


def _refusal(name: str, reason: str) -> Any:
    def refused(self: RefusingLoop, *args: Any, **kwargs: Any) -> Any:
        raise NotSimulatedError(f"loop.{name} is not available in simulated time: {reason}")

    refused.__name__ = name
    refused.__doc__ = f"Refused: {reason}."
    return refused


for _reason, _names in (_SOCKETS, _SUBPROCESSES, _SIGNALS):
    for _name in _names.split():
        setattr(RefusingLoop, _name, _refusal(_name, _reason))
