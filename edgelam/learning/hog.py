# SPDX-License-Identifier: GPL-2.0-only
"""Histograms of oriented gradients (N. Dalal and B. Triggs, CVPR 2005), which described pictures before networks did.

Shape suffixes: B images, H height, W width, R rows and C columns of cells, O orientations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS, CELLS = 9, 4
"""Bins of the half circle; cells in a row and in a column of an image."""
_LEAST = 1e-6


def describe(images_BHW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return features [B, 9 x 4 x 9] float32: in each cell, the gradients' magnitudes by orientation (divided between
    the two nearest bins), and each block of 2 x 2 cells normalised to length 1. Blocks overlap.

    Height and width are at least CELLS; what is left over beyond whole cells is left out.
    """
    pixels = np.asarray(images_BHW, dtype=np.float64) / 255.0
    down, right = np.gradient(pixels, axis=(1, 2))
    place = np.mod(np.arctan2(down, right), np.pi) / np.pi * ORIENTATIONS - 0.5
    lower = np.floor(place)
    share = place - lower
    magnitude = np.hypot(down, right)
    bins = np.zeros((*pixels.shape, ORIENTATIONS))
    for index, weight in ((lower, 1.0 - share), (lower + 1.0, share)):
        number = np.mod(index, ORIENTATIONS).astype(int)[..., None]
        np.put_along_axis(bins, number, np.take_along_axis(bins, number, 3) + (magnitude * weight)[..., None], 3)
    count, height, width, _ = bins.shape
    rows, columns = height // CELLS, width // CELLS
    whole = bins[:, : rows * CELLS, : columns * CELLS]
    cells_BRCO = whole.reshape(count, CELLS, rows, CELLS, columns, ORIENTATIONS).sum(axis=(2, 4))
    blocks = [
        cells_BRCO[:, row : row + 2, column : column + 2].reshape(count, -1)
        for row in range(CELLS - 1)
        for column in range(CELLS - 1)
    ]
    lengths = (np.sqrt(np.square(block).sum(axis=1, keepdims=True) + _LEAST) for block in blocks)
    return np.concatenate([b / length for b, length in zip(blocks, lengths, strict=True)], axis=1).astype(np.float32)
