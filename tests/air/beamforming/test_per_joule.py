# SPDX-License-Identifier: GPL-2.0-only
"""Bits per joule: one user in closed form, limits of cheap and dear circuits, policies, refusals."""

import math

import pytest
import torch

from edgelam.air import beamforming as bf
from edgelam.errors import ConfigurationError


def draw(samples=10, users=3, antennas=4, power=100.0, seed=1):
    return bf.Downlink(bf.iid(samples, users, antennas, seed=seed, dtype=torch.complex128), power)


def test_one_user_in_closed_form():
    """The best p solves dR/dp (p / a + c) = R / a: found by bisection, with |h|^2 p as SNR."""
    problem, consumption = draw(users=1), bf.Consumption(circuits=2.0, amplifier=0.5)
    precoder = bf.most_efficient(problem, consumption, bf.mrt)
    used = bf.transmit_power(precoder)
    for gain, power in zip(problem.channel.abs().square().sum((-2, -1)).tolist(), used.tolist(), strict=True):
        low, high = 1e-6, 100.0
        for _ in range(80):
            middle = (low + high) / 2
            slope = gain / (1 + gain * middle) * (middle / 0.5 + 2.0) - math.log1p(gain * middle) / 0.5
            low, high = (middle, high) if slope > 0 else (low, middle)
        best = math.log2(1 + gain * low) / (low / 0.5 + 2.0)
        got = math.log2(1 + gain * power) / (power / 0.5 + 2.0)
        assert got == pytest.approx(best, rel=2e-3)
        assert got < best * (1 + 1e-9)


def test_dear_circuits_want_all_power_and_cheap_ones_little():
    problem = draw(power=10.0)
    dear = bf.most_efficient(problem, bf.Consumption(1e6), bf.rzf)
    torch.testing.assert_close(dear, bf.rzf(problem))
    used = [float(bf.transmit_power(bf.most_efficient(problem, bf.Consumption(c), bf.rzf)).mean())
            for c in (0.01, 1.0, 100.0)]  # fmt: skip
    assert used[0] < 0.3 * used[1] < 0.3 * used[2]
    assert used[2] <= 10.0 * (1 + 1e-6)


def test_above_every_single_power_and_every_direction_of_rules():
    problem, consumption = draw(samples=4, power=100.0), bf.Consumption.of_station(4, 3, fixed_w=2.0)
    assert consumption.circuits == pytest.approx(2.0 + 4.0 + 0.3)
    best = bf.energy_efficiency(problem, bf.most_efficient(problem, consumption), consumption)
    for power in (0.3, 3.0, 30.0):
        for method in (bf.mrt, bf.rzf, bf.wmmse):
            other = bf.Downlink(problem.channel, power)
            assert (bf.energy_efficiency(problem, method(other), consumption) < best * (1 + 5e-3)).all()
    exact = bf.energy_efficiency(problem, bf.most_efficient(problem, consumption, bf.optimum), consumption)
    torch.testing.assert_close(best, exact, rtol=2e-3, atol=0)


def test_refused():
    for circuits in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigurationError, match="circuits"):
            bf.Consumption(circuits)
    for amplifier in (0.0, 1.1, math.nan):
        with pytest.raises(ConfigurationError, match="amplifier"):
            bf.Consumption(1.0, amplifier)
    with pytest.raises(ConfigurationError, match="numbers from 1 on"):
        bf.Consumption.of_station(0, 3)
