# SPDX-License-Identifier: GPL-2.0-only
"""Reflecting surfaces: the published cell, exact cases, slow obvious code, input that is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.air import beamforming
from edgelam.air.beamforming import SurfaceDownlink
from edgelam.air.beamforming.channels.surface_cell import DOWNLINK_MW, NOISE_MW, PILOT_MW
from edgelam.errors import ConfigurationError

DOUBLE = torch.complex128
SAMPLES = 40


@pytest.fixture(scope="module")
def cell():
    return beamforming.surface_cell(SAMPLES, seed=1)


def standard_error(rate):
    return rate.std().item() / math.sqrt(len(rate))


def test_random_phases_and_wmmse(cell):
    problem = cell.at(beamforming.random_phases(SAMPLES, 100, seed=2))
    rate = problem.weighted_sum_rate(beamforming.wmmse(problem, starts=1))
    assert rate.mean().item() == pytest.approx(2.79, abs=3 * standard_error(rate))


def test_perfect_csi(cell):
    phases, precoder = beamforming.bcd(cell)
    rate = cell.at(phases).weighted_sum_rate(precoder)
    assert rate.mean().item() == pytest.approx(5.45, abs=0.08 + 2 * standard_error(rate))
    assert torch.allclose(beamforming.transmit_power(precoder), torch.tensor(DOWNLINK_MW), rtol=1e-4)


@pytest.mark.parametrize(("pilots", "published"), [(9, 3.08), (15, 3.36), (30, 3.70)])
def test_lmmse_from_pilots(cell, pilots, published):
    phases = beamforming.random_phases(pilots // 3, 100, seed=3, dtype=DOUBLE)
    draws = beamforming.surface_cell(300, seed=4, dtype=DOUBLE)
    known, variance = beamforming.receive_pilots(cell, phases, power=PILOT_MW, noise_power=NOISE_MW, seed=5)
    direct, cascaded = beamforming.lmmse(known, phases, variance, beamforming.prior(draws.direct, draws.cascaded))
    chosen, precoder = beamforming.bcd(SurfaceDownlink(direct, cascaded, DOWNLINK_MW, NOISE_MW), rounds=60)
    rate = cell.at(chosen).weighted_sum_rate(precoder)
    assert rate.mean().item() == pytest.approx(published, abs=0.1 + 3 * standard_error(rate))


def small(samples=4, users=1, elements=3, antennas=2, *, seed=1):
    direct = beamforming.iid(samples, users, antennas, seed=seed, dtype=DOUBLE)
    cascaded = beamforming.iid(samples, users, elements * antennas, seed=seed + 1, dtype=DOUBLE)
    return SurfaceDownlink(direct, cascaded.view(samples, users, elements, antennas), power=3.0)


@settings(max_examples=10, deadline=None)
@given(users=st.integers(1, 3), elements=st.integers(1, 4), antennas=st.integers(1, 3), seed=st.integers(0, 999))
def test_the_effective_channel_is_the_sum_over_all_paths(users, elements, antennas, seed):
    problem = small(2, users, elements, antennas, seed=seed)
    phases = beamforming.random_phases(2, elements, seed=seed, dtype=DOUBLE)
    channel = problem.at(phases).channel
    for b, k, m in np.ndindex(2, users, antennas):
        wanted = problem.direct[b, k, m] + sum(phases[b, n] * problem.cascaded[b, k, n, m] for n in range(elements))
        assert channel[b, k, m].item() == pytest.approx(wanted.item())


def test_one_user_near_the_best_of_all_phases():
    """SDR and BCD against a grid over the phases of three elements, and both below the bound of the relaxation."""
    problem = small()
    angles = torch.linspace(0, 2 * math.pi, 37, dtype=torch.float64)[:-1]
    grid = torch.polar(torch.ones(36**3, 3, dtype=torch.float64), torch.cartesian_prod(angles, angles, angles))
    gain = (problem.direct + grid @ problem.cascaded[:, 0]).abs().square().sum(-1).amax(1)  # [sample]
    best = torch.log2(1 + 3.0 * gain)
    relaxed = beamforming.sdr(problem)
    rate = problem.at(relaxed.phases).weighted_sum_rate(relaxed.precoder)
    phases, precoder = beamforming.bcd(problem, starts=4)
    descended = problem.at(phases).weighted_sum_rate(precoder)
    for found in (rate, descended):
        assert (found > 0.99 * best).all()
        assert (found <= relaxed.bound * (1 + 1e-9)).all()
    assert (best <= relaxed.bound).all()


def test_the_relaxation_is_tight_where_all_paths_can_be_aligned():
    """One antenna: the best phases align all paths, and the optimum is the sum of their moduli."""
    problem = small(antennas=1, elements=8)
    relaxed = beamforming.sdr(problem)
    best = problem.direct.abs().sum((1, 2)) + problem.cascaded.abs().sum((1, 2, 3))
    assert torch.allclose(relaxed.bound, torch.log2(1 + 3.0 * best.square()), rtol=1e-6)
    rate = problem.at(relaxed.phases).weighted_sum_rate(relaxed.precoder)
    assert torch.allclose(rate, relaxed.bound, rtol=1e-4)


def test_more_rounds_are_never_worse_and_shapes_are_kept():
    problem = small(6, 3, 5, 2)
    before = torch.zeros(6, dtype=torch.float64)
    for rounds in (1, 3, 9):
        phases, precoder = beamforming.bcd(problem, rounds=rounds)
        rate = problem.at(phases).weighted_sum_rate(precoder)
        assert (rate >= before - 1e-9).all()
        before = rate
    one = SurfaceDownlink(problem.direct[0], problem.cascaded[0], power=3.0)
    phases, precoder = beamforming.bcd(one, rounds=9)
    assert (phases.shape, precoder.shape) == ((5,), (2, 3))
    assert one.at(phases).weighted_sum_rate(precoder).item() == pytest.approx(rate[0].item(), rel=1e-3)


def test_weights_move_the_rates():
    problem = small(4, 2, 4, 2)
    heavy = SurfaceDownlink(problem.direct, problem.cascaded, 3.0, weights=torch.tensor([10.0, 1.0]))
    rates = [p.at(v).rates(w)[:, 0].mean() for p in (problem, heavy) for v, w in [beamforming.bcd(p)]]
    assert rates[1] > rates[0]


def test_without_noise_and_with_enough_pilots_the_estimate_is_the_channel():
    problem = small(3, 2, 3, 2)
    phases = beamforming.random_phases(6, 3, seed=4, dtype=DOUBLE)
    known, variance = beamforming.receive_pilots(problem, phases, power=1.0, noise_power=1e-14, seed=1)
    before = beamforming.prior(problem.direct, problem.cascaded)
    before = before._replace(covariance=torch.eye(4, dtype=DOUBLE))
    direct, cascaded = beamforming.lmmse(known, phases, variance, before)
    assert torch.allclose(direct, problem.direct, atol=1e-5)
    assert torch.allclose(cascaded, problem.cascaded, atol=1e-5)


def test_lmmse_is_the_conditional_mean():
    """Against the formula for one user and one antenna at a time, from a prior that is computed term by term."""
    draws, problem = small(50, 2, 2, 2, seed=5), small(1, 2, 2, 2)
    phases = beamforming.random_phases(2, 2, seed=4, dtype=DOUBLE)
    known, variance = beamforming.receive_pilots(problem, phases, power=0.5, noise_power=0.3, seed=1)
    assert variance == pytest.approx(0.3 / (0.5 * 2))
    direct, cascaded = beamforming.lmmse(known, phases, variance, beamforming.prior(draws.direct, draws.cascaded))
    unknowns = np.concatenate((draws.direct.numpy()[:, :, None], draws.cascaded.numpy()), axis=2)
    mean = unknowns.mean((0, 1))
    covariance = np.zeros((3, 3), complex)
    for draw, user, antenna in np.ndindex(50, 2, 2):
        rest = unknowns[draw, user, :, antenna] - mean[:, antenna]
        covariance += np.outer(rest, rest.conj()) / 200
    q = np.concatenate((np.ones((2, 1)), phases.numpy()), axis=1)
    filtered = covariance @ q.conj().T @ np.linalg.inv(q @ covariance @ q.conj().T + variance * np.eye(2))
    for user, antenna in np.ndindex(2, 2):
        f = mean[:, antenna] + filtered @ (known.numpy()[0, user, :, antenna] - q @ mean[:, antenna])
        assert direct[0, user, antenna].item() == pytest.approx(f[0])
        assert cascaded[0, user, :, antenna].numpy() == pytest.approx(f[1:])


def test_noise_of_pilots_has_its_variance():
    problem = small(200, 3, 2, 2)
    phases = beamforming.random_phases(4, 2, seed=4, dtype=DOUBLE)
    known, variance = beamforming.receive_pilots(problem, phases, power=2.0, noise_power=5.0, seed=1)
    exact, _ = beamforming.receive_pilots(problem, phases, power=2.0, noise_power=1e-20, seed=1)
    assert (known - exact).abs().square().mean().item() == pytest.approx(variance, rel=0.05)


def test_the_cell_has_the_published_path_losses(cell):
    """Direct: 100 to 190 m; over the surface: 141 m and 20 to 53 m."""
    direct = -10 * cell.direct.abs().square().mean((1, 2)).log10()
    assert 32.6 + 36.7 * 2 - 3 < direct.mean() < 32.6 + 36.7 * math.log10(190) + 3
    over = -10 * cell.cascaded.abs().square().mean().log10().item()
    hop = 30 + 22 * math.log10(math.hypot(100, 100))
    assert hop + 30 + 22 * math.log10(20.6) < over < hop + 30 + 22 * math.log10(53)


SURFACE = small()


def estimate(known=1.0, variance=1.0, phases=1.0):
    before = beamforming.prior(SURFACE.direct, SURFACE.cascaded)
    pilots = known * torch.ones(4, 1, 2, 2, dtype=DOUBLE)
    return beamforming.lmmse(pilots, phases * torch.ones(2, 3, dtype=DOUBLE), variance, before)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SurfaceDownlink(SURFACE.direct, SURFACE.direct), r"cascaded is .* \[4, 1, 2\]; legal for this direct"),
        (
            lambda: SurfaceDownlink(SURFACE.direct, SURFACE.cascaded[:2]),
            r"legal for this direct channel is .*\[4, 1, 'element', 2\]",
        ),
        (lambda: SurfaceDownlink(SURFACE.direct, SURFACE.cascaded * math.nan), r"cascaded\[0, 0, 0, 0\] is .*nan"),
        (lambda: SurfaceDownlink(SURFACE.direct, SURFACE.cascaded, power=-2.0), r"power is -2; legal"),
        (lambda: SURFACE.at(torch.ones(2, dtype=DOUBLE)), r"phases are \[2\]; legal is \[\.\.\., 3\]"),
        (lambda: SURFACE.at(2 * torch.ones(3, dtype=DOUBLE)), r"moduli from 2 to 2; legal is 1"),
        (
            lambda: beamforming.bcd(SurfaceDownlink(SURFACE.direct * 0, SURFACE.cascaded * 0)),
            r"user 0 .* channel is zero",
        ),
        (lambda: beamforming.bcd(SURFACE, starts=0), r"starts 0, rounds 150; legal"),
        (lambda: beamforming.sdr(small(users=2)), r"2 users; legal is 1 user"),
        (
            lambda: beamforming.receive_pilots(SURFACE, torch.ones(1, 2), power=1.0, noise_power=1.0, seed=1),
            r"phases of pilots are \[1, 2\]; legal is \[sub-frame, 3\]",
        ),
        (
            lambda: beamforming.receive_pilots(SURFACE, torch.ones(1, 3), power=-1.0, noise_power=1.0, seed=1),
            r"power is -1; legal",
        ),
        (
            lambda: beamforming.receive_pilots(SURFACE, 2 * torch.ones(1, 3), power=1.0, noise_power=1.0, seed=1),
            r"moduli from 2 to 2; legal is 1",
        ),
        (lambda: beamforming.prior(SURFACE.direct[:1], SURFACE.cascaded[:1]), r"legal are 2 or more"),
        (lambda: beamforming.prior(SURFACE.direct * math.nan, SURFACE.cascaded), r"direct\[0, 0, 0\] is .*nan"),
        (lambda: estimate(known=math.nan), r"pilots\[0, 0, 0, 0\] is .*nan"),
        (lambda: estimate(variance=math.inf), r"variance above 0"),
        (lambda: estimate(phases=0.5), r"moduli from 0.5 to 0.5"),
        (lambda: beamforming.surface_cell(1, seed=1, rician=-1.0), r"rician -1.0; legal"),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(ConfigurationError, match=said):
        make()
