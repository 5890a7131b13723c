# SPDX-License-Identifier: GPL-2.0-only
"""Weights from deadlines: by hand, rounds that are shorter with them, refusals."""

import math

import pytest
import torch

from edgelam.air import beamforming as bf
from edgelam.errors import ConfigurationError

BANDWIDTH = 20e6


def test_by_hand():
    rates = bf.needed_rates(torch.tensor([8e6, 0.0, 2e6]), 0.5, BANDWIDTH)
    assert rates.tolist() == pytest.approx([0.8, 0.0, 0.2])
    later = bf.needed_rates(torch.tensor([[8e6, 2e6], [4e6, 4e6]]), torch.tensor([0.5, 0.1]), BANDWIDTH)
    assert later.flatten().tolist() == pytest.approx([0.8, 0.2, 2.0, 2.0])
    time_s = bf.round_time_s(torch.tensor([8e6, 0.0, 2e6]), torch.tensor([1.0, 0.0, 0.1]), BANDWIDTH)
    assert float(time_s) == pytest.approx(1.0)
    assert math.isinf(bf.round_time_s(torch.tensor([1.0]), torch.tensor([0.0]), BANDWIDTH))


def test_rounds_are_shorter_when_what_is_left_counts():
    """Precoders are decided again every 25 ms of fading channels: the last byte comes earlier."""
    bits = torch.tensor([6e6, 2e6, 1e6, 1e6]).double()
    times = {}
    for name in ("sum", "deadline", "balanced"):
        ends = []
        for run in range(3):
            left, step = bits.clone(), 0
            while (left > 0).any():
                channel = bf.iid(1, 4, 4, seed=1000 * run + step)[0]
                needs = bf.needed_rates(left, 1.0, BANDWIDTH)
                if name == "balanced":
                    inverse = torch.where(needs > 0, 1 / needs.clamp_min(1e-12), 0.0)
                    problem = bf.Downlink(channel, 10.0, weights=inverse)
                    precoder = bf.max_min(problem)
                else:
                    weights = needs if name == "deadline" else None
                    problem = bf.Downlink(channel, 10.0, weights=weights)
                    precoder = bf.wmmse(problem, starts=1, iterations=30)
                left = (left - problem.rates(precoder).double() * BANDWIDTH * 0.025).clamp_min(0)
                step += 1
            ends.append(step)
        times[name] = sum(ends) / len(ends)
    assert times["deadline"] < 0.9 * times["sum"]
    assert times["balanced"] < 0.9 * times["sum"]


def test_in_one_channel_balanced_rates_end_together():
    bits = torch.tensor([6e6, 2e6, 1e6]).double()
    channel = bf.iid(5, 3, 4, seed=2, dtype=torch.complex128)
    problem = bf.Downlink(channel, 10.0, weights=1 / bf.needed_rates(bits, 1.0, BANDWIDTH))
    rates = problem.rates(bf.max_min(problem))
    ends = bits / rates
    assert float((ends.amax(-1) / ends.amin(-1)).max()) < 1 + 1e-5
    shortest = bf.round_time_s(bits, rates, BANDWIDTH)
    for method in (bf.rzf, bf.wmmse):
        assert (bf.round_time_s(bits, problem.rates(method(problem)), BANDWIDTH) >= shortest * (1 - 1e-6)).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([-1.0, 1.0], 1.0, 1e6), "negative"),
        (([math.nan, 1.0], 1.0, 1e6), "not finite"),
        (([0.0, 0.0], 1.0, 1e6), "nobody needs anything"),
        (([1.0, 1.0], 0.0, 1e6), "left_s is 0"),
        (([1.0, 1.0], 1.0, 0.0), "bandwidth_hz is 0"),
    ],
)
def test_refused(arguments, words):
    bits, left_s, bandwidth_hz = arguments
    with pytest.raises(ConfigurationError, match=words):
        bf.needed_rates(torch.tensor(bits), left_s, bandwidth_hz)
