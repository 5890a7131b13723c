# SPDX-License-Identifier: GPL-2.0-only
"""Epsilon against published values, the exact formula of the Gaussian mechanism, and noise that is found again."""

import math

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from edgelam.errors import ConfigurationError
from edgelam.learning.privacy import accounting


def exact(noise: float, delta: float) -> float:
    """Balle and Wang, ICML 2018, theorem 8, with sensitivity 1."""
    left = 1 / (2 * noise)

    def excess(epsilon: float) -> float:
        return norm.cdf(left - epsilon * noise) - math.exp(epsilon) * norm.cdf(-left - epsilon * noise) - delta

    return brentq(excess, 0, 500)


@pytest.mark.parametrize(("noise", "releases", "rdp", "pld"), [(10, 100, 4.7285, 4.3772), (1, 1, 4.7285, 4.3772)])
def test_published_values(noise, releases, rdp, pld):
    assert accounting.epsilon(noise, releases, 1e-5) == pytest.approx(rdp, abs=1e-4)
    assert accounting.epsilon(noise, releases, 1e-5, "pld") == pytest.approx(pld, abs=1e-4)


@pytest.mark.parametrize(("noise", "releases", "delta"), [(0.8, 1, 1e-6), (5.0, 30, 1e-5), (20.0, 50, 1e-3)])
def test_the_loss_distribution_is_exact_and_renyi_above_it(noise, releases, delta):
    true = exact(noise / math.sqrt(releases), delta)
    assert accounting.epsilon(noise, releases, delta, "pld") == pytest.approx(true, rel=1e-3)
    assert accounting.epsilon(noise, releases, delta) > true


def test_nothing_released_costs_nothing_and_no_noise_everything():
    assert accounting.epsilon(1.0, 0, 1e-5) == 0.0
    assert accounting.epsilon(0.0, 1, 1e-5) == math.inf
    assert math.isnan(accounting.epsilon(0.01, 1, 1e-5, "pld"))


@pytest.mark.parametrize("target", [0.3, 3.0, 40.0])
def test_the_noise_for_a_target_meets_it_and_hardly_less_would(target):
    noise = accounting.noise_for(target, 40, 1e-5)
    assert accounting.epsilon(noise, 40, 1e-5) <= target
    assert accounting.epsilon(0.9999 * noise, 40, 1e-5) > target
    assert accounting.most_releases(noise, target, 1e-5) == 40
    assert accounting.most_releases(0.99 * noise, target, 1e-5) == 39


def test_a_target_beyond_all_noise_is_refused_with_what_is_legal():
    with pytest.raises(ConfigurationError, match=r"epsilon is 1e\+09.*legal are"):
        accounting.noise_for(1e9, 1, 1e-5)
