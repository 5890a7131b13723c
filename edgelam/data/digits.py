# SPDX-License-Identifier: GPL-2.0-only
"""scikit-learn's bundled handwritten digits as continuous tokens: an 8x8 image is 16 patches of 2x2 pixels."""

import numpy as np
from numpy.typing import NDArray

PATCH = 2


def patches(images: NDArray[np.float32], side: int = PATCH) -> NDArray[np.float32]:
    """[num_images, height, width] -> [num_images, num_patches, side*side], patches in row-major order."""
    count, height, width = images.shape
    grid = images.reshape(count, height // side, side, width // side, side)
    return np.ascontiguousarray(grid.transpose(0, 1, 3, 2, 4).reshape(count, -1, side * side))


def images() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return 1,797 images [num_images, 8, 8] of ten digits, pixel values scaled from 0..16 to -1..1, and the digits."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    return (bundle.images / 8.0 - 1.0).astype(np.float32), bundle.target.astype(np.int64)
