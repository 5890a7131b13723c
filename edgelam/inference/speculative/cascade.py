# SPDX-License-Identifier: GPL-2.0-only
"""A confidence cascade: the device's model writes while it is sure of itself, and asks the server's for a token else.

The confidence of a token is its probability, of logits that are divided by a temperature, which is chosen so that
confidence is how often the larger model would write the same (`models.nested.confidence.temperature`). What is written
is not what the larger model alone would write: how much of it is, is a result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import torch

from edgelam.cosim.node import Node
from edgelam.cosim.transport import Transport
from edgelam.errors import ConfigurationError
from edgelam.inference.speculative.cached_model import CachedModel
from edgelam.inference.speculative.decoding import Decoded, Round, computing, wire


async def cascade(  # noqa: PLR0917
    device: Node, server: Node, small: CachedModel, large: CachedModel, prompt: Sequence[int], most: int,
    transport: Transport, *, threshold: float, temperature: float = 1.0, end: int | None = None,
) -> Decoded:  # fmt: skip
    """Decode greedily: a token is the small model's if its confidence is at least `threshold`, else the large one's.

    A round is a question: how many tokens were written since the one before, all kept. The first question carries the
    prompt, later ones the tokens since then. Raises ConfigurationError for a threshold outside 0 to 1, a temperature
    not above 0, an empty prompt, or fewer than one token.
    """
    if not 0 <= threshold <= 1 or not 0 < temperature < float("inf"):
        raise ConfigurationError(
            f"threshold is {threshold} and temperature {temperature}; legal are 0 to 1, and above 0 and finite"
        )
    if not prompt or min(prompt) < 0 or most < 1:
        raise ConfigurationError(f"{len(prompt)} tokens of a prompt, most {most}; legal are 1 or more, none below 0")
    loop = asyncio.get_running_loop()
    small, large = small.fresh(), large.fresh()
    begin_s = since_s = loop.time()
    first_s, up, down, known_there = 0.0, 0, 0, 0
    written: list[int] = []
    rounds: list[Round] = []
    since = 0
    while len(written) < most and (not written or written[-1] != end):
        whole = [*prompt, *written]
        unread = small.unread(whole)
        async with computing(device, "write", small, len(unread)):
            probabilities_V = torch.softmax(small.read(unread)[-1].double() / temperature, -1)
            confidence, token = (float(value) for value in probabilities_V.max(-1))
        if confidence < threshold:
            asked_s = loop.time()
            if server is not device:
                up += await transport.carry(device, server, wire(whole[known_there:]), "question")
            known_there = len(whole)
            unread = large.unread(whole)
            async with computing(server, "answer", large, len(unread)):
                token = int(large.read(unread)[-1].argmax())
            if server is not device:
                down += await transport.carry(server, device, np.array([token], np.int32), "token")
            rounds.append(Round(since, since, asked_s - since_s, loop.time() - since_s))
            since, since_s = -1, loop.time()
        written.append(int(token))
        since += 1
        if len(written) == 1:
            first_s = loop.time() - begin_s
    return Decoded(written, first_s, loop.time() - begin_s, up, down, rounds)
