# SPDX-License-Identifier: GPL-2.0-only
"""Sensing beside sending: patterns by hand, the radar's optimum proved by duality, the trade, policies, refusals."""

import functools
import math

import numpy as np
import pytest
import torch

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned import sensing as learned
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.settings import PolicySettings
from edgelam.errors import ConfigurationError

DIRECTIONS = torch.arange(-90.0, 90.1, 3.0)


def draw(samples=6, users=2, antennas=6, *, probing=2, seed=1, power=10.0):
    downlink = bf.Downlink(bf.iid(samples, users, antennas, seed=seed), power)
    return bf.SensingDownlink(downlink, wanted(antennas), probing)


@functools.cache
def wanted(antennas):
    return bf.BeamPattern(bf.steering(antennas, DIRECTIONS), bf.beams_at((-40.0, 40.0), 20.0, DIRECTIONS))


def test_patterns_rates_and_errors_by_hand():
    problem = draw(samples=2)
    precoder = problem.downlink.at_full_power(bf.iid(2, 6, 4, seed=3))
    pattern, rates, error = problem.pattern.of(precoder), problem.rates(precoder), problem.pattern.error(precoder)
    w, h = precoder.numpy(), problem.downlink.channel.numpy()
    for sample in range(2):
        for number, degrees in enumerate(DIRECTIONS.tolist()):
            a = np.exp(1j * np.pi * np.sin(np.radians(degrees)) * np.arange(6))
            wanted = sum(abs(np.vdot(a, w[sample, :, stream])) ** 2 for stream in range(4))
            assert float(pattern[sample, number]) == pytest.approx(wanted, rel=1e-4, abs=1e-4)
        for user in range(2):
            power = np.abs(h[sample, user] @ w[sample]) ** 2
            assert float(rates[sample, user]) == pytest.approx(
                math.log2(1 + power[user] / (power.sum() - power[user] + 1)), rel=1e-4
            )
        p, d = pattern[sample].double().numpy(), problem.pattern.desired.numpy()
        factors = np.linspace(0, 40 * p.max(), 40001)[1:, None]
        slow = (((factors * d - p) ** 2).mean(1) / ((factors * d) ** 2).mean(1)).min()
        assert float(error[sample]) == pytest.approx(slow, abs=1e-3)
    torch.testing.assert_close(problem.pattern.error(3 * precoder), error)


def test_radar_covariance_is_the_optimum():
    pattern = wanted(6)
    covariance, gap = pattern.optimum
    assert float(torch.linalg.eigvalsh(covariance).amin()) > -1e-12
    assert float(covariance.diagonal().real.sum()) == pytest.approx(1)
    assert -1e-9 < gap < 1e-5
    least = float(pattern.error(pattern.beams))
    generator = torch.Generator().manual_seed(1)
    for _ in range(30):
        root = torch.randn(6, 6, dtype=torch.complex128, generator=generator) / 6
        for size in (1.0, 0.3, 0.1):
            assert float(pattern.error(torch.cat((pattern.beams, size * root), dim=-1))) >= least - 1e-5
    flat = bf.BeamPattern(pattern.responses, torch.ones(len(DIRECTIONS)))  # equal power from each element
    torch.testing.assert_close(flat.optimum[0], torch.eye(6, dtype=torch.complex128) / 6, atol=1e-3, rtol=0)
    assert float(flat.error(flat.beams)) < 1e-5


def test_the_trade_between_rate_and_pattern():
    problem = draw(probing=4)
    best = problem.downlink.weighted_sum_rate(bf.wmmse(problem.downlink))
    least = float(problem.pattern.error(problem.pattern.beams))
    rates, errors = [], []
    for share in (0.0, 0.3, 0.7, 1.0):
        precoder = bf.sense_and_send(problem, share, starts=2, steps=150)
        assert bf.transmit_power(precoder).tolist() == pytest.approx([10.0] * 6, rel=1e-4)
        rates.append(float(problem.rates(precoder).sum(-1).mean()))
        errors.append(float(problem.pattern.error(precoder).mean()))
    assert rates[0] == pytest.approx(float(best.mean()), rel=1e-3)
    assert errors[-1] == pytest.approx(least, abs=0.01)
    assert errors[-1] > least - 1e-4
    assert rates == sorted(rates, reverse=True)
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[-1]


def test_policies_keep_to_the_power_and_training_helps():
    policy = learned.SensingPolicy(training.make("unrolled-wmmse", PolicySettings(iterations=2)), rounds=4)
    problem = draw(samples=12)
    reference = problem.downlink.weighted_sum_rate(bf.wmmse(problem.downlink))

    def value(share):
        with torch.no_grad():
            precoder = policy(problem, share)
        assert bf.transmit_power(precoder).tolist() == pytest.approx([10.0] * 12, rel=1e-4)
        return float(problem.value(precoder, share, reference).mean())

    before = [value(share) for share in (0.2, 0.5, 0.8)]
    learned.train(policy, lambda step: draw(samples=16, seed=100 + step), steps=25, seed=1, learning_rate=1e-2)
    after = [value(share) for share in (0.2, 0.5, 0.8)]
    assert sum(after) > sum(before)
    best = bf.sense_and_send(problem, 0.5, steps=200)
    assert after[1] < float(problem.value(best, 0.5, reference).mean()) + 1e-3
    with torch.no_grad():
        order = torch.tensor([1, 0])
        there = draw(samples=12)
        swapped = bf.SensingDownlink(bf.Downlink(there.downlink.channel[:, order], 10.0), there.pattern, there.probing)
        wanted = policy(problem, 0.5)
        assert float((policy(swapped, 0.5)[..., order] - wanted[..., :2]).norm() / wanted.norm()) < 1e-5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probing": 5}, "legal are 0 to 4"),
        ({"desired": torch.zeros(61)}, "all 0"),
        ({"desired": torch.ones(60)}, r"legal is real \[61\]"),
        ({"responses": bf.steering(5, DIRECTIONS)}, r"legal is \[direction, 6\]"),
        ({"responses": bf.steering(6, DIRECTIONS) * math.nan}, "nan"),
    ],
)
def test_refused(change, words):
    problem = draw()
    given = {"responses": problem.pattern.responses, "desired": problem.pattern.desired, "probing": 2} | change
    with pytest.raises(ConfigurationError, match=words):
        bf.SensingDownlink(problem.downlink, bf.BeamPattern(given["responses"], given["desired"]), given["probing"])


def test_refused_shares():
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ConfigurationError, match="legal are 0 to 1"):
            bf.sense_and_send(draw(), share)
