# SPDX-License-Identifier: GPL-2.0-only
"""Max-min precoders: rates are the same for all, and no other pair of prices and powers gives more."""

import pytest
import torch

from edgelam.air import beamforming
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.learned.policy import structured


def draw(samples, users, antennas, *, weights=None, power=10.0, seed=1):
    channel = beamforming.iid(samples, users, antennas, seed=seed, dtype=torch.complex128)
    return Downlink(channel, power, weights=weights)


@pytest.mark.parametrize(("users", "antennas"), [(1, 3), (2, 2), (4, 4), (5, 3), (6, 8)])
def test_all_users_have_the_same(users, antennas):
    weights = torch.arange(1.0, users + 1, dtype=torch.float64)
    problem = draw(20, users, antennas, weights=weights)
    precoder = beamforming.max_min(problem)
    assert beamforming.transmit_power(precoder) == pytest.approx([10.0] * 20)
    rates = weights * problem.rates(precoder)
    torch.testing.assert_close(rates, rates[:, :1].expand_as(rates), rtol=1e-6, atol=0)
    others = [beamforming.rzf, beamforming.mrt, beamforming.wmmse]
    for other in others:
        assert (rates.amin(-1) >= (weights * problem.rates(other(problem))).amin(-1) - 1e-9).all()


def test_two_users_against_all_prices_and_powers():
    """Every efficient precoder has the form of `structured`: a grid over both numbers comes as close as its step."""
    problem = draw(6, 2, 2)
    line = torch.linspace(-6, 6, 161, dtype=torch.float64)
    dual, power = (x.flatten() for x in torch.meshgrid(line, line, indexing="ij"))
    zero = torch.zeros_like(dual)
    duals, powers = (torch.stack([x, zero], dim=-1) for x in (dual, power))
    best = problem.rates(beamforming.max_min(problem)).amin(-1)
    for sample in range(6):
        one = Downlink(problem.scaled[sample].expand(len(duals), -1, -1))
        grid = one.rates(one.at_full_power(structured(one, duals, powers))).amin(-1).max()
        assert float(grid) <= float(best[sample]) + 1e-9
        assert float(grid) == pytest.approx(float(best[sample]), rel=0.03)


def test_who_has_no_weight_gets_nothing():
    problem = draw(4, 3, 3, weights=torch.tensor([1.0, 0.0, 1.0]))
    rates = problem.rates(beamforming.max_min(problem))
    assert (rates[:, 1] < 1e-9).all()
    pair = Downlink(problem.channel[:, [0, 2]], 10.0)
    torch.testing.assert_close(rates[:, 0], pair.rates(beamforming.max_min(pair))[:, 0], rtol=1e-6, atol=1e-9)
