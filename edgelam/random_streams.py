# SPDX-License-Identifier: GPL-2.0-only
"""All random numbers of the project are drawn here: from a named stream of a run's seed, or from a given seed.

A stream depends only on the run's seed and its name, whatever else is drawn and in whatever order.

- `numbered(Stream.PARTITION, seed, ...)`: the streams of the learning, whose names are in `Stream` with the number
  with which their seeds begin (numpy.random.SeedSequence);
- `derive_seed(seed, "weights of gru")`: a seed from any name, by SHA-256, which needs no table;
- `from_numbers(seed, ...)`, `torch_generator(seed)`, `torch_seeded(seed)`: for a function that gets a seed.
"""

from __future__ import annotations

import enum
import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@enum.unique  # two names with the same number would be one stream
class Stream(enum.IntEnum):
    """The streams that have numbers; in brackets, what follows the seed."""

    PARTITION = 1
    """Which training samples each device has."""
    SAMPLE_ORDER = 2
    """The order in which a device takes its samples [device, epoch]."""
    TEST_SAMPLES = 3
    """Which samples of the test set a model is evaluated on."""
    PARTICIPATION = 4
    """Which devices take part in a round [round]."""
    HELD_OUT = 20
    """Which training samples judge a learning rate [device], and the order of the others [device, 1, epoch]."""
    RESAMPLING = 21
    """Which drops make up a resampled set of drops, for an interval."""


def numbered(stream: Stream, seed: int, *keys: int) -> np.random.Generator:
    """Return a NumPy generator of a stream of the run with this seed; seed and keys: whole numbers, not negative."""
    return from_numbers(stream, seed, *keys)


def from_numbers(*numbers: int, bits: type[np.random.BitGenerator] = np.random.PCG64) -> np.random.Generator:
    """Return a NumPy generator that depends only on these numbers (not negative, of any size)."""
    return np.random.Generator(bits(np.random.SeedSequence(numbers)))


def published(seed: int) -> np.random.RandomState:
    """Return NumPy's legacy generator, for numbers that published code drew from it with this seed; for nothing new."""
    return np.random.RandomState(seed)


def derive_seed(seed: int, name: str) -> int:
    """Return a 128-bit seed from the run's seed and the name of a random stream (SHA-256)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], "little")


def seed_process(seed: int, name: str) -> None:
    """Seed what Python seeds from the system: `random` and NumPy's global generator. PyTorch's has a fixed seed."""
    number = derive_seed(seed, name)
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002


def torch_generator(seed: int) -> torch.Generator:
    """Return a PyTorch generator (CPU) that depends only on `seed`, of which PyTorch takes the lower 63 bits."""
    import torch

    return torch.Generator().manual_seed(seed % 2**63)


@contextmanager
def torch_seeded(seed: int | None, *, devices: Sequence[int] = ()) -> Iterator[None]:
    """In the block, PyTorch's global generator of the CPU begins at `seed`; after the block, it is as it was before.

    It is for modules that draw their first weights themselves, and for dropout. seed: 0 to 2**63 - 1; None: the current
    state, so that the block takes nothing from the program's own stream. devices: GPUs whose generators are restored,
    too.
    """
    import torch

    with torch.random.fork_rng(devices=list(devices)):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def dropout_seed(seed: int, forwards: int) -> int:
    """Return the dropout's seed for forward pass number `forwards`: it depends on the step, not on other draws."""
    return seed * 1_000_003 + forwards
