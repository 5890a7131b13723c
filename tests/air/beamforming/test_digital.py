# SPDX-License-Identifier: GPL-2.0-only
"""Digital precoding: published means, the exact optimum, symmetries, slow obvious code, input that is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.air import beamforming
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.duality import uplink_rate
from edgelam.errors import ConfigurationError

DOUBLE = torch.complex128
METHODS = {
    "mrt": beamforming.mrt,
    "zf": beamforming.zero_forcing,
    "zf filled": lambda problem: beamforming.zero_forcing(problem, filled=True),
    "rzf": beamforming.rzf,
    "wmmse": beamforming.wmmse,
    "optimum": beamforming.optimum,
}


def draw(samples, users, antennas, snr_db, *, seed=1, dtype=DOUBLE, weights=None):
    channel = beamforming.iid(samples, users, antennas, seed=seed, dtype=dtype)
    return Downlink(channel, power=10 ** (snr_db / 10), weights=weights)


# Means over 60 to 200 draws of CN(0, 1) channels that another program has measured: MRT, ZF, RZF, WMMSE from one start,
# the best of 4 to 10 starts. The tolerance has the standard errors of both programs, that one's as of 60 draws.
TABLE = {
    (4, 4, 0): (2.53, 1.21, 2.86, 3.402, 3.404),
    (4, 4, 10): (4.88, 6.30, 8.64, 9.977, 10.013),
    (4, 4, 20): (5.23, 15.65, 16.96, 18.85, 19.14),
    (8, 8, 10): (8.37, 8.18, 16.04, 18.60, 18.69),
    (16, 16, 10): (15.8, 8.5, 30.38, 34.98, 35.12),
    (4, 8, 10): (7.33, 14.36, 14.65, 14.707, 14.714),
}


@pytest.mark.parametrize(("users", "antennas", "snr_db"), TABLE)
def test_means_are_those_published(users, antennas, snr_db):
    problem = draw(60 if users < 16 else 20, users, antennas, snr_db, dtype=torch.complex64)
    precoders = (
        beamforming.mrt(problem),
        beamforming.zero_forcing(problem),
        beamforming.rzf(problem),
        beamforming.wmmse(problem, starts=1),
        beamforming.wmmse(problem, starts=4),
    )
    for precoder, published in zip(precoders, TABLE[users, antennas, snr_db], strict=True):
        rate = problem.weighted_sum_rate(precoder)
        error = rate.std().item() / math.sqrt(len(rate))
        assert rate.mean().item() == pytest.approx(
            published, abs=3 * math.hypot(error, rate.std().item() / math.sqrt(60))
        )


@pytest.mark.parametrize(
    ("users", "antennas", "snr_db", "published"),
    [(2, 2, 10, 5.169), (2, 2, 20, 10.483), (3, 3, 10, 7.713), (3, 3, 20, 14.878), (3, 2, 10, 6.249)],
)
def test_wmmse_from_ten_starts_is_the_optimum_and_never_above_it(users, antennas, snr_db, published):
    problem = draw(60, users, antennas, snr_db)
    best = problem.weighted_sum_rate(beamforming.optimum(problem))
    assert best.mean().item() == pytest.approx(published, abs=3 * math.sqrt(2) * best.std().item() / math.sqrt(60))
    ratio = problem.weighted_sum_rate(beamforming.wmmse(problem, starts=10)) / best
    assert ratio.mean() > 0.999
    assert ratio.min() > 0.99
    assert ratio.max() < 1 + 1e-4


@pytest.mark.parametrize("snr_db", [0, 30, 50])
@pytest.mark.parametrize("users", [2, 3])
def test_the_optimum_with_weights_is_above_all_other_methods(users, snr_db):
    generator = torch.Generator().manual_seed(users)
    weights = torch.rand(20, users, generator=generator, dtype=torch.float64) + 0.1
    problem = draw(20, users, 3, snr_db, weights=weights)
    best = problem.weighted_sum_rate(beamforming.optimum(problem))
    for name, method in METHODS.items():
        assert (problem.weighted_sum_rate(method(problem)) <= best * (1 + 1e-4)).all(), name
    assert (problem.weighted_sum_rate(beamforming.wmmse(problem)) / best).mean() > 0.999


def test_the_optimum_is_the_largest_value_of_the_uplink():
    """The precoder reaches the best rate that a fine grid over the uplink's powers finds, and no less."""
    problem = draw(6, 2, 2, 15)
    gram = problem.scaled @ problem.scaled.mH
    share = torch.linspace(0, 1, 20001, dtype=torch.float64)
    powers = torch.stack((share, 1 - share), -1).expand(6, -1, -1)
    grid = uplink_rate(gram, torch.ones(6, 2, dtype=torch.float64), powers).amax(1) / math.log(2)
    assert torch.allclose(problem.weighted_sum_rate(beamforming.optimum(problem)), grid, rtol=1e-6)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_the_whole_power_is_used_and_the_type_is_kept(name, dtype):
    channel = beamforming.iid(6, 3, 4, seed=2, dtype=dtype).view(2, 3, 3, 4)
    power = torch.tensor([[1.0, 2.0, 3.0], [0.5, 5.0, 50.0]])
    precoder = METHODS[name](Downlink(channel * 1e-5, power, noise_power=1e-10))
    assert precoder.dtype == dtype
    assert precoder.shape == (2, 3, 4, 3)
    assert torch.allclose(beamforming.transmit_power(precoder).float(), power, rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_symmetries(name):
    """Users in another order, a unitary over the antennas, phases of channels, another unit of power."""
    method = METHODS[name]
    problem = draw(8, 3, 3, 10)
    precoder = method(problem)
    rates = problem.rates(precoder)
    # the starts of WMMSE for subsets are numbered by users: it gets to the same end by other ways
    near = dict.fromkeys(("rtol", "atol"), 1e-3 if name == "wmmse" else 1e-5)
    order = torch.tensor([2, 0, 1])
    permuted = Downlink(problem.channel[:, order], problem.power)
    assert torch.allclose(permuted.rates(method(permuted)), rates[:, order], **near)

    unitary = torch.linalg.qr(beamforming.iid(1, 3, 3, seed=3, dtype=DOUBLE)[0]).Q
    turned = Downlink(problem.channel @ unitary.mH, problem.power)
    assert torch.allclose(method(turned), unitary @ precoder, rtol=1e-5, atol=1e-5)

    phases = beamforming.random_phases(8, 3, seed=4, dtype=DOUBLE)
    shifted = Downlink(problem.channel * phases[..., None], problem.power)
    assert torch.allclose(shifted.rates(method(shifted)), rates, rtol=1e-5, atol=1e-5)

    scaled = Downlink(problem.channel * 1e-4, problem.power, noise_power=1e-8)
    assert torch.allclose(method(scaled), precoder, rtol=1e-5, atol=1e-5)


def slow_rate(h, w, noise):
    """Sum rate of one sample, term by term."""
    total = 0.0
    for k in range(len(h)):
        signal = abs(sum(h[k, n] * w[n, k] for n in range(h.shape[1]))) ** 2
        rest = sum(abs(sum(h[k, n] * w[n, j] for n in range(h.shape[1]))) ** 2 for j in range(len(h)) if j != k)
        total += math.log2(1 + signal / (rest + noise))
    return total


def slow_wmmse(h, power, noise, w, iterations):
    """Shi et al. 2011, table I, one sample, with the multiplier by bisection; h has h_k^H as row k."""
    for _ in range(iterations):
        received = h @ w
        u = np.array([received[k, k] / (np.sum(abs(received[k]) ** 2) + noise) for k in range(len(h))])
        q = np.array(
            [1 / (1 - abs(received[k, k]) ** 2 / (np.sum(abs(received[k]) ** 2) + noise)) for k in range(len(h))]
        )
        a = sum(q[k] * abs(u[k]) ** 2 * np.outer(h[k].conj(), h[k]) for k in range(len(h)))
        b = np.stack([q[k] * u[k] * h[k].conj() for k in range(len(h))], axis=1)

        def precoder(mu, a=a, b=b):
            return np.linalg.solve(a + mu * np.eye(len(a)), b)

        low, high = 1e-12, 1.0
        while np.sum(abs(precoder(high)) ** 2) > power:
            high *= 2
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if np.sum(abs(precoder(middle)) ** 2) > power else (low, middle)
        w = precoder(high)
    return w


@settings(max_examples=8, deadline=None)
@given(users=st.integers(1, 4), antennas=st.integers(1, 5), snr_db=st.floats(-5, 20), seed=st.integers(0, 999))
def test_batched_code_equals_slow_code(users, antennas, snr_db, seed):
    problem = draw(2, users, antennas, snr_db, seed=seed)
    precoder = beamforming.wmmse(problem, starts=1)
    rate = problem.weighted_sum_rate(precoder)
    for i in range(2):
        h, w = problem.channel[i].numpy(), precoder[i].numpy()
        assert slow_rate(h, w, 1.0) == pytest.approx(rate[i].item(), rel=1e-9)
        # where it ends, the published algorithm stands still
        further = slow_wmmse(h, problem.power, 1.0, w, 3)
        assert slow_rate(h, further, 1.0) == pytest.approx(rate[i].item(), rel=1e-4)
        if users <= antennas:
            zero = beamforming.zero_forcing(problem)[i].numpy()
            seen = h @ zero
            assert np.allclose(seen - np.diag(np.diag(seen)), 0, atol=1e-8 * abs(seen).max())
        inverse = np.linalg.inv(h.conj().T @ h + users / problem.power * np.eye(antennas)) @ h.conj().T
        inverse *= math.sqrt(problem.power / users) / np.linalg.norm(inverse, axis=0)
        assert np.allclose(beamforming.rzf(problem)[i].numpy(), inverse, atol=1e-8 * math.sqrt(problem.power))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(0, 5)), min_size=1, max_size=6), st.data())
def test_water_filling_has_one_level(pairs, data):
    gains = torch.tensor([g for g, _ in pairs], dtype=torch.float64)
    weights = torch.tensor([a for _, a in pairs], dtype=torch.float64)
    weights[data.draw(st.integers(0, len(pairs) - 1))] += 1
    powers = beamforming.water_filling(gains, weights)
    assert powers.sum().item() == pytest.approx(1)
    slope = weights * gains / (1 + gains * powers)  # of the rate by the power
    level = slope[powers > 0].max()
    assert torch.allclose(slope[powers > 1e-12], level, rtol=1e-6)
    assert (slope <= level * (1 + 1e-6)).all()


def test_a_sample_does_not_depend_on_the_others():
    problem = draw(12, 4, 4, 15)
    alone = Downlink(problem.channel[7:8], problem.power)
    assert torch.allclose(beamforming.wmmse(alone)[0], beamforming.wmmse(problem)[7], rtol=1e-9, atol=1e-9)


def test_single_precision_reaches_double_precision():
    for snr_db in (10, 40):
        rates = []
        for dtype in (torch.complex64, torch.complex128):
            problem = draw(20, 4, 4, snr_db, dtype=dtype)
            rates.append(
                [
                    problem.weighted_sum_rate(method(problem)).mean().item()
                    for n, method in METHODS.items()
                    if n != "optimum"
                ]
            )
        assert rates[0] == pytest.approx(rates[1], rel=1e-3)


def channel(value=1 + 0j, users=2, antennas=2):
    tensor = beamforming.iid(1, users, antennas, seed=1)
    tensor[0, 0, 0] = value
    return tensor


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Downlink(channel(math.nan)), r"channel\[0, 0, 0\] is .*nan.* legal are finite"),
        (lambda: Downlink(channel(math.inf)), r"inf.* legal are finite"),
        (
            lambda: Downlink(torch.zeros(1, 2, 2, dtype=DOUBLE)),
            r"user 0 of sample \(0,\).* is 0.* legal is -140 to 140",
        ),
        (lambda: Downlink(channel() * 1e6), r"user 0 .* dB; legal is -60 to 60 dB"),
        (lambda: Downlink(torch.ones(2, 2)), r"channel is torch.float32; legal are"),
        (lambda: Downlink([[1j]]), r"channel is list; legal are"),
        (lambda: Downlink(torch.ones(3, dtype=DOUBLE)), r"shape \[3\]; legal is \[\.\.\., user, antenna\]"),
        (lambda: Downlink(torch.ones(0, 2, 2, dtype=DOUBLE)), r"shape \[0, 2, 2\]; legal"),
        (lambda: Downlink(channel(), power=-1.0), r"power is -1; legal are finite numbers above 0"),
        (lambda: Downlink(channel(), power=math.nan), r"power is nan; legal"),
        (
            lambda: Downlink(channel(), power=torch.ones(3)),
            r"power is torch.float32 \[3\]; legal is one number, or real \[1\]",
        ),
        (lambda: Downlink(channel(), noise_power=0), r"noise_power is 0; legal are finite numbers above 0"),
        (lambda: Downlink(channel(), weights=torch.ones(3)), r"weights are torch.float32 \[3\]; legal is real \[2\]"),
        (lambda: Downlink(channel(), weights=torch.tensor([1.0, -1.0])), r"weights are \[1, -1\]; legal"),
        (lambda: Downlink(channel(), weights=torch.zeros(2)), r"not all of them 0"),
        (lambda: Downlink(channel()).sinr(torch.ones(1, 3, 2)), r"precoder is \[1, 3, 2\]; legal is \[\.\.\., 2, 2\]"),
        (lambda: beamforming.zero_forcing(draw(1, 4, 3, 0)), r"4 users.* by 3 antennas; legal are 1 to 3 users"),
        (
            lambda: beamforming.zero_forcing(Downlink(torch.ones(1, 2, 2, dtype=DOUBLE))),
            r"linearly dependent.* legal is",
        ),
        (lambda: beamforming.optimum(draw(1, 4, 4, 0)), r"4 users; legal are 1, 2 and 3"),
        (lambda: beamforming.wmmse(draw(1, 2, 2, 0), starts=0), r"starts 0, iterations 300; legal are .* from 1"),
        (lambda: beamforming.iid(0, 2, 2, seed=1), r"samples 0.* legal are numbers from 1"),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(ConfigurationError, match=said):
        make()
