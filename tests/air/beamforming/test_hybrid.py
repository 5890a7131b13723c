# SPDX-License-Identifier: GPL-2.0-only
"""Hybrid precoding: published values, exact cases, slow obvious code, input that is refused."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.air import beamforming
from edgelam.air.beamforming import circle
from edgelam.air.beamforming.channels.clustered import planar_response
from edgelam.errors import ConfigurationError

DOUBLE = torch.complex128
SAMPLES = 6


@pytest.fixture(scope="module")
def drawn():
    return beamforming.clustered(SAMPLES, seed=1)


# Arrays of 144 and 36 elements, 5 clusters of 10 rays, 0 dB: digital, PE-AltMin, MO-AltMin, OMP, as another program has
# measured them. By how much a method is below digital varies less than the rate itself, but depends on how angles are
# drawn, of which that program's description says little: hence 0.015 beside the standard error.
TABLE = {(2, 2): (18.94, 18.45, 18.45, 16.27), (4, 8): (31.04, 30.53, 31.03, 29.77)}


@pytest.mark.parametrize(("streams", "chains"), TABLE)
def test_rates_are_those_published(drawn, streams, chains):
    h = drawn.channel
    precoder, combiner = beamforming.digital_optimum(h, streams)
    digital = beamforming.spectral_efficiency(h, precoder, combiner, 1.0)
    published, *others = TABLE[streams, chains]
    assert digital.mean().item() == pytest.approx(published, abs=3 * digital.std().item() / math.sqrt(SAMPLES))
    hybrids = [
        [method(precoder, chains), method(combiner, chains)]
        for method in (beamforming.pe_altmin, beamforming.mo_altmin)
    ]
    hybrids.append(
        [
            beamforming.omp(precoder, chains, drawn.tx_responses),
            beamforming.omp(combiner, chains, drawn.rx_responses),
        ]
    )
    for (f, w), value in zip(hybrids, others, strict=True):
        ratio = beamforming.spectral_efficiency(h, f.product, w.product, 1.0) / digital
        error = ratio.std().item() / math.sqrt(SAMPLES)
        assert ratio.mean().item() == pytest.approx(value / published, abs=0.015 + 3 * error)
        assert ratio.max() < 1 + 1e-4


def test_twice_as_many_chains_as_streams_reach_digital(drawn):
    precoder, combiner = beamforming.digital_optimum(drawn.channel, 2)
    digital = beamforming.spectral_efficiency(drawn.channel, precoder, combiner, 1.0)
    found = beamforming.mo_altmin(precoder, 4)
    rate = beamforming.spectral_efficiency(drawn.channel, found.product, combiner, 1.0)
    assert (rate / digital).mean() > 0.999


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_power_moduli_and_connections(dtype):
    target = beamforming.iid(6, 12, 2, seed=1, dtype=dtype).view(2, 3, 12, 2)
    responses = beamforming.iid(6, 12, 20, seed=2, dtype=dtype).view(2, 3, 12, 20)
    for found in (
        beamforming.pe_altmin(target, 3),
        beamforming.mo_altmin(target, 3, iterations=5),
        beamforming.omp(target, 3, responses),
        beamforming.partly_connected(target, 3),
    ):
        assert found.analog.shape == (2, 3, 12, 3)
        assert found.product.dtype == dtype
        assert torch.allclose(torch.linalg.matrix_norm(found.product), torch.linalg.matrix_norm(target), rtol=1e-5)
        modulus = found.analog.abs()
        connected = modulus > 0.5
        assert torch.allclose(modulus[connected], torch.ones_like(modulus[connected]), atol=1e-5)
        assert connected.all() or (connected.sum(-1) == 1).all()
    assert torch.equal(connected[0, 0].long().argmax(-1), torch.arange(12) // 4)  # the last is partly connected


@settings(max_examples=15, deadline=None)
@given(antennas=st.integers(3, 6), streams=st.integers(1, 2), choices=st.integers(3, 6), seed=st.integers(0, 999))
def test_omp_equals_slow_code(antennas, streams, choices, seed):
    target = beamforming.iid(2, antennas, streams, seed=seed, dtype=DOUBLE)
    responses = beamforming.iid(2, antennas, choices, seed=seed + 1, dtype=DOUBLE)
    found = beamforming.omp(target, 3, responses)
    for i in range(2):
        wanted, columns = target[i].numpy(), np.exp(1j * np.angle(responses[i].numpy()))
        chosen, rest = [], wanted
        for _ in range(3):
            part = [-1 if c in chosen else np.linalg.norm(columns[:, c].conj() @ rest) for c in range(choices)]
            chosen.append(int(np.argmax(part)))
            digital = np.linalg.lstsq(columns[:, chosen], wanted, rcond=None)[0]
            rest = wanted - columns[:, chosen] @ digital
            if np.linalg.norm(rest) < 1e-9:  # met: what is chosen now depends on rounding
                break
        product = columns[:, chosen] @ digital
        product *= np.linalg.norm(wanted) / np.linalg.norm(product)
        assert np.allclose(found.product[i].numpy(), product, atol=1e-7)


def test_partly_connected_is_the_best_of_all_phases():
    """Two antennas of each chain and one stream: the best phases are searched for on a grid."""
    target = beamforming.iid(4, 4, 1, seed=3, dtype=DOUBLE)
    found = beamforming.partly_connected(target, 2)
    error = torch.linalg.matrix_norm(found.product - target)
    angles = torch.linspace(0, 2 * math.pi, 25, dtype=torch.float64)
    for i in range(4):
        best = math.inf
        for a, b in itertools.product(angles.tolist(), angles.tolist()):  # of the second antenna of each chain
            analog = torch.zeros(4, 2, dtype=DOUBLE)
            analog[0, 0] = analog[2, 1] = 1
            analog[1, 0], analog[3, 1] = complex(math.cos(a), math.sin(a)), complex(math.cos(b), math.sin(b))
            product = analog @ (analog.mH @ target[i])
            product = product * torch.linalg.matrix_norm(target[i]) / torch.linalg.matrix_norm(product)
            best = min(best, torch.linalg.matrix_norm(product - target[i]).item())
        assert error[i].item() <= best + 1e-9


def test_conjugate_gradients_find_the_nearest_phases():
    """|x - t|^2 on circles is smallest at the phases of t; no start makes the cost larger."""
    target = beamforming.iid(1, 5, 20, seed=5, dtype=DOUBLE)[0]
    start = beamforming.random_phases(5, 20, seed=6, dtype=DOUBLE)

    def cost(x):
        return (x - target).abs().square().sum(-1)

    def gradient(x):
        return 2 * (x - target)

    assert (cost(circle.minimise(cost, gradient, start, 1)) < cost(start)).all()
    found = circle.minimise(cost, gradient, start, 60)
    assert torch.allclose(found, target / target.abs(), atol=1e-4)


def test_the_rate_is_that_of_its_definition(drawn):
    h = drawn.channel[:3, :8, :10].to(DOUBLE)
    f, w = beamforming.iid(3, 10, 2, seed=7, dtype=DOUBLE), beamforming.iid(3, 8, 2, seed=8, dtype=DOUBLE)
    snr = torch.tensor([0.5, 1.0, 20.0], dtype=torch.float64)
    rate = beamforming.spectral_efficiency(h, f, w, snr)
    for i in range(3):
        r = torch.linalg.inv(w[i].mH @ w[i])
        inner = r @ w[i].mH @ h[i] @ f[i] @ f[i].mH @ h[i].mH @ w[i]
        assert torch.linalg.det(torch.eye(2) + snr[i] / 2 * inner).log2().real.item() == pytest.approx(rate[i].item())


def test_clustered_channels():
    few = beamforming.clustered(400, seed=2, tx_side=3, rx_side=2, dtype=DOUBLE)
    assert few.channel.abs().square().mean().item() == pytest.approx(1, abs=0.03)
    response = planar_response(3, torch.tensor([0.3], dtype=torch.float64), torch.tensor([1.1], dtype=torch.float64))
    element = math.pi * (2 * math.sin(0.3) * math.sin(1.1) + 1 * math.cos(1.1))  # of row 2, column 1
    assert response[7, 0].item() == pytest.approx(complex(math.cos(element), math.sin(element)) / 3)


TARGET = beamforming.iid(1, 6, 2, seed=1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: beamforming.pe_altmin(TARGET, 1), r"1 RF chains for 2 streams of 6 antennas; legal are 2 to 6"),
        (lambda: beamforming.mo_altmin(TARGET, 7), r"7 RF chains.* legal are 2 to 6"),
        (lambda: beamforming.pe_altmin(TARGET.mT, 6), r"6 streams of 2 antennas; legal are 1 to 2"),
        (lambda: beamforming.pe_altmin(TARGET * math.nan, 2), r"target\[0, 0, 0\] is .*nan"),
        (lambda: beamforming.pe_altmin(TARGET * 0, 2), r"target is 0"),
        (lambda: beamforming.pe_altmin(TARGET, 2, iterations=0), r"iterations is 0; legal"),
        (lambda: beamforming.partly_connected(TARGET, 4), r"4 RF chains.* legal are \[2, 3, 6\] chains"),
        (lambda: beamforming.omp(TARGET, 3, TARGET), r"responses have shape \[1, 6, 2\]; legal is \[1, 6, 3\]"),
        (lambda: beamforming.digital_optimum(TARGET, 3), r"3 streams over 6 receiving and 2 .* legal are 1 to 2"),
        (lambda: beamforming.digital_optimum(TARGET * 0, 1), r"rank 0"),
        (lambda: beamforming.spectral_efficiency(TARGET, TARGET, TARGET, 1.0), r"legal are \[\.\.\., 2, stream\]"),
        (lambda: beamforming.clustered(1, seed=1, rays=0), r"rays 0.* legal are numbers from 1"),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(ConfigurationError, match=said):
        make()


def test_streams_without_power():
    """What WMMSE leaves of a user that it does not serve: columns of 1e-20."""
    target = beamforming.iid(8, 12, 3, seed=3)
    target[::2, :, 1] *= 1e-20
    target[1::2, :, 0] *= 1e-12
    for hybrid in (beamforming.pe_altmin(target, 6), beamforming.mo_altmin(target, 6)):
        assert torch.isfinite(torch.view_as_real(hybrid.product)).all()
        error = torch.linalg.matrix_norm(hybrid.product - target) / torch.linalg.matrix_norm(target)
        assert float(error.max()) < 0.6
