# SPDX-License-Identifier: GPL-2.0-only
"""Predictors: what they are given, hand-computed cases, and that the learned ones learn."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edgelam.air import csi, prediction
from edgelam.errors import ConfigurationError
from edgelam.models import load_backbone
from edgelam.models.lora import LoraSettings

WINDOW = prediction.WindowSettings(history=8, horizon=2, tones=4)
SMALL_LAM = prediction.LamSettings(channels=4, blocks=1, layers=1, lora=LoraSettings(rank=2))
SIZES = {
    "rnn": {"width": 16, "layers": 1},
    "lstm": {"width": 16, "layers": 1},
    "gru": {"width": 16, "layers": 1},
    "cnn": {"channels": 8, "layers": 3},
    "transformer": {"width": 16, "heads": 2, "layers": 1},
}


def recorded(values):
    """A recording that holds just these values, [sample, time, rx, tx, subcarrier]."""
    return csi.CsiSet(np.asarray(values, np.complex64), None, {}, {})


def exponentials(samples=3, antennas=2, snapshots=10):
    """CSI of a few plane waves, one delay each, [sample, time, 1, antenna, subcarrier]."""
    rng, tones = np.random.default_rng(0), 4
    t, k = np.arange(snapshots), np.arange(tones)
    out = np.zeros((samples, snapshots, 1, antennas, tones), complex)
    for s in range(samples):
        for ray in range(2):
            doppler, delay = rng.uniform(-0.06, 0.06), ray
            gains = rng.normal(size=antennas) + 1j * rng.normal(size=antennas)
            wave = np.exp(2j * np.pi * doppler * t)[:, None] * np.exp(-2j * np.pi * delay * k / tones)
            out[s, :, 0] += gains[:, None] * wave[:, None, :]
    return recorded(out)


def tensors(windows):
    return torch.from_numpy(windows.past), torch.from_numpy(windows.future)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone()


def make(name, window, backbone):
    if name == "lam":
        return prediction.Lam(window, backbone, SMALL_LAM, seed=3)
    return prediction.make(name, window, seed=3, **SIZES.get(name, {}))


def test_windows_are_what_stands_in_the_recording():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 20, 2, 3, 8)) + 1j * rng.normal(size=(2, 20, 2, 3, 8))
    for duplex, tones in (("tdd", slice(0, 4)), ("fdd", slice(4, 8))):
        settings = prediction.WindowSettings(tones=4, duplex=duplex)
        windows = prediction.cut(recorded(values), settings)
        assert windows.past.shape == (2, 6, 16, 4)
        assert windows.future.shape == (2, 6, 4, 4)
        for sample in range(2):
            past = values[sample, :16, :, :, :4]
            scale = np.sqrt(np.mean(np.abs(past) ** 2))
            for rx in range(2):
                for tx in range(3):
                    got = windows.past[sample, 3 * rx + tx] * scale, windows.future[sample, 3 * rx + tx] * scale
                    np.testing.assert_allclose(got[0], past[:, rx, tx], rtol=1e-5)
                    np.testing.assert_allclose(got[1], values[sample, 16:, rx, tx, tones], rtol=1e-5)
    fewer = prediction.cut(recorded(values), dataclasses.replace(settings, antennas=2), np.array([1]))
    ratio = fewer.past[0] / windows.past[1, [0, 3]]  # the same but for their own root mean square
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"history": 18}, "history 18 . horizon 4: sample 0 has 20 snapshots"),
        ({"tones": 9}, "tones 9 .tdd"),
        ({"tones": 5, "duplex": "fdd"}, "tones 5 .fdd: 2 x"),
        ({"antennas": 3}, "antennas 3"),
    ],
)
def test_windows_that_do_not_fit_are_refused(change, words):
    data = recorded(np.ones((1, 20, 1, 2, 8)))
    with pytest.raises(ConfigurationError, match=words):
        prediction.cut(data, dataclasses.replace(prediction.WindowSettings(tones=4), **change))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_broken_csi_is_refused(bad):
    values = np.ones((3, 20, 1, 1, 4))
    values[2] = bad
    with pytest.raises(ConfigurationError, match="sample 2"):
        prediction.cut(recorded(values), prediction.WindowSettings(tones=4))


def test_noise_has_the_power_asked_for():
    windows = prediction.Windows(np.zeros((40, 8, 16, 24), np.complex64), np.zeros((40, 8, 4, 24), np.complex64))
    noisy = prediction.add_noise(windows, (10.0, 10.0), np.random.default_rng(0), future=True)
    for values in (noisy.past, noisy.future):
        assert np.mean(np.abs(values) ** 2) == pytest.approx(0.1, rel=0.02)
        assert np.mean(values.real * values.imag) == pytest.approx(0, abs=1e-3)
    assert prediction.add_noise(windows, (5, 20), np.random.default_rng(0), future=False).future is windows.future
    with pytest.raises(ConfigurationError, match="SNR is 20 to 5 dB"):
        prediction.add_noise(windows, (20, 5), np.random.default_rng(0), future=False)


def test_nmse_by_hand():
    target = torch.tensor([[[[1, 1j]]], [[[2, 0]]]], dtype=torch.complex64)
    wrong = torch.tensor([[[[1, 0]]], [[[2, 1]]]], dtype=torch.complex64)
    torch.testing.assert_close(prediction.nmse(wrong, target), torch.tensor([0.5, 0.25]))


def test_hold_last_equals_the_csi_packages_own():
    data = exponentials()
    windows = prediction.cut(data, WINDOW)
    past, future = tensors(windows)
    errors = prediction.nmse(prediction.make("hold-last", WINDOW)(past), future)
    np.testing.assert_allclose(errors, csi.prediction_error(data.csi, 8, 2, 4), rtol=1e-5)


def test_spectral_efficiency_by_hand():
    channel = torch.ones(1, 4, 1, 1, dtype=torch.complex64) * torch.tensor([1, 1j, -1, -1j])[None, :, None, None]
    perfect = prediction.spectral_efficiency(channel * (2 - 1j), channel, 10.0)
    assert float(perfect) == pytest.approx(math.log2(1 + 10 * 4), rel=1e-6)  # array gain 4, whatever its scale
    orthogonal = channel * torch.tensor([1, -1, 1, -1])[None, :, None, None]
    assert float(prediction.spectral_efficiency(orthogonal, channel, 10.0)) == pytest.approx(0, abs=1e-5)


def test_prony_continues_exponentials():
    """One ray a delay obeys a recursion exactly: without noise and ridge nothing is left of the error."""
    past, future = tensors(prediction.cut(exponentials(), WINDOW))
    exact = prediction.make("prony", WINDOW, order=1, ridge=1e-7, energy=1.0)
    held = prediction.nmse(prediction.make("hold-last", WINDOW)(past), future)
    assert float(held.min()) > 0.01
    assert float(prediction.nmse(exact(past), future).max()) < 1e-5


@pytest.mark.parametrize("both", [True, False])
def test_prony_solves_the_equations_of_one_direction_or_both(both):
    """One sample of one tone, so one delay: numpy solves all equations, one after the other, as least squares."""
    past, order = torch.randn(1, 3, 9, 1, dtype=torch.complex64, generator=torch.Generator().manual_seed(3)), 2
    window = dataclasses.replace(WINDOW, history=9, horizon=1)
    rows, values = [], []
    for antenna in past[0, :, :, 0].numpy():
        for series in (antenna, antenna[::-1].conj()) if both else (antenna,):
            for t in range(order, 9):
                rows.append(series[t - order : t])
                values.append(series[t])
    recursion = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    expected = past[0, :, -order:, 0].numpy() @ recursion
    method = prediction.make("prony", window, order=order, ridge=0.0, energy=1.0, both_directions=both)
    predicted = method(past)[0, :, 0, 0]
    strongest = past[0, :, :, 0].abs().amax(-1).numpy()
    assert (abs(expected) < strongest).all()  # so no bound applies
    np.testing.assert_allclose(predicted, expected, rtol=1e-4)


def test_prony_stays_bounded_on_noise():
    past = torch.randn(50, 2, 8, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    predicted = prediction.make("prony", WINDOW, order=3, ridge=0.0)(past)
    assert torch.isfinite(predicted).all()
    assert float(predicted.abs().max()) < 4 * float(past.abs().max())


@pytest.mark.parametrize(
    ("name", "sizes", "words"),
    [
        ("prony", {"order": 4}, "order 4; legal are 1 to 3"),
        ("prony", {"order": 1, "ridge": -1.0}, "ridge -1"),
        ("gru", {"width": 0}, "width 0"),
        ("cnn", {"layers": 1}, "layers 1"),
        ("transformer", {"width": 10, "heads": 4}, "width 10, heads 4"),
    ],
)
def test_illegal_sizes_are_refused(name, sizes, words):
    with pytest.raises(ConfigurationError, match=words):
        prediction.make(name, WINDOW, **sizes)


@pytest.mark.parametrize("name", ["hold-last", "prony"])
def test_another_band_cannot_be_predicted_without_learning(name):
    with pytest.raises(ConfigurationError, match="fdd"):
        prediction.make(name, dataclasses.replace(WINDOW, duplex="fdd"))


@pytest.mark.parametrize("name", [*SIZES, "lam"])
def test_learned_predictors_learn(name, backbone):
    """A few hundred steps on a handful of samples beat holding the last snapshot; the seed decides everything."""
    past, future = tensors(prediction.cut(exponentials(samples=8), WINDOW))
    held = float(prediction.nmse(prediction.make("hold-last", WINDOW)(past), future).mean())
    predictor = make(name, WINDOW, backbone)
    twin = make(name, WINDOW, backbone)
    assert all(torch.equal(a, b) for a, b in zip(predictor.parameters(), twin.parameters(), strict=True))
    optimiser = torch.optim.Adam(predictor.trained().values(), lr=3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        loss = prediction.nmse(predictor(past), future).mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.3 * held


@pytest.mark.parametrize("name", [*SIZES, "lam"])
def test_antennas_are_sequences_of_their_own(name, backbone):
    past, _ = tensors(prediction.cut(exponentials(samples=2), WINDOW))
    predictor = make(name, WINDOW, backbone).eval()
    with torch.no_grad():
        both, one = predictor(past), predictor(past[1:, 1:])
    assert both.shape == (2, 2, 2, 4)
    torch.testing.assert_close(both[1:, 1:], one, rtol=1e-4, atol=1e-5)


def test_of_the_lam_only_adapters_norms_positions_and_its_own_parts_are_trained(backbone):
    lam = prediction.Lam(WINDOW, backbone, SMALL_LAM)
    inside = [name.removeprefix("backbone.") for name in lam.trained() if name.startswith("backbone.")]
    assert inside
    assert all("lora_" in name or "LayerNorm" in name or "position_embeddings" in name for name in inside)
    frozen = sum(p.numel() for p in lam.backbone.parameters() if not p.requires_grad)
    assert frozen > 1_000_000  # one whole layer of the backbone
    assert len(lam.backbone.encoder.layer) == 1
    assert len(backbone.model.encoder.layer) == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [({"layers": 7}, "layers 7 .* 1 to 6"), ({"patch": 3}, "patch 3"), ({"channels": 0}, "channels is 0")],
)
def test_illegal_lams_are_refused(change, words, backbone):
    with pytest.raises(ConfigurationError, match=words):
        prediction.Lam(WINDOW, backbone, dataclasses.replace(SMALL_LAM, **change))


def test_a_backbone_without_layers_is_refused(backbone):
    strange = dataclasses.replace(
        backbone, model=SimpleNamespace(named_modules=lambda: [], config=SimpleNamespace(num_hidden_layers=6))
    )
    with pytest.raises(ConfigurationError, match="layers are not found"):
        prediction.Lam(WINDOW, strange, SMALL_LAM)


def off_grid(steps, orders=1):
    """Windows of one ray a delay whose future lies at any times, in periods of the past."""
    rng, history = np.random.default_rng(5), 8
    t = np.concatenate((np.arange(history), history - 1 + np.asarray(steps)))
    csi_of = np.zeros((4, 2, len(t), 4), complex)
    for s in range(4):
        for delay in range(2):
            for _ in range(orders):
                gains = rng.normal(size=(2, 1, 1)) + 1j * rng.normal(size=(2, 1, 1))
                tones = np.exp(-2j * np.pi * delay * np.arange(4) / 4)
                csi_of[s] += gains * np.exp(2j * np.pi * rng.uniform(-0.4, 0.4) * t)[:, None] * tones
    csi_of = csi_of.astype(np.complex64)
    return torch.from_numpy(csi_of[:, :, :history]), torch.from_numpy(csi_of[:, :, history:])


@pytest.mark.parametrize("order", [1, 2])
def test_prony_between_the_snapshots(order):
    """Poles say what is between two snapshots, and far beyond; at whole times they agree with the recursion."""
    steps = (0.25, 0.7, 1.0, 2.0, 3.5)
    past, future = off_grid(steps, order)
    window = dataclasses.replace(WINDOW, horizon=5)
    exact = prediction.make("prony", window, order=order, ridge=1e-7, energy=1.0, steps=steps)
    assert float(prediction.nmse(exact(past), future).max()) < 5e-3
    recursion = prediction.make("prony", WINDOW, order=order, ridge=1e-7, energy=1.0)
    torch.testing.assert_close(exact(past)[:, :, 2:4], recursion(past), rtol=0.05, atol=0.05)
    noise = prediction.make("prony", window, order=3, steps=steps)(torch.randn_like(past))
    assert torch.isfinite(noise).all()
    for wrong in ((1.0,), (0.0, 1, 2, 3, 4), (math.inf, 1, 2, 3, 4)):
        with pytest.raises(ConfigurationError, match="5 positive numbers"):
            prediction.make("prony", window, order=order, steps=wrong)


LAMS = {
    "autoregressive": {"pre_encoder": "autoregressive", "causal_width": 16},
    "autoregressive, delays": {"pre_encoder": "autoregressive", "causal_width": 16, "views": "delay"},
    "frequency": {"views": "frequency"},
    "delay": {"views": "delay"},
    "none": {"residual": "none"},
}


@pytest.mark.parametrize("name", [*LAMS, "full", "continued"])
def test_other_lams_learn(name, backbone):
    past, future = tensors(prediction.cut(exponentials(samples=8), WINDOW))
    held = float(prediction.nmse(prediction.make("hold-last", WINDOW)(past), future).mean())
    settings = dataclasses.replace(SMALL_LAM, **LAMS.get(name, {}))
    if name == "continued":
        settings = dataclasses.replace(settings, residual="none", patch=5)
        predictor = prediction.Continued(
            WINDOW, lambda window: prediction.Lam(window, backbone, settings, seed=3), prediction.make("prony", WINDOW)
        )
        assert predictor.inner.along_time.in_features == 10
    else:
        predictor = prediction.Lam(WINDOW, backbone, settings, seed=3, full=name == "full")
    optimiser = torch.optim.Adam(predictor.trained().values(), lr=1e-3 if name == "full" else 3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        loss = prediction.nmse(predictor(past), future).mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.35 * held
    if name == "full":
        assert not [each for each in predictor.trained() if "lora" in each]
        assert sum(p.numel() for p in predictor.backbone.parameters() if p.requires_grad) > 1_500_000


def test_a_token_of_the_autoregressive_pre_encoder_knows_no_later_snapshot(backbone):
    settings = dataclasses.replace(SMALL_LAM, pre_encoder="autoregressive", causal_width=8)
    lam = prediction.Lam(WINDOW, backbone, settings, seed=3).eval()
    x = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(1))
    changed = x.clone()
    changed[:, 5:] += 1
    with torch.no_grad():
        before, after = lam._tokens(x), lam._tokens(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(-1).all()


def test_views_see_what_they_say(backbone):
    """The view of delays predicts the transform of what the view of frequencies predicts of the transform."""
    same = {view: prediction.Lam(WINDOW, backbone, dataclasses.replace(SMALL_LAM, views=view, residual="none"), seed=3)
            for view in ("frequency", "delay")}  # fmt: skip
    past = torch.randn(2, 2, 8, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for one, other in zip(same["delay"].delay.parameters(), same["frequency"].frequency.parameters(), strict=True):
            one.copy_(other)
        same["delay"].embed.load_state_dict(same["frequency"].embed.state_dict())
        for name in ("along_time", "project"):
            getattr(same["delay"], name).load_state_dict(getattr(same["frequency"], name).state_dict())
        of_delays = same["delay"].eval()(past)
        of_frequencies = same["frequency"].eval()(torch.fft.ifft(past, dim=-1, norm="ortho"))
    torch.testing.assert_close(of_delays, torch.fft.fft(of_frequencies, dim=-1, norm="ortho"), rtol=1e-3, atol=1e-4)


def test_a_model_that_continues_prony_begins_at_it_and_needs_tdd(backbone):
    past, _ = tensors(prediction.cut(exponentials(), WINDOW))
    settings = dataclasses.replace(SMALL_LAM, residual="prony", patch=5)
    for make_inner in (
        lambda window: prediction.make("cnn", window, channels=4, layers=2),
        lambda window: prediction.Lam(window, backbone, settings, seed=3),
    ):
        continued = prediction.Continued(WINDOW, make_inner, prediction.make("prony", WINDOW))
        with torch.no_grad():
            torch.testing.assert_close(continued(past), prediction.make("prony", WINDOW, order=3)(past))
    with pytest.raises(ConfigurationError, match="fdd"):
        prediction.make("prony", dataclasses.replace(WINDOW, duplex="fdd"))
