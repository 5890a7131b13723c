# SPDX-License-Identifier: GPL-2.0-only
"""Power over delay, direction and Doppler shift: Fourier transforms of CSI, with Hann windows against side lobes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FINER = 8  # points of a transform for each input value: interpolation, not more resolution


def decibels(power: Array) -> Array:
    """10 log10 of power relative to its largest value; nothing below -200 dB."""
    return np.asarray(10 * np.log10(np.maximum(power / max(float(power.max()), 1e-300), 1e-20)))


def delay_spectrum(csi: Array, tones_hz: Array) -> tuple[Array, Array]:
    """Return delays in s (-0.05 to 0.95 / tone spacing; they repeat), and mean power over time and antennas.

    csi: complex64 [time, rx, tx, subcarrier]; tones_hz: float64 [subcarrier], equally spaced, at least 2.
    """
    number = FINER * len(tones_hz)
    response = np.fft.ifft(csi * np.hanning(len(tones_hz) + 2)[1:-1], number, axis=-1)
    power = np.mean(np.abs(response) ** 2, axis=(0, 1, 2))
    before = number // 20
    delays_s = (np.arange(number) - before) / (number * float(tones_hz[1] - tones_hz[0]))
    return delays_s, np.roll(power, before)


def doppler_spectrum(csi: Array, period_s: float) -> tuple[Array, Array]:
    """Return Doppler shifts in Hz, -1 / (2 period) to 1 / (2 period), and mean power over antennas and tones at each.

    csi: complex64 [time, rx, tx, subcarrier], at least 2 snapshots.
    """
    number = FINER * len(csi)
    window = np.hanning(len(csi) + 2)[1:-1, None, None, None]
    power = np.mean(np.abs(np.fft.fft(csi * window, number, axis=0)) ** 2, axis=(1, 2, 3))
    return np.fft.fftshift(np.fft.fftfreq(number, period_s)), np.fft.fftshift(power)


def angle_spectrum(csi: Array, info: Mapping[str, Any]) -> tuple[Array, Array, Array, str] | None:
    """Transform over both axes of the larger planar array; return None if no array has elements at several places.

    csi: complex64 [time, rx, tx, subcarrier]; info: of the link, with its arrays. Returns horizontal and vertical
    direction cosines [h], [v] relative to the array's plane, power [v, h] (mean over everything else), "rx" or "tx".
    Cosines cover one period of the array, 1 / spacing in wavelengths, both ends included.
    """
    ends = [end for end in ("rx", "tx") if end in info and info[end]["horizontal_spacing"] is not None]
    ends = [end for end in ends if info[end]["rows"] * info[end]["columns"] > 1]
    if not ends:
        return None
    end = max(ends, key=lambda e: info[e]["rows"] * info[e]["columns"])
    array = info[end]
    rows, columns = array["rows"], array["columns"]
    elements = np.moveaxis(csi, 1 if end == "rx" else 2, -1)
    places = elements.reshape(-1, array["polarisations"], rows, columns)
    size = [1 if n == 1 else FINER * n for n in (rows, columns)]
    places = places * np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1])
    # a wave from direction u adds exp(+j 2 pi spacing u column): the transform's peak is at u itself
    transform = np.fft.fft2(places, size)
    power = np.fft.fftshift(np.mean(np.abs(transform) ** 2, axis=(0, 1)))
    power = np.pad(power, [(0, int(n > 1)) for n in size], mode="wrap")
    horizontal = _cosines(size[1], array["horizontal_spacing"])
    vertical = _cosines(size[0], array["vertical_spacing"])
    return horizontal, vertical, power, end


def _cosines(number: int, spacing: float) -> Array:
    """Return the cosines at the points of a transform over `number` places, from -1/2 to 1/2 of 1 / spacing."""
    return (np.arange(number + 1) / number - 0.5) / spacing if number > 1 else np.zeros(1)
