# SPDX-License-Identifier: GPL-2.0-only
"""Every random number of the project is drawn here: from a named stream of a run's seed, or from a seed that is given.

A stream is a function of the run's seed and its name alone, whatever else is drawn and in whatever order.

- `numbered(Stream.PARTITION, seed, ...)`: the streams of the learning, whose names stand in `Stream` with the number
  that their seeds begin with (numpy.random.SeedSequence);
- `derive_seed(seed, "weights of gru")`: a seed from any name, by SHA-256, which needs no table;
- `from_numbers(seed, ...)`, `torch_generator(seed)`, `torch_seeded(seed)`: for a function to which a seed is given.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@enum.unique  # two names of one number would be one stream
class Stream(enum.IntEnum):
    """The streams that have numbers; what follows the seed in brackets."""

    PARTITION = 1
    """Which training samples each device has."""
    SAMPLE_ORDER = 2
    """In which order a device takes its samples [device, epoch]."""
    TEST_SAMPLES = 3
    """Which samples of the test set a model is evaluated on."""
    PARTICIPATION = 4
    """Which devices take part in a round [round]."""
    HELD_OUT = 20
    """Which training samples judge a learning rate [device], and the order of the others [device, 1, epoch]."""


def numbered(stream: Stream, seed: int, *keys: int) -> np.random.Generator:
    """A NumPy generator of a stream of the run with this seed; seed and keys: whole numbers, not negative."""
    return from_numbers(stream, seed, *keys)


def from_numbers(*numbers: int, bits: type[np.random.BitGenerator] = np.random.PCG64) -> np.random.Generator:
    """A NumPy generator that depends on these numbers only (not negative, of any size)."""
    return np.random.Generator(bits(np.random.SeedSequence(numbers)))


def derive_seed(seed: int, name: str) -> int:
    """A 128-bit seed from the run's seed and the name of a random stream (SHA-256)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], "little")


def torch_generator(seed: int) -> torch.Generator:
    """A PyTorch generator (CPU) that depends on `seed` only, of which PyTorch takes the lower 63 bits."""
    import torch

    return torch.Generator().manual_seed(seed % 2**63)


@contextmanager
def torch_seeded(seed: int | None, *, devices: Sequence[int] = ()) -> Iterator[None]:
    """Within the block PyTorch's global generator of the CPU begins at `seed`; after it, it is as it was.

    For modules that draw their first weights themselves, and for dropout. seed: 0 to 2**63 - 1; None: where it is, so
    that the block takes nothing from the program's own stream. devices: GPUs whose generators are put back, too.
    """
    import torch

    with torch.random.fork_rng(devices=list(devices)):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def dropout_seed(seed: int, forwards: int) -> int:
    """The seed of the dropout of a model's forward pass number `forwards`: tied to the step, not to what else draws."""
    return seed * 1_000_003 + forwards
