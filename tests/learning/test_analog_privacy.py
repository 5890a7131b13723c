# SPDX-License-Identifier: GPL-2.0-only
"""What an analog channel supplies of the noise, and sums over the air, against figures and drawn noise."""

import math

import numpy as np
import pytest

from edgelam.errors import ConfigurationError
from edgelam.learning.privacy import analog
from edgelam.random_streams import from_numbers


def test_real_powers_supply_nearly_nothing():
    assert analog.supplied(10_000, 1e-4) == pytest.approx(1.0)  # -40 dB
    assert analog.supplied(100_000, 1e-5) == pytest.approx(1.0)  # -50 dB
    assert analog.supplied(100_000, 10.0) == pytest.approx(0.001)
    assert analog.added(1.0, 100_000, 10.0) == pytest.approx(1.0, abs=1e-6)
    assert analog.added(0.6, 1, 1 / 0.36) == pytest.approx(0.0, abs=1e-7)
    assert analog.added(0.1, 1, 1.0) == 0.0
    both = math.hypot(analog.supplied(50, 0.1), analog.added(0.7, 50, 0.1))
    assert both == pytest.approx(0.7)
    # 23 dBm over 100 dB in 100 MHz with 5 dB: -174 + 80 + 5 = -89 dBm of noise, 12 dB
    assert 10 * math.log10(analog.snr(23.0, -100.0, 5.0, 1e8)) == pytest.approx(11.98, abs=0.01)


def test_the_multiplier_is_what_a_receiver_sees():
    """d values of norm C sent with the mean power 1: noise over the whole vector's scale."""
    values, rho = 1000, 0.02
    rng = from_numbers(1)
    x = rng.normal(size=values)
    x /= np.linalg.norm(x)  # C = 1
    scale = math.sqrt(values / 2)  # mean |symbol|^2 is 1
    noise = rng.normal(size=(400, values)) * math.sqrt(1 / rho / 2)
    seen = (scale * x + noise) / scale
    assert (seen - x).std() == pytest.approx(analog.supplied(values, rho), rel=0.01)


def test_what_thermal_noise_supplies_to_a_sum():
    # Two updates of norm 0.5 that differ by 2 clips, 0.3 times as large on arrival, in noise of 0.02 in each value.
    assert analog.supplied_to_sum(0.5, 0.3, 2 * 0.02**2) == pytest.approx(0.02 / (2 * 0.5 * 0.3))
    for wrong in ((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, -1.0), (1.0, math.inf, 1.0)):
        with pytest.raises(ConfigurationError, match="legal are above 0"):
            analog.supplied_to_sum(*wrong)


def test_what_is_not_legal_is_refused():
    for values, rho in ((0, 1.0), (1, 0.0), (1, math.inf)):
        with pytest.raises(ConfigurationError, match="legal are"):
            analog.supplied(values, rho)
    with pytest.raises(ConfigurationError, match="0 or more"):
        analog.added(-1.0, 1, 1.0)
