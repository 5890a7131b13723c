# SPDX-License-Identifier: GPL-2.0-only
"""The noise of an analog uplink as privacy: what a receiver's thermal noise supplies, and what must be added.

A device sends d real values, clipped to the norm C, uncoded in d / 2 complex symbols with the power P. With the largest
gain that there may be (fading only helps a receiver, so the strongest channel is the worst round), the receiver has

    values * a + noise,    a = sqrt(d / 2 * P g) / C,    noise of variance N / 2 in each real part,    rho = P g / N

so the noise multiplier, for a sensitivity of C, is z = (d rho)^(-1/2). Thermal noise of the lowest stated noise figure
counts, and nothing else: neither interference nor fading is there for certain. Decoded digital symbols have no noise
at all: NR as it is supplies none.

Over the air, K devices send the same resource elements at once with truncated inversion of their channels; the server
receives their sum with one noise, so the mean has the error N / (2 eta K^2) in each value.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgelam.errors import ConfigurationError

BOLTZMANN_DBM_HZ = -173.98
"""Thermal noise at 290 K, dBm in 1 Hz."""


def snr(power_dbm: float, gain_db: float, noise_figure_db: float, bandwidth_hz: float) -> float:
    """Return the linear signal-to-noise ratio of a symbol over that bandwidth; gain_db: the largest there may be."""
    noise_dbm = BOLTZMANN_DBM_HZ + 10 * math.log10(bandwidth_hz) + noise_figure_db
    return float(10 ** ((power_dbm + gain_db - noise_dbm) / 10))


def supplied(values: int, rho: float) -> float:
    """Return the noise multiplier z that the channel supplies for `values` real numbers at the SNR `rho` (linear)."""
    if values < 1 or not 0.0 < rho < math.inf:
        raise ConfigurationError(f"{values} values at an SNR of {rho}; legal are at least 1, and above 0 and finite")
    return float((values * rho) ** -0.5)


def added(target: float, values: int, rho: float) -> float:
    """Return the noise multiplier that a device adds, so that with the channel's it is `target`; variances add up."""
    if not 0.0 <= target < math.inf:
        raise ConfigurationError(f"a noise multiplier of {target}; legal is 0 or more")
    return math.sqrt(max(0.0, target**2 - supplied(values, rho) ** 2))


def over_the_air(
    updates: NDArray[np.float64], channel: NDArray[np.complex128], *, power: float, noise: float,
    threshold: float, rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:  # fmt: skip
    """Return the mean of updates as the server receives it, who took part, and the error's variance in each value.

    updates: [K, d], d even; channel: [K], flat; power: of a device, mean over symbols; noise: variance N of a complex
    symbol. Devices with |h|^2 below `threshold` are silent; the others send sqrt(eta) / h times their values, two in a
    symbol, with the largest eta that every one of them has the power for. Raises ConfigurationError if all are silent.
    """
    taking = np.abs(channel) ** 2 >= threshold
    if not taking.any():
        largest = float(np.max(np.abs(channel) ** 2))
        raise ConfigurationError(f"no |h|^2 reaches the threshold {threshold:g}; the largest is {largest:g}")
    symbols = updates[taking, ::2] + 1j * updates[taking, 1::2]
    mean_square = np.mean(np.abs(symbols) ** 2, axis=1)
    limits = power * np.abs(channel[taking]) ** 2 / np.maximum(mean_square, np.finfo(float).tiny)
    eta = float(limits.min())
    count = int(taking.sum())
    sent = np.sqrt(eta) / channel[taking, None] * symbols
    received = (channel[taking, None] * sent).sum(axis=0)
    received = received + math.sqrt(noise / 2) * (
        rng.normal(size=received.shape) + 1j * rng.normal(size=received.shape)
    )
    mean = received / (math.sqrt(eta) * count)
    found = np.empty(updates.shape[1])
    found[::2], found[1::2] = mean.real, mean.imag
    return found, taking, noise / (2 * eta * count**2)
