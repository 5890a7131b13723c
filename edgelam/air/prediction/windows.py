# SPDX-License-Identifier: GPL-2.0-only
"""From CSI to what a predictor is given and what it is asked for.

Setting of LLM4CP (arXiv 2406.14440): of each sample's snapshots the first `history` are known, the next `horizon` are
predicted. TDD: both on the first `tones` tones. FDD: the past is that of the first `tones` tones (uplink), the future
that of the last `tones` (downlink).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.air.csi import CsiSet

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class WindowSettings:
    """How a sample is cut."""

    history: int = 16
    """Snapshots known, at least 2."""
    horizon: int = 4
    """Snapshots predicted, at least 1."""
    tones: int = 48
    """Tones of the past and of the future, at least 1."""
    duplex: Literal["tdd", "fdd"] = "tdd"
    """tdd: predict the band that is known; fdd: predict the upper band from the lower."""
    antennas: int = 0
    """Pairs of antennas used of each sample, evenly spread; 0: all."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("history", 2), ("horizon", 1), ("tones", 1), ("antennas", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least {least}")


@dataclass(frozen=True)
class Windows:
    """Cut samples, each divided by the root mean square of its past, so that all are of one size."""

    past: Array
    """complex64 [sample, antenna, history, tone]."""
    future: Array
    """complex64 [sample, antenna, horizon, tone]."""

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.past)

    def take(self, samples: Array) -> Windows:
        """Those samples, int [n], in that order."""
        return Windows(self.past[samples], self.future[samples])


def cut(data: CsiSet, settings: WindowSettings, samples: Array | None = None) -> Windows:
    """Cut recorded CSI; `samples`: which, int [n], all by default.

    An antenna is a pair of a receiving and a transmitting one. Raises ConfigurationError if the recording is too short
    or too narrow, has fewer pairs of antennas, or holds values that are not finite or a sample without power.
    """
    snapshots, subcarriers = data.csi.shape[1], data.csi.shape[-1]
    pairs = data.csi.shape[2] * data.csi.shape[3]
    bands = 1 if settings.duplex == "tdd" else 2
    if settings.history + settings.horizon > snapshots:
        raise ConfigurationError(
            f"history {settings.history} + horizon {settings.horizon}: the recording has {snapshots} snapshots a sample"
        )
    if bands * settings.tones > subcarriers:
        raise ConfigurationError(
            f"tones {settings.tones} ({settings.duplex}: {bands} x): the recording has {subcarriers} subcarriers"
        )
    if settings.antennas > pairs:
        raise ConfigurationError(f"antennas {settings.antennas}: the recording has {pairs} pairs of antennas")
    chosen = np.arange(len(data)) if samples is None else np.asarray(samples)
    count = settings.antennas or pairs
    antennas = np.arange(count) * pairs // count
    past = np.empty((len(chosen), count, settings.history, settings.tones), np.complex64)
    future = np.empty((len(chosen), count, settings.horizon, settings.tones), np.complex64)
    for row, sample in enumerate(chosen):  # one at a time: a recording may be larger than memory
        csi = np.moveaxis(data.csi[sample].reshape(snapshots, pairs, subcarriers)[:, antennas], 0, 1)
        known = csi[:, : settings.history, : settings.tones]
        tones = slice(0, settings.tones) if bands == 1 else slice(subcarriers - settings.tones, subcarriers)
        wanted = csi[:, settings.history : settings.history + settings.horizon, tones]
        power = float(np.vdot(known, known).real) / known.size
        if not (np.isfinite(power) and power > 0 and np.all(np.isfinite(wanted))):
            raise ConfigurationError(
                f"sample {sample} of the recording has mean power {power:g}; legal are finite CSI and a positive power"
            )
        past[row] = known / np.float32(np.sqrt(power))
        future[row] = wanted / np.float32(np.sqrt(power))
    return Windows(past, future)


def add_noise(windows: Windows, snr_db: tuple[float, float], rng: np.random.Generator, *, future: bool) -> Windows:
    """A copy with circular complex Gaussian noise on the past and, with `future`, on the future too.

    snr_db: the SNR of each sample is uniform in this interval, against the mean power of that sample's past (1 by
    `cut`); past and future have noise of one variance.
    """
    low, high = snr_db
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ConfigurationError(f"SNR from {low} to {high} dB; legal are finite numbers in order")
    deviation = np.sqrt(10 ** (-rng.uniform(low, high, len(windows)) / 10) / 2).astype(np.float32)

    def noisy(values: Array) -> Array:
        noise = rng.standard_normal((*values.shape, 2), np.float32).view(np.complex64)[..., 0]
        return np.asarray(values + deviation[:, None, None, None] * noise)

    past = noisy(windows.past)
    return Windows(past, noisy(windows.future) if future else windows.future)
