# SPDX-License-Identifier: GPL-2.0-only
"""Histograms of oriented gradients against slow obvious code, and by hand."""

import math

import numpy as np

from edgelam.learning.hog import describe


def slowly(image):
    height, width = image.shape
    pixels = image / 255.0
    cells = np.zeros((4, 4, 9))
    for y in range(height // 4 * 4):
        for x in range(width // 4 * 4):
            up, down, left, right = max(y - 1, 0), min(y + 1, height - 1), max(x - 1, 0), min(x + 1, width - 1)
            dy, dx = (
                (pixels[down, x] - pixels[up, x]) / (down - up),
                (pixels[y, right] - pixels[y, left]) / (right - left),
            )
            place = (math.atan2(dy, dx) % math.pi) / math.pi * 9 - 0.5
            low = math.floor(place)
            cell = cells[y // (height // 4), x // (width // 4)]
            cell[low % 9] += math.hypot(dy, dx) * (1 - (place - low))
            cell[(low + 1) % 9] += math.hypot(dy, dx) * (place - low)
    blocks = [cells[r : r + 2, c : c + 2].ravel() for r in range(3) for c in range(3)]
    return np.concatenate([block / math.sqrt(block @ block + 1e-6) for block in blocks])


def test_it_is_slow_obvious_code():
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 18)).astype(np.uint8)
    np.testing.assert_allclose(describe(images), [slowly(image) for image in images], atol=1e-6)


def test_an_upright_edge_is_in_the_two_bins_beside_zero_degrees():
    image = np.zeros((1, 8, 8), dtype=np.uint8)
    image[:, :, 4:] = 255
    first = describe(image)[0].reshape(9, 4, 9)[0]  # the upper left block, of four cells
    assert not first[0].any(), "left of the edge nothing changes"
    np.testing.assert_allclose(first[1, [0, 8]], 0.5, atol=1e-4)  # of two cells, each with two equal bins
    assert not first[1, 1:8].any()


def test_brightness_does_not_matter():
    image = np.random.default_rng(2).integers(0, 100, (1, 28, 28)).astype(np.uint8)
    np.testing.assert_allclose(describe(image), describe(image * 2), atol=1e-4)
