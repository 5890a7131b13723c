# SPDX-License-Identifier: GPL-2.0-only
"""Tasks of images: scikit-learn's digits, and 5,000 images of MNIST (fetched).

For a backbone that reads images they are images; for all others, 4 x 4 patches of each image are continuous tokens.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgelam.data import digits, fetched
from edgelam.data.task import Examples, Kind, Task, split_train_test

NAMES = ("digits", "mnist-5000")
_ROW = 4  # patches
_CLASSES = tuple(str(digit) for digit in range(10))


def load(name: str, *, as_images: bool, test_fraction: float, seed: int) -> Task:
    """Return a task of NAMES. MNIST's split is fixed, 4,000 and 1,000 images; test_fraction and seed are of "digits".

    as_images: inputs uint8 [num_images, height, width], black is 0; otherwise tokens float32 [num_images, 16, pixels of
    a patch] in -1..1. Raises ConfigurationError if a task that must be fetched was not.
    """
    if name == "digits":
        pictures, labels = digits.images()
        pixels = np.round((pictures + 1.0) * 127.5).astype(np.uint8) if as_images else digits.patches(pictures)
        train, test = split_train_test(labels, test_fraction, seed)
        every = Examples(pixels, labels)
        parts = every.subset(train), every.subset(test)
    else:
        parts = _mnist("train", 4000, as_images), _mnist("test", 1000, as_images)
    kind: Kind = "images" if as_images else "tokens"
    return Task(name, kind, *parts, _CLASSES)


def _mnist(part: fetched.Part, count: int, as_images: bool) -> Examples:
    images, labels = fetched.mnist(part, count)
    return Examples(images if as_images else _tokens(images), labels)


def _tokens(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return digits.patches((images / 127.5 - 1.0).astype(np.float32), images.shape[1] // _ROW)
