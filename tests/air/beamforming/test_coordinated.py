# SPDX-License-Identifier: GPL-2.0-only
"""Several cells that coordinate: rates by hand, WMMSE, and policies over cells."""

import math

import pytest
import torch

from edgelam.air import beamforming as bf
from edgelam.air.beamforming import CoordinatedDownlink, coordinated_iid, coordinated_wmmse
from edgelam.air.beamforming.coordinated import matched
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.ascent import ascend_sum_rate
from edgelam.air.beamforming.learned.cells import CoordinatedPolicy
from edgelam.air.beamforming.learned.settings import PolicySettings
from edgelam.errors import ConfigurationError


def stirred():
    policy = training.make("no-backbone", PolicySettings(width=8), seed=2)
    generator = torch.Generator().manual_seed(3)
    for parameter in policy.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return CoordinatedPolicy(policy).eval()


def assert_same(one, other):
    assert float((one - other).norm() / other.norm()) < 1e-5


def test_rates_by_hand():
    problem = coordinated_iid(2, 2, 2, 3, seed=1, power=4.0, dtype=torch.complex128)
    precoder = matched(problem)
    torch.testing.assert_close(problem.cell_powers(precoder), torch.full((2, 2), 4.0, dtype=torch.float64))
    rates = problem.rates(precoder)
    for sample in range(2):
        for user in range(4):
            power = [
                abs(complex(problem.channel[sample, user, stream // 2] @ precoder[sample, :, stream])) ** 2
                for stream in range(4)
            ]
            sinr = power[user] / (sum(power) - power[user] + 1)
            assert float(rates[sample, user]) == pytest.approx(math.log2(1 + sinr))


def test_one_cell_is_the_downlink():
    problem = coordinated_iid(40, 1, 3, 4, seed=2, power=10.0)
    single = bf.Downlink(problem.channel[:, :, 0], 10.0)
    precoder = coordinated_wmmse(problem, iterations=300)
    torch.testing.assert_close(problem.rates(precoder), single.rates(precoder), rtol=1e-4, atol=1e-5)
    best = single.weighted_sum_rate(bf.wmmse(single)).mean()
    assert 0.97 < float(single.weighted_sum_rate(precoder).mean() / best) < 1.0001


def test_wmmse_climbs_within_the_power_of_each_cell():
    weights = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    drawn = coordinated_iid(10, 3, 2, 4, seed=3, power=10.0)
    problem = CoordinatedDownlink(drawn.channel, drawn.serving, 10.0, weights=weights)
    before = problem.weighted_sum_rate(matched(problem))
    for iterations in (1, 3, 10, 40):
        precoder = coordinated_wmmse(problem, iterations=iterations)
        assert float(problem.cell_powers(precoder).max()) < 10.0 * (1 + 1e-5)
        rate = problem.weighted_sum_rate(precoder)
        assert (rate >= before - 1e-4).all()
        before = rate
    alone = torch.stack(
        [bf.wmmse(bf.Downlink(drawn.channel[:, 2 * c : 2 * c + 2, c], 10.0, weights=weights[:2])) for c in range(3)]
    )
    selfish = torch.cat(tuple(alone), dim=-1)
    assert float(before.mean()) > 1.03 * float(problem.weighted_sum_rate(selfish).mean())


def test_policies_over_cells_keep_to_powers_and_symmetries():
    policy = stirred()
    problem = coordinated_iid(4, 3, 2, 5, seed=4, power=10.0)
    with torch.no_grad():
        precoder = policy(problem)
        assert problem.cell_powers(precoder).numpy() == pytest.approx(10.0, rel=1e-4)
        order = torch.randperm(6)
        there = policy(CoordinatedDownlink(problem.channel[:, order], problem.serving[order], 10.0))
        assert_same(there, precoder[..., order])
        turn = torch.polar(torch.ones(6), 6 * torch.rand(6))
        turned = CoordinatedDownlink(problem.channel * turn[:, None, None], problem.serving, 10.0)
        assert_same(policy(turned), precoder * turn.conj())
        names = torch.tensor([2, 0, 1])  # cells change their numbers
        renamed = CoordinatedDownlink(problem.channel[:, :, names], torch.argsort(names)[problem.serving], 10.0)
        assert_same(policy(renamed), precoder)


def test_training_comes_closer_to_wmmse():
    judged = coordinated_iid(100, 2, 2, 2, seed=5, power=10.0)
    policy = CoordinatedPolicy(training.make("no-backbone", PolicySettings(width=16), seed=1))
    with torch.no_grad():
        before = float(judged.weighted_sum_rate(policy(judged)).mean())
    ascend_sum_rate(policy, lambda step: coordinated_iid(32, 2, 2, 2, seed=1000 + step, power=10.0), steps=50,
                seed=1, learning_rate=5e-3)  # fmt: skip
    with torch.no_grad():
        after = float(judged.weighted_sum_rate(policy(judged)).mean())
    best = float(judged.weighted_sum_rate(coordinated_wmmse(judged)).mean())
    assert before + 0.3 * (best - before) < after < 1.01 * best


def test_refused():
    channel = bf.iid(2, 4, 3, seed=1).view(2, 2, 2, 3)
    for serving, words in (([0, 2], "cells 0 to 1"), ([0], r"whole numbers \[2\]"), ([0.0, 1.0], "whole numbers")):
        with pytest.raises(ConfigurationError, match=words):
            CoordinatedDownlink(channel, torch.tensor(serving))
    silent = channel.clone()
    silent[0, 1, 1] = 0
    with pytest.raises(ConfigurationError, match="no channel to the cell"):
        CoordinatedDownlink(silent, torch.tensor([0, 1]))
    with pytest.raises(ConfigurationError, match="nan"):
        CoordinatedDownlink(channel * float("nan"), torch.tensor([0, 1]))
    serving = torch.tensor([0, 1])
    bad = {"not all of them 0": [0.0, 0.0], "finite": [1.0, math.nan], "from 0 on": [1.0, -1.0], "is real": [1.0]}
    for words, weights in bad.items():
        with pytest.raises(ConfigurationError, match=words):
            CoordinatedDownlink(channel, serving, weights=torch.tensor(weights))
    with pytest.raises(ConfigurationError, match="legal is -60 to 60 dB"):
        CoordinatedDownlink(channel, serving, power=1e9)
    with pytest.raises(ConfigurationError, match="numbers from 1 on"):
        coordinated_iid(1, 0, 2, 3, seed=1)
