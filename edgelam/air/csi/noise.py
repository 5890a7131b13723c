# SPDX-License-Identifier: GPL-2.0-only
"""Pilot noise: what the estimation from noisy pilots adds to the channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgelam.random_streams import from_numbers


def add_pilot_noise(csi: np.ndarray[Any, Any], snr_db: float, seed: int, sample: int) -> np.ndarray[Any, Any]:
    """Return a copy with circular complex Gaussian noise of variance 10^(-snr_db/10) times the mean of |csi|^2.

    csi: complex64 [...], one sample. The noise depends only on `seed` and `sample` (both non-negative).
    """
    rng = from_numbers(seed, sample, bits=np.random.SFC64)
    flat = np.ascontiguousarray(csi).reshape(-1)
    noise = rng.standard_normal(2 * flat.size, dtype=np.float32)
    power = np.vdot(flat, flat).real / flat.size  # BLAS: no temporary array
    noise *= np.float32(np.sqrt(power * 10 ** (-snr_db / 10) / 2))
    noisy = noise.view(np.complex64)
    noisy += flat
    return noisy.reshape(csi.shape)
