# SPDX-License-Identifier: GPL-2.0-only
"""LLM4CP's way of measuring beside ours: cases by hand."""

import numpy as np
import pytest
from edgelam.experiments.channel_prediction.measures import draw, measure

from edgelam.air import prediction

WINDOW = prediction.WindowSettings(history=8, horizon=2, tones=500)
NOISE = 10**-1.8


def test_what_noise_does_to_each_measure():
    """Channels that stay, one 100 times as strong as the other, are held: all that is left is noise."""
    samples = np.ones((2, 10, 4, 500)) * np.array([1.0, 10.0])[:, None, None, None] + 0j
    found = measure(samples, prediction.make("hold-last", WINDOW), 18.0, WINDOW, seed=1)
    assert found["ours"] == pytest.approx(NOISE, rel=0.05)  # of the last snapshot
    same = NOISE * (1 + 100) / 2  # the noise of both samples
    weak, strong = 2 * same / (1 + same), 2 * same / (100 + same)
    assert found["apart"] == pytest.approx((weak + strong) / 2, rel=0.05)
    assert found["together"] == pytest.approx(4 * same / (101 + 2 * same), rel=0.05)
    assert found["apart"] > 10 * found["together"]


def test_without_noise_and_with_equal_powers_all_are_the_same():
    rng = np.random.default_rng(0)
    samples = np.exp(2j * np.pi * (rng.random((3, 1, 2, 1)) + rng.random((3, 1, 1, 1)) * np.arange(10)[:, None, None]))
    samples = np.broadcast_to(samples, (3, 10, 2, 500))
    found = measure(samples, prediction.make("hold-last", WINDOW), 200.0, WINDOW, seed=1)
    by_hand = np.mean(np.abs(samples[:, 7:8] - samples[:, 8:]) ** 2)
    assert list(found.values()) == pytest.approx([by_hand] * 3, rel=1e-4)


def test_samples_are_as_received():
    window = prediction.WindowSettings()
    samples = draw(30.0, 3, window, seed=2)
    assert samples.shape == (3, 20, 1, 48)
    powers = np.mean(np.abs(samples) ** 2, axis=(1, 2, 3))
    assert (powers < 1e-6).all()  # of the path loss
    assert powers.std() > 0.1 * powers.mean()
    np.testing.assert_array_equal(draw(30.0, 3, window, seed=2), samples)
