# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of split and un-split fine-tuning by rank and length of samples, and where they break even.

A step of a device with B samples of T tokens, whose embedding has the width D and whose representation H values:

    split       up    w (B T D + R H) + what tells lengths and the step          down  w R H,   R = B (cut pooled), B T
    un-split    up and down  w x (values of its adapters) / local_steps      and once  w x (values of the model) down

and both a head up and down if the server averages heads: after every step of split, every `local_steps` of un-split. w:
bytes of a value. Adapters grow with the rank, split messages with B and T, so which of the two sends less is decided
by both; over many rounds the download no longer counts.
"""

from __future__ import annotations

import dataclasses

import pandas as pd
import torch

from edgelam.cosim.encoding import encode
from edgelam.federated import Setup
from edgelam.federated.updates import rule_of
from edgelam.learning.conversation import number
from edgelam.models import Encoder, LoraSettings
from edgelam.models.frozen import num_bytes

COLUMNS: dict[str, type] = {
    "rank": int, "tokens": int, "split_up": float, "split_down": float, "unsplit_up": float, "unsplit_down": float,
    "download": float, "even_steps": float, "even_tokens_up": float,
}  # fmt: skip


def table(setup: Setup, ranks: tuple[int, ...], tokens: tuple[int, ...]) -> list[dict[str, float]]:
    """Return a row for each rank and length, of one device and one optimiser step; see the module and `COLUMNS`.

    even_steps: after so many steps, un-split with its download has sent fewer bytes, up and down, than split
    (infinite: never); even_tokens_up: length of a sample from which on split sends more up.
    """
    settings = setup.settings
    found = []
    for rank in ranks:
        adapters, download = _unsplit(setup, dataclasses.replace(settings.lora, rank=rank))
        for length in tokens:
            up, down = _split(setup, length)
            once, one_more = _split(setup, 1)[0], _split(setup, 2)[0]
            saved = up + down - 2 * adapters
            found.append({
                "rank": rank, "tokens": length, "split_up": up, "split_down": down, "unsplit_up": adapters,
                "unsplit_down": adapters, "download": download,
                "even_steps": download / saved if saved > 0 else float("inf"),
                "even_tokens_up": max(0.0, 1 + (adapters - once) / (one_more - once)),
            })  # fmt: skip
    return found


def _split(setup: Setup, length: int) -> tuple[float, float]:
    """Return bytes up and down of one step with samples of that many tokens."""
    settings, samples = setup.settings, setup.settings.batch_size
    tokens_TD = torch.zeros(samples * length, setup.backbone.width)
    rows = samples * length if settings.cut == "tokens" else samples
    seen = torch.zeros(rows, setup.backbone.hidden_width)
    step = {"step": number(0)}
    lengths = torch.zeros(samples, dtype=torch.int32)
    up = encode(step | {"tokens": tokens_TD, "lengths": lengths}, settings.encoding).nbytes
    up += encode(step | {"jacobian": seen, "loss": 0.0}, settings.encoding).nbytes
    down = encode(step | {"representation": seen}, settings.encoding).nbytes
    up, down = settings.accumulation * up, settings.accumulation * down
    head = encode(step | {"head": dict(setup.head().state_dict())}, settings.weight_encoding).nbytes
    head = head if settings.head_averaging == "server" else 0
    return float(up + head), float(down + head)


def _unsplit(setup: Setup, lora: LoraSettings) -> tuple[float, float]:
    """Return bytes of one exchange by optimiser step, and of the model."""
    settings = setup.settings
    encoder = Encoder(setup.backbone, lora, cut=settings.cut, pooling=settings.pooling, seed=setup.seed)
    data = {"step": number(0), "adapter": rule_of(settings).upload(encoder)}
    if settings.head_averaging == "server":
        data["head"] = dict(setup.head().state_dict())
    base = encoder.base()
    kind = settings.frozen_weights
    model = encode(base, settings.weight_encoding).nbytes if kind == "plain" else num_bytes(base, kind)
    return encode(data, settings.weight_encoding).nbytes / settings.local_steps, float(model)


def frame(rows: list[dict[str, float]]) -> pd.DataFrame:
    """Return rows of `table` as a data frame."""
    return pd.DataFrame(rows, columns=list(COLUMNS))
