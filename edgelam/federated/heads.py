# SPDX-License-Identifier: GPL-2.0-only
"""The task heads of split fine-tuning at the end of a round, if the server averages them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgelam.learning.averaging import weighted_average
from edgelam.learning.conversation import expect, number

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam import cosim
    from edgelam.federated.settings import SplitFedFTSettings
    from edgelam.learning.rounds import Exchange


async def receive_head(node: cosim.Node, source: cosim.Node, round_number: int) -> dict[str, Tensor]:
    """Return the head that a device has sent to the server `node`."""
    return dict((await expect(node, source, "head", round_number)).data["head"])


async def average_heads(node: cosim.Node, exchange: Exchange, heads: Mapping[str, Mapping[str, Tensor]],
                        samples: Mapping[str, int], settings: SplitFedFTSettings) -> None:  # fmt: skip
    """Average heads, weighted by samples, both by device name, and send the average to all that are still active."""
    async with node.compute("average_heads", key=("average_heads", len(heads))):
        average = weighted_average(list(heads.values()), [samples[name] for name in heads])
    data = {"step": number(exchange.round), "head": average}
    await asyncio.gather(
        *(node.send(to, data, tag="head", encoding=settings.weight_encoding) for to in exchange.active)
    )
