# SPDX-License-Identifier: GPL-2.0-only
"""Noise in a low-rank product: slopes 2 and 4, energies in closed form, and no quadratic part with A frozen."""

import numpy as np
import pytest
import torch

from edgelam.errors import ConfigurationError
from edgelam.learning.privacy.cascade import product_noise

T, I, O, R, RATE = 5, 6, 4, 2, 0.1  # noqa: E741
SIGMAS = (0.1, 1.0, 10.0, 100.0)


@pytest.fixture
def parts():
    torch.manual_seed(1)
    return [torch.randn(*shape, dtype=torch.float64) for shape in ((R, I), (O, R), (T, I), (T, O))]


def measured(parts, sigma, *, freeze_a, draws=300):
    generator = torch.Generator().manual_seed(2)
    return product_noise(*parts, sigma=sigma, rate=RATE, freeze_a=freeze_a, draws=draws, generator=generator)


def test_slopes(parts):
    both = [measured(parts, sigma, freeze_a=False) for sigma in SIGMAS]
    frozen = [measured(parts, sigma, freeze_a=True) for sigma in SIGMAS]
    for values, slope in (
        ([m.linear for m in both], 2), ([m.quadratic for m in both], 4), ([m.linear for m in frozen], 2),
    ):  # fmt: skip
        assert np.polyfit(np.log(SIGMAS), np.log(values), 1)[0] == pytest.approx(slope, abs=0.01)
    assert max(m.quadratic / m.linear for m in frozen) < 1e-20
    assert both[0].quadratic < both[0].linear
    assert both[-1].quadratic > both[-1].linear  # they cross in between


def test_frozen_in_closed_form(parts):
    """E ||r N^T X A^T A||^2 = r^2 sigma^2 O ||X A^T A||^2, as N's columns are independent."""
    a, _, x, _ = parts
    expected = (RATE * 3.0) ** 2 * O * float((x @ a.T @ a).square().sum())
    assert measured(parts, 3.0, freeze_a=True, draws=4000).linear == pytest.approx(expected, rel=0.05)


def test_quadratic_in_closed_form(parts):
    """r^2 N^T M N^T X with M = X A^T B^T, summed over all pairs of noise: by Isserlis' theorem, element by element."""
    a, b, x, _ = parts
    m = (x @ a.T @ b.T).numpy()  # [T, O]
    x = x.numpy()
    # element [o, i] = sum_{t o' u} N[t,o] M[t,o'] N[u,o'] X[u,i]: a quadratic form, whose E(q^2) has three pairings
    energy = 0.0
    for o in range(O):
        for i in range(I):
            form = np.zeros((T, O, T, O))
            for t in range(T):
                for p in range(O):
                    form[t, o, :, p] += m[t, p] * x[:, i]
            matrix = form.reshape(T * O, T * O)
            matrix = (matrix + matrix.T) / 2
            energy += np.trace(matrix) ** 2 + 2 * np.sum(matrix**2)
    expected = RATE**4 * 2.0**4 * energy
    assert measured(parts, 2.0, freeze_a=False, draws=6000).quadratic == pytest.approx(expected, rel=0.08)


def test_refused(parts):
    with pytest.raises(ConfigurationError, match="sigma is 0"):
        measured(parts, 0, freeze_a=True)
    with pytest.raises(ConfigurationError, match="draws is 0"):
        measured(parts, 1.0, freeze_a=True, draws=0)
