# SPDX-License-Identifier: GPL-2.0-only
"""The task: the next character of ns-3's own comments, which are there wherever the testbed runs."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from edgelam.data import ns3_comments
from edgelam.parallel.looped_model import Batch, Batches
from edgelam.random_streams import derive_seed, from_numbers

CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
"""What the model knows; other characters are left out."""


@functools.cache
def text() -> Tensor:
    """All comments one after the other as numbers of characters, int64."""
    number = {character: index for index, character in enumerate(CHARACTERS)}
    joined = "\n".join(ns3_comments.load().train.inputs)
    return torch.tensor([number[character] for character in joined if character in number])


def batches_of(batch: int, length: int, seed: int) -> Batches:
    """Step -> sequences [batch, length] from random places and the characters that follow; drawn by seed and step."""
    everything = text()
    stream = derive_seed(seed, "places of the characters")

    def at(step: int) -> Batch:
        places = from_numbers(stream, step).integers(0, len(everything) - length, batch)
        rows = torch.stack([everything[place : place + length + 1] for place in places])
        return Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())

    return at
