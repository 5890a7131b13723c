# SPDX-License-Identifier: GPL-2.0-only
"""The noise of an analog uplink as privacy: what a receiver's thermal noise supplies, and what must be added.

A device sends d real values, clipped to the norm C, uncoded in d / 2 complex symbols with the power P. With the largest
gain that there may be (fading only helps a receiver, so the strongest channel is the worst round), the receiver has

    values * a + noise,    a = sqrt(d / 2 * P g) / C,    noise of variance N / 2 in each real part,    rho = P g / N

so the noise multiplier, for a sensitivity of C, is z = (d rho)^(-1/2). Thermal noise of the lowest stated noise figure
counts, and nothing else: neither interference nor fading is there for certain. Decoded digital symbols have no noise
at all: NR as it is supplies none.

Sums over the air are in edgelam/learning/over_the_air.py.
"""

from __future__ import annotations

import math

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


def supplied_to_sum(clip: float, amplitude: float, thermal_w: float) -> float:
    """Return the noise multiplier z that thermal noise supplies to a sum over the air, for a sensitivity of 2 clip.

    amplitude: the largest factor by which a symbol of a device arrives, over all ports of the receiver together;
    thermal_w: mean |n|^2 of a resource element at a port, half of it in each value.
    """
    if not (0.0 < clip < math.inf and 0.0 < amplitude < math.inf and 0.0 <= thermal_w < math.inf):
        raise ConfigurationError(f"clip {clip}, amplitude {amplitude}, thermal noise {thermal_w} W; legal are above 0")
    return math.sqrt(thermal_w / 2) / (2 * clip * amplitude)
