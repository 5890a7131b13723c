# SPDX-License-Identifier: GPL-2.0-only
"""Sums over the air, against loops over resource elements, drawn noise, and beams that are searched at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.cosim import AnalogTransfer
from edgelam.errors import ConfigurationError
from edgelam.learning.over_the_air import common_beams, elements_for, look, receive, symbols_of
from edgelam.random_streams import from_numbers

A_BLOCK = 132


def drawn(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def transfer(gains, known=None, *, slots=1, noise_w=1e-16, interference_w=0.0, power_w=0.2, elements=A_BLOCK):
    """gains: [K, M, B], the blocks of `slots` slots of equal size."""
    blocks = gains.shape[2]
    return AnalogTransfer(
        "gnb0", tuple(f"ue{k}" for k in range(len(gains))), 0.002, 0.004, noise_w, 5.0, power_w,
        np.repeat(np.arange(slots) * 2.5e-3, blocks // slots), np.tile(np.arange(blocks // slots), slots),
        np.full(blocks, elements), np.full(blocks, interference_w), gains.astype(np.complex64),
        (gains if known is None else known).astype(np.complex64),
    )  # fmt: skip


def slow(values, sky, eta):
    """What arrives without noise, and each device's power in each slot: one resource element after the other."""
    found = sky.transfer
    num, d = values.shape
    mean, energy = np.zeros(d + d % 2), {}
    for n in range((d + 1) // 2):
        block = sky.block[n]
        total, count = 0j, 0
        for k in range(num):
            if not sky.sends[k, block]:
                continue
            symbol = values[k, 2 * n] + (1j * values[k, 2 * n + 1] if 2 * n + 1 < d else 0)
            sent = np.sqrt(eta) / np.vdot(sky.beams[:, block], found.known[k, :, block]) * symbol
            total += np.vdot(sky.beams[:, block], found.gains[k, :, block] * sent)
            count += 1
            key = k, found.start_s[block]
            energy[key] = energy.get(key, 0.0) + abs(sent) ** 2
        if count:
            mean[2 * n], mean[2 * n + 1] = total.real / np.sqrt(eta) / count, total.imag / np.sqrt(eta) / count
    powers = {}
    for (k, start), sent in energy.items():
        slot = found.start_s == start
        powers[k, start] = sent / found.elements[slot].sum() * 12 * slot.sum()  # of an element, on all subcarriers
    return mean[:d], powers


@given(
    st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 8]), st.integers(1, 3)), st.integers(1, 700),
    st.floats(0, 0.5), st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_it_is_what_a_loop_over_elements_gives(shape, size, truncation, seed):
    num, ports, slots = shape
    rng = from_numbers(seed)
    known = drawn(rng, num, ports, 3 * slots) * 1e-6
    now = known * np.exp(0.2j * rng.normal(size=known.shape))
    sky = look(transfer(now, known, slots=slots, noise_w=1e-40), truncation)
    values = rng.normal(size=(num, min(size, 2 * sky.block.size)))
    eta = sky.needed(np.abs(symbols_of(values)) ** 2)
    mean, powers = slow(values, sky, eta)
    if powers:
        assert max(powers.values()) == pytest.approx(0.2, rel=1e-4)  # the largest eta that all have the power for
    else:
        assert eta == 1.0
    got = receive(values, sky, eta, rng)
    assert got.mean == pytest.approx(mean, rel=1e-4, abs=1e-5)
    assert got.error == pytest.approx(np.square(mean - values.mean(axis=0)).sum(), rel=1e-3, abs=1e-6)


def test_a_channel_that_is_known_gives_the_mean_but_for_noise():
    rng = from_numbers(5)
    gains = drawn(rng, 6, 4, 200) * 1e-5
    values = rng.normal(size=(6, 2 * 200 * A_BLOCK))
    sky = look(transfer(gains, interference_w=2e-16), 0.0)
    eta = sky.needed(np.abs(symbols_of(values)) ** 2)
    got = receive(values, sky, eta, rng)
    assert got.error == pytest.approx(got.noise_error, rel=0.02)
    # N + I in a symbol, half of it in each value, over eta K^2
    assert got.noise_error == pytest.approx(values.shape[1] * 3e-16 / 2 / eta / 36)


def test_with_equal_channels_the_error_falls_with_the_square_of_devices():
    errors = []
    for num in (1, 4, 16):
        rng = from_numbers(6)
        values = np.tile(rng.normal(size=2000), (num, 1))
        sky = look(transfer(np.full((num, 1, 8), 1e-5 + 0j)), 0.0)
        errors.append(receive(values, sky, sky.needed(np.abs(symbols_of(values)) ** 2), rng).noise_error)
    assert errors[0] / errors[1] == pytest.approx(16.0, rel=1e-4)
    assert errors[1] / errors[2] == pytest.approx(16.0, rel=1e-4)


def test_who_fades_is_silent_and_is_missing_in_the_mean():
    gains = np.full((3, 1, 4), 1e-5 + 0j)
    gains[1, 0, 2] *= 0.01
    sky = look(transfer(gains, noise_w=1e-40), 0.05)
    assert (~sky.sends).nonzero() == (np.array([1]), np.array([2]))
    values = np.arange(3)[:, None] * np.ones((3, 8 * A_BLOCK))
    got = receive(values, sky, sky.needed(np.abs(symbols_of(values)) ** 2), from_numbers(1)).mean.reshape(4, -1)
    assert got[[0, 1, 3]] == pytest.approx(1.0)
    assert got[2] == pytest.approx(1.0)  # of 0 and 2
    values[0] = 5
    got = receive(values, sky, 1.0, from_numbers(1)).mean.reshape(4, -1)
    assert got[[0, 1, 3]] == pytest.approx(8 / 3)
    assert got[2] == pytest.approx(7 / 2)
    assert sky.senders.tolist() == [3, 3, 2, 3]


def test_a_beam_has_norm_1_and_serves_the_weakest():
    rng = from_numbers(7)
    for num, ports in ((1, 8), (3, 8), (8, 8), (5, 64)):
        channel = drawn(rng, num, ports, 5) * np.logspace(-6, -4, num)[:, None, None]
        beams = common_beams(channel)
        assert np.linalg.norm(beams, axis=0) == pytest.approx(1.0)
        least = np.abs(np.einsum("mb,kmb->kb", beams.conj(), channel)).min(axis=0)
        for _ in range(300):
            other = drawn(rng, ports, 5)
            other /= np.linalg.norm(other, axis=0)
            assert (np.abs(np.einsum("mb,kmb->kb", other.conj(), channel)).min(axis=0) < 1.02 * least).all()
        if num == 1:
            assert least == pytest.approx(np.linalg.norm(channel[0], axis=0))  # maximum ratio
    alike = np.exp(1j * np.arange(4))[:, None, None] * np.ones((4, 8, 1))  # one direction, four phases
    assert np.abs(np.einsum("mb,kmb->kb", common_beams(alike).conj(), alike)) == pytest.approx(np.sqrt(8), rel=1e-3)


def test_who_has_no_grant_sends_nothing():
    gains = np.full((3, 2, 2), 1e-5 + 0j)
    gains[2] = 0
    sky = look(transfer(gains, noise_w=1e-40), 0.05)
    assert sky.senders.tolist() == [2, 2]
    with pytest.raises(ConfigurationError, match="none of ue0, ue1 had a grant of gnb0"):
        look(transfer(np.zeros((2, 1, 1))), 0.0)


def test_the_largest_amplitude_counts_all_ports():
    gains = np.zeros((2, 4, 1), complex)
    gains[0, 0], gains[1, 1] = 3.0, 1.0  # orthogonal: the beam has 1 / sqrt(1 + 1/9) of each
    sky = look(transfer(gains), 0.0)
    behind = 1 / np.sqrt(1 + 1 / 9)
    assert np.abs(sky.behind[:, 0]) == pytest.approx([behind, behind], rel=1e-4)
    assert sky.amplitude(4.0) == pytest.approx(2.0 * 3 / behind, rel=1e-4)


def test_what_is_not_legal_is_refused():
    sky = look(transfer(np.full((1, 1, 1), 1.0)), 0.0)
    for truncation in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="legal are 0 to below 1"):
            look(sky.transfer, truncation)
    with pytest.raises(ConfigurationError, match=f"need {A_BLOCK + 1} resource elements; there are {A_BLOCK}"):
        receive(np.zeros((1, 2 * A_BLOCK + 1)), sky, 1.0, from_numbers(1))
    with pytest.raises(ConfigurationError, match="0 values"):
        elements_for(0)
    assert (elements_for(1), elements_for(4), elements_for(5)) == (1, 2, 3)
