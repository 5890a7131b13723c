# SPDX-License-Identifier: GPL-2.0-only
"""scikit-learn's bundled handwritten digits as continuous tokens: an 8x8 image is 16 patches of 2x2 pixels."""

import numpy as np
from numpy.typing import NDArray

from edgelam.data.task import Examples, Task, split_train_test

PATCH = 2


def patches(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """[num_images, height, width] -> [num_images, num_patches, PATCH*PATCH], patches in row-major order."""
    count, height, width = images.shape
    grid = images.reshape(count, height // PATCH, PATCH, width // PATCH, PATCH)
    return np.ascontiguousarray(grid.transpose(0, 1, 3, 2, 4).reshape(count, -1, PATCH * PATCH))


def images() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return 1,797 images [num_images, 8, 8] of ten digits, pixel values scaled from 0..16 to -1..1, and the digits."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    return (bundle.images / 8.0 - 1.0).astype(np.float32), bundle.target.astype(np.int64)


def load(*, test_fraction: float = 0.2, seed: int = 0) -> Task:
    """Return the images as tokens: 16 patches each."""
    pictures, labels = images()
    tokens = patches(pictures)
    train, test = split_train_test(labels, test_fraction, seed)
    every = Examples(tokens, labels)
    return Task("digits", "tokens", every.subset(train), every.subset(test), tuple(str(d) for d in range(10)))
