# SPDX-License-Identifier: GPL-2.0-only
"""The problem of one round: what each device would need of the band, what it is worth, and what it costs.

    seconds of device k with the share b of its cell's band
        = fixed + down / (b * d) + up / (b * u(b))

`down` and `up` are bits over the efficiency that was measured (estimates.py); d and u are bits of a symbol by the
device's newest reports of its channel. In downlink, power goes with the band, so d does not depend on the share. In
uplink, a device spreads its power over its resource blocks: with a smaller share, each has a better SINR.

    most over s of  V sum_k w_k s_k - sum_r Q_r sum_k s_k c_kr / budget_r     (drift plus penalty, arXiv 2407.02924)
    with  sum of b_k s_k <= 1 in each cell,  seconds_k(b_k) <= deadline where s_k = 1

The band is counted in the units that the cell's cap keeps to in each slot: groups of resource blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgelam.errors import ConfigurationError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
COST, ENERGY = 0, 1
"""The last axis of `RoundProblem.uses`."""
PEAK = 7.4063
"""Bits of a symbol and layer at most: CQI 15 of TS 38.214 table 5.2.2.1-3."""


def per_symbol(snr: Floats) -> Floats:
    """Return bits of a symbol of one layer at a signal-to-noise ratio (linear): the shape of link adaptation.

    Only its ratio between two shares or reports counts; the scale is measured. (0.75 log2(1 + SNR) up to the highest
    modulation and code rate, the form of TR 36.942 annex A.2.)
    """
    return np.minimum(PEAK, 0.75 * np.log2(1.0 + snr))


@dataclass(frozen=True)
class RoundProblem:
    """Arrays are over devices, [K], float64 unless said otherwise."""

    round: int
    devices: tuple[str, ...]
    cells: Ints
    """In whose band each device is."""
    units: int
    """Of each cell's band."""
    deadline_s: float
    weights: Floats
    prices: Floats
    samples: Ints
    """That each device holds."""
    measured: NDArray[np.bool_]
    """Whether each device's own efficiency is known; of others, the mean of the known ones counts."""
    fixed_s: Floats
    """Computing, and what short messages take both ways."""
    up_fixed_s: Floats
    """The part of `fixed_s` that is sending."""
    up_s: Floats
    """Bits over measured efficiency, for 1 bit of a symbol on the whole band."""
    down_s: Floats
    up_layers: Floats
    up_snr: Floats
    """Linear, of the device's power on the whole band."""
    down_bits: Floats
    """Of a symbol, all layers."""
    compute_j: Floats
    up_w: Floats
    """Joules for each second of sending."""

    def __post_init__(self) -> None:
        """Refuse what is not a problem. Raises ConfigurationError."""
        if self.units < 1 or not 0 < self.deadline_s < math.inf:
            raise ConfigurationError(
                f"a round has {self.units} units of band and a deadline of {self.deadline_s} s; both must be above 0"
            )
        for name, array in vars(self).items():
            if isinstance(array, np.ndarray) and array.shape != (len(self.devices),):
                raise ConfigurationError(f"{name} has shape {array.shape}; legal is ({len(self.devices)},)")

    def up_seconds(self, share: Any) -> Floats:
        """Return the seconds of sending with these shares of the band, [K]; inf: never. share: above 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = share * self.up_layers * per_symbol(self.up_snr / share)
            return self.up_fixed_s + np.where(self.up_s > 0, self.up_s / rate, 0.0)

    def seconds(self, share: Any) -> Floats:
        """Return the seconds of a round, waiting for others not counted, with these shares of the band, [K]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            down = np.where(self.down_s > 0, self.down_s / (share * self.down_bits), 0.0)
        return self.fixed_s - self.up_fixed_s + self.up_seconds(share) + down

    def uses(self, share: Any) -> Floats:
        """Return cost and energy (J) of taking part with these shares of the band, [K, 2]."""
        return np.stack([self.prices, self.compute_j + self.up_w * self.up_seconds(share)], axis=-1)

    def in_cells(self) -> list[Ints]:
        """Return the devices of each cell that has some, as indices."""
        return [np.flatnonzero(self.cells == cell) for cell in np.unique(self.cells)]


@dataclass(frozen=True)
class Choice:
    """Who takes part, and with how much band."""

    units: Ints
    """Of the band, [K]; 0: does not take part."""
    operations: int
    """Floating-point operations and comparisons of the decision."""
    capped: bool = True
    """False: the band is left to the scheduler."""

    @property
    def admitted(self) -> Ints:
        """Indices of the devices that take part."""
        return np.flatnonzero(self.units)
