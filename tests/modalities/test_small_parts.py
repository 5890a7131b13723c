# SPDX-License-Identifier: GPL-2.0-only
"""Tokens of series, projectors, the denoiser, error rates: against slow code and cases worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.modalities import bytes_to_text, denoising, projectors, sensor, text_to_bytes
from edgelam.modalities.module import taken
from edgelam.modalities.spoken import word_error_rate
from edgelam.modalities.voicing import resampled, to_int16


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 60), channels=st.integers(1, 3), patch=st.integers(1, 12), stride=st.integers(1, 12)
)  # fmt: skip
def test_patches_are_what_a_loop_cuts(length, channels, patch, stride):
    series = torch.randn(2, length, channels, generator=torch.Generator().manual_seed(length))
    found = sensor.patches(series, patch, stride)
    count = 1
    while (count - 1) * stride + patch < length:
        count += 1
    assert found.shape == (2, count, patch * channels)
    for b in range(2):
        for n in range(count):
            for p in range(patch):
                at = min(n * stride + p, length - 1)
                assert torch.equal(found[b, n, p * channels : (p + 1) * channels], series[b, at])


def test_normalising_removes_level_and_size_and_tells_them():
    series = torch.randn(3, 50, 6, generator=torch.Generator().manual_seed(1))
    normal, level = sensor.normalise(5.0 * series + 3.0)
    assert normal.mean(dim=1).abs().max() < 1e-5
    assert (normal.square().mean(dim=1) - 1).abs().max() < 1e-4
    again, other = sensor.normalise(series)
    assert torch.allclose(normal, again, atol=1e-4)
    assert torch.allclose(level[:, 6:] - other[:, 6:], torch.tensor(5.0).log(), atol=1e-4)
    still, _ = sensor.normalise(torch.full((1, 20, 6), 7.0))  # a sensor that shows one value
    assert torch.equal(still, torch.zeros(1, 20, 6))


@pytest.mark.parametrize(("length", "tokens"), [(1, 2), (10, 2), (11, 3), (100, 20)])
def test_the_tokeniser_takes_series_of_any_length(length, tokens):
    tokenizer = sensor.PatchTokenizer()
    with torch.no_grad():
        assert tokenizer(torch.randn(2, length, 6)).shape == (2, tokens, 64)
    module = sensor.SensorTokenizerModule(tokenizer)
    for bad, said in (
        (torch.randn(10, 5), r"\[10, 5\]; legal is torch.float32 \[any, 6\]"),
        (torch.randn(10, 6).double(), "torch.float64"),
        (torch.full((10, 6), torch.nan), "NaN or infinite"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            module.forward({"series": bad})
    with pytest.raises(ConfigurationError, match="'series' is missing"):
        module.forward({})


def test_an_input_projector_is_ridge_regression_onto_words():
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 3
    features = (rng.standard_normal((60, 8)) + 2.0 * np.eye(3, 8)[labels]).astype(np.float32)
    words = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(1))
    projector, left_out = projectors.fit_input_projector(features, labels.astype(np.int64), words)
    scores = projector.down(torch.from_numpy(features)).detach()
    found = projector(torch.from_numpy(features)).detach()
    assert found.shape == (60, 2, 5)
    assert torch.allclose(
        found, torch.einsum("sc,ctw->stw", (projectors.SHARPNESS * scores).softmax(1), words), atol=1e-5
    )
    # the obvious way, for every strength: fit without a sample, predict it
    x = (features - features.mean(0)) / (features.std(0) + 1e-6)
    best = (np.inf, 0.0, None)
    for strength in projectors.STRENGTHS:
        predictions = []
        for i in range(60):
            rest = np.delete(np.arange(60), i)
            a, y = x[rest].astype(np.float64), np.eye(3)[labels[rest]]
            middle, mean = a.mean(0), y.mean(0)
            w = np.linalg.solve((a - middle).T @ (a - middle) + strength * np.eye(8), (a - middle).T @ (y - mean))
            predictions.append((x[i] - middle) @ w + mean)
        error = np.square(np.array(predictions) - np.eye(3)[labels]).mean()
        best = min(best, (error, float((np.argmax(predictions, 1) == labels).mean()), None), key=lambda e: e[0])
    assert left_out == best[1]
    with pytest.raises(ConfigurationError, match="every one of the 3 classes needs samples"):
        projectors.fit_input_projector(features, np.zeros(60, np.int64), words)


def test_the_true_velocity_brings_noise_back_to_the_image():
    generator = torch.Generator().manual_seed(2)
    clean = torch.rand(4, denoising.PIXELS, generator=generator) * 2 - 1
    noise = torch.randn(clean.shape, generator=generator)

    def truth(noisy, time, condition):
        return denoising.mix(clean, noise, time)[1]

    drawn = denoising.draw(truth, torch.zeros(4, 10), noise)
    assert (drawn - clean).abs().max() < 1e-4
    noisy, _ = denoising.mix(clean, noise, torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert torch.allclose(noisy[0], clean[0])
    assert torch.allclose(noisy[1], noise[1], atol=1e-6)


def test_a_decoder_draws_the_same_twice_and_another_with_another_seed():
    torch.manual_seed(1)
    decoder = denoising.DigitDecoder(denoising.Denoiser())
    condition = torch.eye(10)[3]
    pictures = [
        decoder.forward({"condition": condition, "noise_seed": torch.tensor([seed])})["picture"] for seed in (5, 5, 6)
    ]
    assert pictures[0].shape == (8, 8)
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])
    with pytest.raises(ConfigurationError, match="legal is 0 or more"):
        decoder.forward({"condition": condition, "noise_seed": torch.tensor([-1])})


@pytest.mark.parametrize(
    ("said", "written", "rate"),
    [
        ("Open the door.", "open the door", 0.0),
        ("open the door", "open a door", 1 / 3),
        ("open the door", "the door", 1 / 3),
        ("open the door", "open the red door now", 2 / 3),
        ("don't stop", "dont stop", 0.0),
        ("stop", "", 1.0),
        ("", "stop", 1.0),
    ],
)
def test_word_error_rate(said, written, rate):
    assert word_error_rate(said, written) == pytest.approx(rate)


def test_texts_and_samples_as_tensors():
    assert bytes_to_text(text_to_bytes("zwölf 漢字")) == "zwölf 漢字"
    assert bytes_to_text(torch.tensor([0x61, 0xFF], dtype=torch.uint8)) == "a�"
    with pytest.raises(ConfigurationError, match="a text is uint8"):
        bytes_to_text(torch.tensor([1.0]))
    tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32)
    slower = resampled(tone, 22050, 16000)
    assert len(slower) == 16000
    assert np.abs(slower - np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).max() < 1e-3
    assert to_int16(np.array([0.0, 1.0, -2.0], np.float32)).tolist() == [0, 32767, -32768]


def test_inputs_are_checked_by_name_dtype_and_shape():
    class Owner:
        name, takes = "m", ("x",)

    assert taken(Owner, {"x": torch.zeros(2, 3)}, "x", torch.float32, None, 3).shape == (2, 3)
    with pytest.raises(ConfigurationError, match=r"'x' is torch.float32 \[0, 3\]; legal is torch.float32 \[any, 3\]"):
        taken(Owner, {"x": torch.zeros(0, 3)}, "x", torch.float32, None, 3)
