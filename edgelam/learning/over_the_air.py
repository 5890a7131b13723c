# SPDX-License-Identifier: GPL-2.0-only
"""Sums over the air: devices send at once, uncoded, and the receiver gets the mean (truncated channel inversion).

    device k     x[k] -> complex symbols, two values in each -> sqrt(eta) / a[k, b] * symbol, or nothing
    channel      y[m] = sum over k of h[k, m, b] * sent[k] + noise,  b: the block (`cosim.AnalogTransfer`)
    receiver     w[b]^H y / (sqrt(eta) * number of senders in b)  =  mean + error

w[b], of norm 1, is the receiver's beam, and a[k, b] = w[b]^H g[k, :, b] a device's channel behind it, where g is what
was known when the grant was decided. In blocks with |a|^2 below `truncation` times the device's mean, it is silent
(Zhu, Wang and Huang, IEEE Trans. Wireless Commun. 2020): its values are missing in the mean there. eta is the largest
for which every device has the power, in each slot.

Interference is added as white Gaussian noise. The grant tells devices w and eta, which takes no further room.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgelam.cosim import AnalogTransfer
from edgelam.errors import ConfigurationError

Complex = NDArray[np.complex128]
SUBCARRIERS = 12  # of a resource block
BEAM_SWEEPS = 20


def elements_for(num_values: int) -> int:
    """Return the resource elements that so many real values take, whatever the number of devices."""
    if num_values < 1:
        raise ConfigurationError(f"{num_values} values over the air; legal is at least 1")
    return (num_values + 1) // 2


def common_beams(channel: Complex) -> Complex:
    """Return a receiver's beam for all devices in each block, [M, B] of norm 1, from their channels [K, M, B].

    It is the one of least norm with |w^H h| >= 1 for each device: the weakest then has as much of the receiver as it
    can. w^H h of one device after the other becomes what makes the norm least, or the number of magnitude 1 nearest to
    that, BEAM_SWEEPS times; no step makes the norm larger. It finds a local optimum; with more devices than ports it is
    a rough one.
    """
    h = np.moveaxis(channel, -1, 0)  # [B, K, M]
    norms = np.linalg.norm(h, axis=2, keepdims=True)
    largest = norms.max(axis=1, keepdims=True)
    h = h / np.where(largest > 0, largest, 1.0)
    gram = h.conj() @ h.swapaxes(1, 2)  # [B, K, K]: entry (k, j) is h[k]^H h[j]
    trace = np.maximum(np.trace(gram, axis1=1, axis2=2).real, 1e-30)
    inverse = np.linalg.inv(gram + 1e-9 * trace[:, None, None] * np.eye(gram.shape[1]))
    vectors = np.linalg.eigh(inverse)[1]
    behind = _at_least_one(vectors[:, :, :1])  # [B, K, 1]: where the channels are strongest
    for _ in range(BEAM_SWEEPS):
        for k in range(gram.shape[1]):
            own = inverse[:, k, None, k, None]
            others = inverse[:, k, None, :] @ behind - own * behind[:, k, None]
            behind[:, k, None] = _at_least_one(-others / own)
    beams = (h.swapaxes(1, 2) @ (inverse @ behind))[:, :, 0]  # [B, M]
    length = np.linalg.norm(beams, axis=1, keepdims=True)
    return np.asarray(np.moveaxis(beams / np.where(length > 0, length, 1.0), 0, -1))


def _at_least_one(values: Complex) -> Complex:
    """Return values of magnitude 1 in place of smaller ones, with their phases."""
    size = np.abs(values)
    return np.asarray(np.where(size > 0, values / np.where(size > 0, np.minimum(size, 1.0), 1.0), 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """What a transfer allows before anything is sent: beams, who sends where, and with how much."""

    transfer: AnalogTransfer
    beams: Complex
    """w [M, B], of norm 1."""
    behind: Complex
    """a [K, B], known channels behind the beams."""
    sends: NDArray[np.bool_]
    """[K, B]"""
    block: NDArray[np.int64]
    """[N] the block of each resource element, in the order in which they are used."""

    @property
    def senders(self) -> NDArray[np.int64]:
        """[B] how many send in each block."""
        return np.asarray(self.sends.sum(axis=0))

    def needed(self, energies: NDArray[np.float64]) -> float:
        """Return the largest eta for symbols with these mean |symbol|^2, [K, N], in order of the resource elements.

        A device's power is the mean over the resource elements of a slot times the subcarriers of its blocks. If
        nothing is sent, any eta would do, and it is 1.
        """
        gain = np.where(self.sends, np.abs(self.behind) ** 2, np.inf)  # [K, B]
        need = energies / gain[:, self.block[: energies.shape[1]]]
        slots = np.unique(self.transfer.start_s, return_inverse=True)[1]  # [B]
        each = np.zeros((need.shape[0], int(slots.max()) + 1))
        np.add.at(each.T, slots[self.block[: need.shape[1]]], need.T)
        blocks = np.bincount(slots)
        elements = np.bincount(slots, weights=self.transfer.elements)
        power = each * SUBCARRIERS * blocks / elements  # of eta 1
        most = float(power.max())
        return self.transfer.power_w / most if most > 0 else 1.0

    def amplitude(self, eta: float) -> float:
        """Return the largest factor by which a symbol of any device arrives, over all ports together."""
        norms = np.linalg.norm(self.transfer.known, axis=1)  # [K, B]
        size = np.where(self.sends, np.abs(self.behind), np.inf)
        return math.sqrt(eta) * float((norms / size).max())


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """The mean that a receiver gets, and what is wrong with it."""

    mean: NDArray[np.float64]
    """[d]; 0 where nobody sent."""
    noise_error: float
    """Expected sum of squares of what noise and interference add to the mean."""
    error: float
    """Sum of squares of the difference to the mean of all devices' values: noise, interference, silence, and channels
    that have changed since the grant."""


def look(transfer: AnalogTransfer, truncation: float) -> Sky:
    """Decide on beams and on who sends; truncation: of a device's mean |a|^2, at least 0 and below 1.

    Raises ConfigurationError for an illegal value, and if nobody may send anything.
    """
    if not 0.0 <= truncation < 1.0:
        raise ConfigurationError(f"truncation {truncation}; legal are 0 to below 1")
    known = transfer.known.astype(np.complex128)
    beams = common_beams(known)
    behind = np.einsum("mb,kmb->kb", beams.conj(), known)
    power = np.abs(behind) ** 2
    sends = (power > 0) & (power >= truncation * power.mean(axis=1, keepdims=True))
    if not sends.any():
        raise ConfigurationError(
            f"none of {', '.join(transfer.senders)} had a grant of {transfer.receiver}: nothing is sent over the air"
        )
    return Sky(transfer, beams, behind, sends, np.repeat(np.arange(transfer.elements.size), transfer.elements))


def symbols_of(values: NDArray[np.float64]) -> Complex:
    """Return [K, d] as complex symbols [K, N], two values in each; an odd last one has a zero beside it."""
    even = np.pad(values, ((0, 0), (0, values.shape[1] % 2)))
    return np.asarray(even[:, ::2] + 1j * even[:, 1::2])


def receive(values: NDArray[np.float64], sky: Sky, eta: float, rng: np.random.Generator) -> Received:
    """Send values, [K, d], and return the mean as the receiver gets it."""
    symbols = symbols_of(values)
    count = symbols.shape[1]
    if count > sky.block.size:
        raise ConfigurationError(f"{values.shape[1]} values need {count} resource elements; there are {sky.block.size}")
    block = sky.block[:count]
    behind = np.where(sky.sends, sky.behind, 1.0)
    now = np.einsum("mb,kmb->kb", sky.beams.conj(), sky.transfer.gains)
    factor = np.where(sky.sends, now / behind, 0.0)  # 1, if the channel is what was known
    senders = np.maximum(sky.senders, 1)[block]
    total = (factor[:, block] * symbols).sum(axis=0)
    variance = ((sky.transfer.noise_w + sky.transfer.interference_w) / eta)[block]  # of a complex symbol
    total = total + np.sqrt(variance / 2) * (rng.normal(size=count) + 1j * rng.normal(size=count))
    mean = np.where(sky.senders[block] > 0, total / senders, 0.0)
    found = np.stack([mean.real, mean.imag], axis=1).reshape(-1)[: values.shape[1]]
    heard = (sky.senders[block] > 0) / senders**2
    return Received(found, float((variance * heard).sum()), float(np.square(found - values.mean(axis=0)).sum()))
