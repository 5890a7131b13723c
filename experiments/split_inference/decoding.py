# SPDX-License-Identifier: GPL-2.0-only
"""Decoding with a small model on the device and SmolLM2 on a server, over a network of each delay.

Prompts are the beginnings of comments of ns-3 that the draft was not trained on. Each answer of a model is computed
once (`RecordedModel`), so that all methods and delays read the same texts.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import math
from collections.abc import Awaitable
from typing import Any

import numpy as np
import torch

from edgelam import cosim
from edgelam.cosim.node import Node
from edgelam.cosim.transport import Transport
from edgelam.data.task import load_task
from edgelam.errors import ConfigurationError
from edgelam.inference.speculative import Decoded, DraftLength, RecordedModel, autoregressive, cascade, speculative
from edgelam.modalities.recipes.smollm2_draft import prompts
from edgelam.models.nested.confidence import temperature
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed
from edgelam.runs import RunFolder
from edgelam.runs.needs import Needs

from . import drafts
from .config import Config, Decoding, DecodingMethod, DraftKind

NEEDS = Needs(roles={"ue": 1, "edge": 2})
"""A device, and two servers: one that has nothing else to do, and one of which it gets a share."""
LONGEST = 8
"""Tokens of a draft at most, where its length is adapted."""
CALIBRATING = 2
"""Prompts of each seed on whose texts the confidence of a cascade is calibrated."""
DECODING = {
    "method": str, "server": str, "seed": int, "prompt": int, "delay_ms": float, "rtt_s": float,
    "tokens": int, "ttft_s": float, "e2e_s": float, "tpot_s": float, "rounds": int, "drafted": int, "kept": int,
    "tried": int, "server_s": float, "device_s": float, "up_bytes": int, "down_bytes": int, "same": float,
}  # fmt: skip
"""One row an answer. server_s, device_s: how long they computed; kept, tried: drafted tokens that were accepted, and
those and the first rejected ones; same: the share of tokens that the whole model writes after the same text."""


@dataclasses.dataclass
class _Texts:
    """The models of one prompt, and what they say."""

    prompt: list[int]
    target: RecordedModel
    draft: RecordedModel
    temperature: float
    """Of the draft's confidence."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Judge drafts, and decode all prompts of all seeds with all methods, over all delays."""
    wanted = config.decoding
    delays = wanted.delays_ms or (math.nan,)
    progress.begin("decoding", config.num_seeds * len(delays), "simulations")
    target, draft = _models(wanted.drafts[0])
    done = itertools.count(1)
    for seed in range(config.seed, config.seed + config.num_seeds):
        for row in drafts.judged(wanted, seed):
            folder.table("drafts", drafts.DRAFTS).append(row)
        texts = _texts(wanted, seed, target, draft)
        for delay in delays:
            network = config.network
            if wanted.delays_ms:
                network = dataclasses.replace(network, options=(*network.options, f"delay={delay:g}ms"))
            rows = network.simulate(
                functools.partial(_decode, config=config, texts=texts), NEEDS, folder,
                f"decoding, {delay:g} ms, seed {seed}", seed=seed,
            )  # fmt: skip
            for row in rows:
                folder.table("decoding", DECODING).append(row | {"seed": seed, "delay_ms": delay})
            progress.step(next(done))


def _models(kind: DraftKind) -> tuple[RecordedModel, RecordedModel]:
    """Return SmolLM2 and a draft."""
    whole = drafts.whole()
    table_VD, small = whole.lm_head.weight, drafts.draft_of(kind, whole)
    return (
        RecordedModel(whole.model, lambda hidden: hidden @ table_VD.T),
        RecordedModel(small.model(whole.model), lambda hidden: small.features(hidden) @ table_VD.T),
    )


def _texts(wanted: Decoding, seed: int, target: RecordedModel, draft: RecordedModel) -> list[_Texts]:
    """Return the prompts of a seed, with the temperature of confidence from other prompts."""
    count = wanted.prompts + CALIBRATING
    chosen = prompts(load_task("ns3-comments").test, count, derive_seed(seed, "prompts of decoding"))
    if len(chosen) < count:
        raise ConfigurationError(
            f"decoding.prompts is {wanted.prompts}; legal are 1 to {len(chosen) - CALIBRATING}, beside {CALIBRATING} "
            "for calibration"
        )
    logits, labels = [], []
    for prompt in chosen[wanted.prompts :]:
        large, small = target.empty(), draft.empty()
        written = [int(large.read(prompt)[-1].argmax())]
        while len(written) < wanted.tokens:
            written.append(int(large.read(written[-1:])[-1].argmax()))
        logits.append(small.read([*prompt, *written[:-1]])[len(prompt) - 1 :])
        labels += written
    hot = temperature(torch.cat(logits), torch.tensor(labels))
    return [_Texts(prompt, target.empty(), draft.empty(), hot) for prompt in chosen[: wanted.prompts]]


async def _decode(sim: cosim.Simulation, *, config: Config, texts: list[_Texts]) -> list[dict[str, Any]]:
    wanted = config.decoding
    (device,), servers = NEEDS.nodes(sim)
    transport = Transport()
    rows: list[dict[str, Any]] = []
    for server in servers:
        rtt_s = await _round_trip(device, server, transport)
        for number, each in enumerate(texts):
            for method in wanted.methods:
                before = server.busy_s, device.busy_s
                found = await _with(method, device, server, each, wanted, transport)
                rows.append(
                    _row(found, each) | {
                        "method": method, "server": server.device.name, "prompt": number, "rtt_s": rtt_s,
                        "server_s": server.busy_s - before[0], "device_s": device.busy_s - before[1],
                    }
                )  # fmt: skip
    await transport.close()
    return rows


def _with(  # noqa: PLR0917
    method: DecodingMethod, device: Node, server: Node, texts: _Texts, wanted: Decoding, transport: Transport
) -> Awaitable[Decoded]:
    target, draft, prompt, most = texts.target, texts.draft, texts.prompt, wanted.tokens
    if method in ("edge-only", "device-only"):
        where = server if method == "edge-only" else device
        return autoregressive(where, device, target, prompt, most, transport)
    if method == "cascade":
        return cascade(device, server, draft, target, prompt, most, transport, threshold=wanted.threshold,
                       temperature=texts.temperature)  # fmt: skip
    length = DraftLength(LONGEST) if method in ("adaptive", "pipelined") else wanted.draft_length
    near = server if method == "co-located" else device
    return speculative(near, server, draft, target, prompt, most, transport, length=length,
                       pipelined=method == "pipelined")  # fmt: skip


def _row(found: Decoded, texts: _Texts) -> dict[str, Any]:
    after = texts.target.fresh().read([*texts.prompt, *found.tokens[:-1]])[len(texts.prompt) - 1 :].argmax(-1)
    return {
        "tokens": len(found.tokens), "ttft_s": found.ttft_s, "e2e_s": found.e2e_s, "tpot_s": found.tpot_s,
        "rounds": len(found.rounds), "drafted": sum(each.drafted for each in found.rounds),
        "kept": sum(each.kept for each in found.rounds),
        "tried": sum(min(each.kept + 1, each.drafted) for each in found.rounds),
        "up_bytes": found.up_bytes, "down_bytes": found.down_bytes,
        "same": float(np.mean(after.numpy() == np.array(found.tokens))),
    }  # fmt: skip


async def _round_trip(device: Node, server: Node, transport: Transport) -> float:
    """Return how long a message of the size of a draft takes there, and one of a verdict back."""
    loop = asyncio.get_running_loop()
    for _ in range(2):  # the first opens connections
        begin_s = loop.time()
        await transport.carry(device, server, np.zeros(8, np.uint8), "probe")
        await transport.carry(server, device, np.zeros(5, np.uint8), "probe")
    return loop.time() - begin_s
