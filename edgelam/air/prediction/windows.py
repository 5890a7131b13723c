# SPDX-License-Identifier: GPL-2.0-only
"""Turn CSI into the input and the target of a predictor.

The setting is that of LLM4CP (arXiv 2406.14440): the first `history` snapshots of each sample are known, and the next
`horizon` are predicted. In TDD, both have the first `tones` tones. In FDD, the past has the first `tones` tones
(uplink), and the future has the last `tones` tones (downlink).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam.air.prediction.settings import WindowSettings
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.air.csi import CsiSet

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Windows:
    """Cut samples, each divided by the root mean square of its past, so that all have the same size."""

    past: Array
    """complex64 [sample, antenna, history, tone]."""
    future: Array
    """complex64 [sample, antenna, horizon, tone]."""

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.past)

    def take(self, samples: Array) -> Windows:
        """Return the samples of these indices, int [n], in this order."""
        return Windows(self.past[samples], self.future[samples])


def cut(data: CsiSet, settings: WindowSettings, samples: Array | None = None) -> Windows:
    """Cut recorded CSI; samples: numbers, int [n], by default all. Raises ConfigurationError as `cut_sample` does."""
    chosen = range(len(data)) if samples is None else samples
    return stack([cut_sample(data.csi[sample], settings, f"sample {sample}") for sample in chosen])


def refuse_shape(shape: Sequence[int], settings: WindowSettings, what: str = "the sample") -> None:
    """Raise ConfigurationError if CSI samples of this shape, [time, rx, tx, subcarrier], are too small."""
    snapshots, subcarriers, pairs = shape[0], shape[-1], shape[1] * shape[2]
    bands = 1 if settings.duplex == "tdd" else 2
    if settings.history + settings.horizon > snapshots:
        raise ConfigurationError(
            f"history {settings.history} + horizon {settings.horizon}: {what} has {snapshots} snapshots"
        )
    if bands * settings.tones > subcarriers:
        raise ConfigurationError(
            f"tones {settings.tones} ({settings.duplex}: {bands} x): {what} has {subcarriers} subcarriers"
        )
    if settings.antennas > pairs:
        raise ConfigurationError(f"antennas {settings.antennas}: {what} has {pairs} pairs of antennas")


def cut_sample(csi: Array, settings: WindowSettings, what: str = "the sample") -> tuple[Array, Array]:
    """Return past and future of one sample, complex64 [time, rx, tx, subcarrier], as in `Windows`.

    An antenna here is a pair of a receiving and a transmitting antenna. Raises ConfigurationError, which begins with
    `what`, if there are too few snapshots, subcarriers or pairs of antennas, if values are not finite, and if the past
    has no power.
    """
    refuse_shape(csi.shape, settings, what)
    snapshots, subcarriers = csi.shape[0], csi.shape[-1]
    pairs = csi.shape[1] * csi.shape[2]
    count = settings.antennas or pairs
    antennas = np.arange(count) * pairs // count
    csi = np.moveaxis(csi.reshape(snapshots, pairs, subcarriers)[:, antennas], 0, 1)
    known = csi[:, : settings.history, : settings.tones]
    tones = slice(0, settings.tones) if settings.duplex == "tdd" else slice(subcarriers - settings.tones, subcarriers)
    wanted = csi[:, settings.history : settings.history + settings.horizon, tones]
    power = float(np.vdot(known, known).real) / known.size
    if not (np.isfinite(power) and power > 0 and np.all(np.isfinite(wanted))):
        raise ConfigurationError(f"{what} has mean power {power:g}; legal are finite CSI and a positive power")
    scale = np.float32(1 / np.sqrt(power))
    return scale * known, scale * wanted


def stack(samples: Sequence[tuple[Array, Array]]) -> Windows:
    """Put samples that were cut together; there must be at least one."""
    if not samples:
        raise ConfigurationError("the recording has no samples; legal is at least one")
    return Windows(np.stack([past for past, _ in samples]), np.stack([future for _, future in samples]))


def join(parts: Sequence[Windows]) -> Windows:
    """Return all samples of all parts."""
    return Windows(np.concatenate([part.past for part in parts]), np.concatenate([part.future for part in parts]))


def add_noise(windows: Windows, snr_db: tuple[float, float], rng: np.random.Generator, *, future: bool) -> Windows:
    """Return a copy with circular complex Gaussian noise on the past and, if `future` is true, also on the future.

    snr_db: the SNR of each sample is uniform in this interval. It is relative to the mean power of that sample's past,
    which `cut` makes 1; past and future have noise of the same variance.
    """
    low, high = snr_db
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ConfigurationError(f"the SNR is {low} to {high} dB; legal are two finite numbers, the smaller one first")
    deviation = np.sqrt(10 ** (-rng.uniform(low, high, len(windows)) / 10) / 2).astype(np.float32)

    def noisy(values: Array) -> Array:
        noise = rng.standard_normal((*values.shape, 2), np.float32).view(np.complex64)[..., 0]
        return np.asarray(values + deviation[:, None, None, None] * noise)

    past = noisy(windows.past)
    return Windows(past, noisy(windows.future) if future else windows.future)
