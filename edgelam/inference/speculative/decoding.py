# SPDX-License-Identifier: GPL-2.0-only
"""Decoding over the simulated network: speculative between a device and a server, and token by token at the server.

In a round, the device drafts; the tokens (2 or 4 bytes each) and, if tokens are drawn, the distributions from which
they were drawn cross the uplink; the server checks them in one pass; how many are kept and the next token come back
(5 bytes).

*Pipelined*: while a draft is on its way, the device goes on as if all of it were kept and the next token were its own
likeliest. If this comes true, the next draft is ready; else it is thrown away, and its computing was in vain.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from edgelam.cosim.compute import ComputeBlock
from edgelam.cosim.node import Node
from edgelam.cosim.transport import Transport
from edgelam.errors import ConfigurationError
from edgelam.inference.speculative.cached_model import CachedModel
from edgelam.inference.speculative.draft_length import DraftLength
from edgelam.inference.speculative.lattice import Lattice
from edgelam.inference.speculative.verification import Verdict, distribution, drawn, verify


@dataclasses.dataclass(frozen=True)
class Round:
    """A round."""

    drafted: int
    kept: int
    draft_s: float
    """Until the draft was sent; 0 if it was ready."""
    round_s: float


@dataclasses.dataclass(frozen=True)
class Decoded:
    """What was written, and how long it took."""

    tokens: list[int]
    ttft_s: float
    """Time to first token, at the device."""
    e2e_s: float
    up_bytes: int
    down_bytes: int
    rounds: list[Round]

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first."""
        return (self.e2e_s - self.ttft_s) / max(len(self.tokens) - 1, 1)


@dataclasses.dataclass(frozen=True)
class _Draft:
    tokens: list[int]
    distributions: Tensor
    """float64 [drafted, V]."""


async def autoregressive(  # noqa: PLR0917
    server: Node, device: Node, target: CachedModel, prompt: Sequence[int], most: int, transport: Transport, *,
    temperature: float = 0.0, draw: np.random.Generator | None = None, end: int | None = None,
) -> Decoded:  # fmt: skip
    """Decode at the server; each token is sent to the device as it is made.

    server: the same node as device for decoding in one place. end: the token after which it stops. draw: needed with a
    temperature above 0.
    """
    _check(prompt, most, temperature, draw)
    target, begin_s = target.fresh(), _now()
    up = await transport.carry(device, server, wire(prompt), "prompt") if server is not device else 0
    written: list[int] = []
    sent: list[asyncio.Task[float]] = []
    reading = list(prompt)
    while len(written) < most:
        async with computing(server, "decode", target, len(reading)):
            p_V = distribution(target.read(reading)[-1], temperature)
            written.append(_chosen(p_V, draw))
        sent.append(asyncio.create_task(_arrival(server, device, written[-1], transport)))
        reading = written[-1:]
        if written[-1] == end:
            break
    arrivals = [arrival - begin_s for arrival in await asyncio.gather(*sent)]
    return Decoded(written, arrivals[0], max(arrivals), up, 4 * len(written) if server is not device else 0, [])


async def speculative(  # noqa: PLR0917
    device: Node, server: Node, draft: CachedModel, target: CachedModel, prompt: Sequence[int], most: int,
    transport: Transport, *, length: DraftLength | int = 4, temperature: float = 0.0, lattice: Lattice | None = None,
    draw: np.random.Generator | None = None, end: int | None = None, pipelined: bool = False,
    on_tokens: Callable[[Sequence[int]], object] | None = None,
) -> Decoded:  # fmt: skip
    """Decode speculatively: `draft` runs on the device, `target` on the server (or both on one node).

    length: tokens of a draft, or what adapts it. lattice: how draft distributions are quantised before tokens are
    drawn; None: they cross as fp32. on_tokens: called on the device with the new tokens of each round. The tokens have
    exactly the target's distribution; with temperature 0 they are those of `autoregressive`.
    """
    _check(prompt, most, temperature, draw)
    if pipelined and temperature > 0:
        raise ConfigurationError("pipelined decoding needs temperature 0: the device goes on with its likeliest token")
    run = _Run(device, server, draft.fresh(), target.fresh(), transport, temperature, lattice, draw)
    begin_s = _now()
    run.up = await transport.carry(device, server, wire(prompt), "prompt") if server is not device else 0
    written: list[int] = []
    ahead: _Draft | None = None
    first_s = 0.0
    while len(written) < most and (not written or written[-1] != end):
        wanted = length if isinstance(length, int) else length.length
        wanted = max(min(wanted, most - len(written) - 1), 1)
        started_s = _now()
        ready = ahead
        proposal = ready or await run.drafted([*prompt, *written], wanted)
        sent_s = _now()
        judging = asyncio.create_task(run.judged([*prompt, *written], proposal))
        guess: list[int] | None = None
        if pipelined:
            guess, ahead = await run.guessed([*prompt, *written, *proposal.tokens], wanted)
        verdict = await judging
        new = [*proposal.tokens[: verdict.kept], verdict.token]
        if guess is None or new != [*proposal.tokens, *guess]:
            ahead = None
        ended_s = _now()
        if end in new:
            new = new[: new.index(end) + 1]
        if not written:
            first_s = ended_s - begin_s
        new = new[: most - len(written)]
        written += new
        if on_tokens is not None:
            on_tokens(new)
        run.rounds.append(Round(len(proposal.tokens), verdict.kept, sent_s - started_s, ended_s - started_s))
        if not isinstance(length, int):
            length.seen(len(proposal.tokens), verdict.kept, sent_s - started_s, ended_s - started_s)
    return Decoded(written, first_s, _now() - begin_s, run.up, run.down, run.rounds)


@dataclasses.dataclass
class _Run:
    device: Node
    server: Node
    draft: CachedModel
    target: CachedModel
    transport: Transport
    temperature: float
    lattice: Lattice | None
    draw: np.random.Generator | None
    up: int = 0
    down: int = 0
    rounds: list[Round] = dataclasses.field(default_factory=list)

    async def drafted(self, known: list[int], wanted: int) -> _Draft:
        """Draft `wanted` tokens after the known ones."""
        tokens: list[int] = []
        rows: list[Tensor] = []
        while len(tokens) < wanted:
            unread = self.draft.unread([*known, *tokens])
            async with computing(self.device, "draft", self.draft, len(unread)):
                q_V = distribution(self.draft.read(unread)[-1], self.temperature)
                if self.lattice is not None and self.temperature > 0:
                    q_V = self.lattice.quantised(q_V)
                tokens.append(_chosen(q_V, self.draw))
            rows.append(q_V)
        return _Draft(tokens, torch.stack(rows))

    async def guessed(self, known: list[int], wanted: int) -> tuple[list[int], _Draft]:
        """Go on as if all known tokens were kept: the token that would follow them, and the next draft."""
        first = await self.drafted(known, 1)
        return first.tokens, await self.drafted([*known, *first.tokens], wanted)

    async def judged(self, known: list[int], proposal: _Draft) -> Verdict:
        """Send a draft, check it, and return the verdict when it is at the device."""
        apart = self.server is not self.device
        if apart:
            message = {"tokens": wire(proposal.tokens)}
            if self.temperature > 0:
                message["distributions"] = self._distributions(proposal)
            self.up += await self.transport.carry(self.device, self.server, message, "draft")
        unread = self.target.unread([*known, *proposal.tokens])
        async with computing(self.server, "verify", self.target, len(unread)):
            logits = self.target.read(unread)[-len(proposal.tokens) - 1 :]
            p_GV = distribution(logits, self.temperature)
            verdict = _greedy(proposal.tokens, p_GV) if self.draw is None else verify(
                proposal.tokens, proposal.distributions, p_GV, self.draw
            )  # fmt: skip
        if apart:
            back = np.zeros(5, np.uint8)  # how many are kept, and a token
            self.down += await self.transport.carry(self.server, self.device, back, "verdict")
        return verdict

    def _distributions(self, proposal: _Draft) -> np.ndarray:
        vocabulary = proposal.distributions.shape[1]
        each = 4 * vocabulary if self.lattice is None else self.lattice.wire_bytes(vocabulary)
        return np.zeros(each * len(proposal.tokens), np.uint8)


def _greedy(draft: list[int], p_GV: Tensor) -> Verdict:
    likeliest = p_GV.argmax(-1).tolist()
    kept = next((i for i, token in enumerate(draft) if token != likeliest[i]), len(draft))
    return Verdict(kept, likeliest[kept])


def _chosen(p_V: Tensor, draw: np.random.Generator | None) -> int:
    return int(p_V.argmax()) if draw is None else drawn(p_V, draw)


def computing(node: Node, label: str, model: CachedModel, tokens: int) -> ComputeBlock:
    """Return the block of computing in which a model reads so many tokens."""
    return node.compute(label, key=(id(model.model), len(model.tokens), tokens), work=model.work(tokens))


async def _arrival(server: Node, device: Node, token: int, transport: Transport) -> float:
    if server is not device:
        await transport.carry(server, device, np.array([token], np.int32), "token")
    return _now()


def wire(tokens: Sequence[int]) -> np.ndarray:
    """Return tokens as they cross the network: in 2 bytes each if all of them fit, else in 4."""
    return np.array(tokens, np.uint16 if max(tokens) < 2**16 else np.int32)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _check(prompt: Sequence[int], most: int, temperature: float, draw: np.random.Generator | None) -> None:
    if not prompt or min(prompt) < 0 or most < 1:
        raise ConfigurationError(f"{len(prompt)} tokens of a prompt, most {most}; legal are 1 or more, none below 0")
    if (temperature > 0) != (draw is not None):
        raise ConfigurationError(
            f"temperature is {temperature} and draw is {draw}; a temperature above 0 needs random numbers, and 0 takes "
            "none"
        )
