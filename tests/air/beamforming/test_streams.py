# SPDX-License-Identifier: GPL-2.0-only
"""Several streams for each user: rates by slow code, capacity of one user, one antenna, policies, refusals."""

import itertools
import math

import numpy as np
import pytest
import torch

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned import training
from edgelam.air.beamforming.learned.settings import PolicySettings
from edgelam.air.beamforming.learned.streams import StreamPolicy
from edgelam.errors import ConfigurationError

DOUBLE = torch.complex128


def draw(users=3, received=2, antennas=8, streams=2, *, samples=5, power=10.0, weights=None, seed=1):
    channel = bf.stream_iid(samples, users, received, antennas, seed=seed, dtype=DOUBLE)
    return bf.StreamDownlink(channel, streams, power, weights=weights)


def test_rates_by_slow_code():
    problem = draw(weights=torch.tensor([1.0, 2.0, 0.5]))
    precoder = bf.eigenbeams(problem)
    rates = problem.rates(precoder).numpy()
    h, v = problem.channel.numpy(), precoder.numpy()
    for sample in range(5):
        for user in range(3):
            around = np.eye(2, dtype=complex)
            for other in range(3):
                if other != user:
                    around += h[sample, user] @ v[sample, other] @ v[sample, other].conj().T @ h[sample, user].conj().T
            mine = h[sample, user] @ v[sample, user]
            total = around + mine @ mine.conj().T
            wanted = math.log2((np.linalg.det(total) / np.linalg.det(around)).real)
            assert rates[sample, user] == pytest.approx(wanted, rel=1e-9)
    assert float((precoder.abs() ** 2).sum((-3, -2, -1)).max()) == pytest.approx(10.0)


def test_one_user_gets_its_capacity():
    problem = draw(users=1, received=4, antennas=6, streams=4)
    capacity = []
    for h in problem.channel[:, 0]:
        gains = torch.linalg.svdvals(h).square()
        powers = bf.water_filling(10.0 * gains, torch.ones(1, dtype=torch.float64))
        capacity.append(float(torch.log2(1 + 10.0 * gains * powers).sum()))
    filled = problem.weighted_sum_rate(bf.block_diagonal(problem))
    assert filled.tolist() == pytest.approx(capacity, rel=1e-6)
    assert problem.weighted_sum_rate(bf.stream_wmmse(problem)).tolist() == pytest.approx(capacity, rel=1e-4)


def test_one_antenna_each_is_the_downlink():
    problem = draw(users=4, received=1, antennas=4, streams=1, samples=20)
    single = bf.Downlink(problem.channel[:, :, 0], 10.0)
    precoder = bf.stream_wmmse(problem, starts=8)
    found = problem.weighted_sum_rate(precoder)
    torch.testing.assert_close(found, single.weighted_sum_rate(precoder[..., 0].mT))
    assert (found <= single.weighted_sum_rate(bf.wmmse(single, starts=16)) * 1.005).all()
    assert float(found.mean()) > 0.99 * float(single.weighted_sum_rate(bf.wmmse(single)).mean())


def test_wmmse_climbs_and_is_above_the_rules():
    problem = draw(samples=12)
    nulled = bf.block_diagonal(problem)
    heard = problem.channel[:, 0] @ nulled[:, 1]
    assert float(heard.abs().max()) < 1e-10
    best = problem.weighted_sum_rate(bf.stream_wmmse(problem))
    assert (best >= problem.weighted_sum_rate(nulled)).all()
    assert (best >= problem.weighted_sum_rate(bf.eigenbeams(problem))).all()
    rates = [problem.weighted_sum_rate(bf.stream_wmmse(problem, starts=1, iterations=n)) for n in (1, 3, 10, 30)]
    assert all((b >= a - 1e-9).all() for a, b in itertools.pairwise(rates))
    turn = torch.linalg.qr(torch.randn(8, 8, dtype=DOUBLE))[0]
    turned = bf.StreamDownlink(problem.channel @ turn, 2, 10.0)
    there = turned.weighted_sum_rate(bf.stream_wmmse(turned, starts=2))
    torch.testing.assert_close(there, problem.weighted_sum_rate(bf.stream_wmmse(problem, starts=2)), rtol=1e-6, atol=0)


def test_policies_take_each_stream_for_a_user():
    policy = StreamPolicy(training.make("no-backbone", PolicySettings(width=8), seed=1).eval())
    problem = bf.StreamDownlink(bf.stream_iid(6, 3, 2, 8, seed=3), 2, 10.0)
    with torch.no_grad():
        precoder = policy(problem)
        assert (precoder.abs() ** 2).sum((-3, -2, -1)).tolist() == pytest.approx([10.0] * 6, rel=1e-4)
        order = torch.tensor([2, 0, 1])
        there = policy(bf.StreamDownlink(problem.channel[:, order], 2, 10.0))
        assert float((there - precoder[:, order]).norm() / precoder.norm()) < 1e-5
        rate = problem.weighted_sum_rate(precoder).mean()
        assert rate > problem.weighted_sum_rate(bf.eigenbeams(problem)).mean()
        assert rate < problem.weighted_sum_rate(bf.stream_wmmse(problem)).mean() * 1.001


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"streams": 3}, "legal are 1 to 2"),
        ({"antennas": 5, "streams": 2}, "legal are 1 to 1"),
        ({"antennas": 2, "streams": 1}, "legal are 1 to 2 users"),
        ({"streams": 0}, "streams is 0"),
        ({"power": math.nan}, "power is nan"),
        ({"weights": torch.tensor([1.0, -1.0, 1.0])}, "weights"),
    ],
)
def test_refused(arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        draw(**arguments)


def test_refused_channels_and_methods():
    silent = bf.stream_iid(1, 3, 2, 8, seed=1)
    silent[0, 1] = 0
    with pytest.raises(ConfigurationError, match="user 1"):
        bf.StreamDownlink(silent, 2)
    with pytest.raises(ConfigurationError, match="nan"):
        bf.StreamDownlink(silent * math.nan, 2)
    with pytest.raises(ConfigurationError, match="leaves 0 of 4"):
        bf.block_diagonal(draw(users=3, received=2, antennas=4, streams=1))
    with pytest.raises(ConfigurationError, match="starts 0"):
        bf.stream_wmmse(draw(), starts=0)
    with pytest.raises(ConfigurationError, match=r"\[..., 3, 8, stream\]"):
        draw().rates(torch.zeros(5, 8, 3))
