# SPDX-License-Identifier: GPL-2.0-only
"""Max-min precoders: rates are the same for all, and no other pair of prices and powers gives more."""

from dataclasses import replace

import pytest
import torch

from edgelam.air import beamforming
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.policy import structured
from edgelam.air.beamforming.learned.settings import PolicySettings, TrainingSettings
from edgelam.errors import ConfigurationError


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


def test_least_power_is_that_of_max_min_at_its_rates():
    problem = draw(8, 4, 5, weights=torch.tensor([1.0, 2.0, 1.0, 0.5], dtype=torch.float64))
    wanted = problem.rates(beamforming.max_min(problem))
    precoder = beamforming.least_power(problem, 0.999999 * wanted)
    assert beamforming.transmit_power(precoder) == pytest.approx([10.0] * 8, rel=1e-4)
    torch.testing.assert_close(problem.rates(precoder), wanted, rtol=1e-5, atol=0)
    half = beamforming.least_power(problem, 0.5 * wanted)
    torch.testing.assert_close(problem.rates(half), 0.5 * wanted, rtol=1e-6, atol=0)
    assert (beamforming.transmit_power(half) < 6.0).all()


def test_impossible_minimum_rates_are_refused():
    problem = draw(3, 3, 3)
    best = float(problem.rates(beamforming.max_min(problem)).amin(-1).min())
    with pytest.raises(ConfigurationError, match=r"need more power than there is in sample \d; .* up to 0\."):
        beamforming.least_power(problem, 2 * best)
    assert beamforming.least_power(problem, 0.99 * best).shape == (3, 3, 3)
    for wrong in (0.0, float("nan"), -1.0, torch.ones(4)):
        with pytest.raises(ConfigurationError, match="legal"):
            beamforming.least_power(problem, wrong)


def test_policies_learn_to_share():
    """Trained on the least rate, a policy gives more to the least user; with minimum rates, fewer are below."""
    problem = draw(100, 3, 3, seed=9)
    flat = Downlink(problem.channel.to(torch.complex64), 10.0)
    few = TrainingSettings(steps=40, batch_size=24, users=(3, 3), extra_antennas=(0, 0), snr_db=(10.0, 10.0),
                           weight_range=2.0, learning_rate=5e-3)  # fmt: skip
    rates = {}
    for name, change in (("sum", {}), ("least", {"objective": "max-min"}), ("minimum", {"minimum_rate": 1.0})):
        policy = training.make("no-backbone", PolicySettings(width=16), seed=1)
        training.train(policy, replace(few, **change), seed=1)
        with torch.no_grad():
            rates[name] = flat.rates(policy(flat))
    most = float(problem.rates(beamforming.max_min(problem)).amin(-1).mean())
    least = {name: float(each.amin(-1).mean()) for name, each in rates.items()}
    assert least["sum"] < least["minimum"]
    assert least["sum"] + 0.3 < least["least"] < most
    assert least["least"] > 0.85 * most
    below = {name: float((each < 1.0).double().mean()) for name, each in rates.items()}
    assert below["minimum"] < below["sum"]
    assert float(rates["sum"].sum(-1).mean()) > float(rates["minimum"].sum(-1).mean())
