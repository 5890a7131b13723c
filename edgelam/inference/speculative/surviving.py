# SPDX-License-Identifier: GPL-2.0-only
"""Speculative decoding whose server may fail in mid-answer: the next server goes on where it was.

The device knows the prompt and every token that was kept, so it sends both to the next server, which reads them anew:
the keys and values that were lost are computed again. What is written is the same, since a verdict depends on the text
alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

from edgelam.cosim.node import Node
from edgelam.cosim.transport import Transport
from edgelam.inference.attempt import NodeLost
from edgelam.inference.migration.failures import Failures
from edgelam.inference.speculative.cached_model import CachedModel
from edgelam.inference.speculative.decoding import speculative


@dataclasses.dataclass(frozen=True)
class Survived:
    """What was written, how long it took, and which servers wrote how many tokens of it."""

    tokens: list[int]
    ttft_s: float
    e2e_s: float
    servers: dict[str, int]


async def surviving(  # noqa: PLR0917
    device: Node, servers: Sequence[Node], draft: CachedModel, target: CachedModel, prompt: Sequence[int], most: int,
    transport: Transport, failures: Failures, *, end: int | None = None, **settings: Any,
) -> Survived:  # fmt: skip
    """Decode as `speculative` with the first server that is not known to have failed, and at the next if it fails.

    settings: of `speculative`, without a temperature, so that nothing is drawn twice. Raises NodeLost if no server is
    left.
    """
    loop = asyncio.get_running_loop()
    begin_s, moments = loop.time(), []
    written: list[int] = []
    by_server: dict[str, int] = {}
    for server in servers:
        if failures.is_known(server.name):
            continue

        def kept(tokens: Sequence[int], name: str = server.name) -> None:
            if not failures.is_down(name):  # else it is what a failed server would have said
                written.extend(tokens)
                moments.append(loop.time())
                by_server[name] = by_server.get(name, 0) + len(tokens)

        going = speculative(
            device, server, draft, target, [*prompt, *written], most - len(written), transport, end=end,
            on_tokens=kept, **settings,
        )  # fmt: skip
        with contextlib.suppress(NodeLost):
            await failures.surviving(going, [server.name])
        if len(written) >= most or (written and written[-1] == end):
            return Survived(written, moments[0] - begin_s, moments[-1] - begin_s, by_server)
    raise NodeLost(f"no server is left of {', '.join(server.name for server in servers)}")
