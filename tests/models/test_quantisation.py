# SPDX-License-Identifier: GPL-2.0-only
"""Quantisation against slow obvious code, hand-computed bytes and properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.models.quantisation import Format, quantise, quantise_weights, rounded
from edgelam.random_streams import torch_generator


def slow(row, bits, group):
    """One row, value by value."""
    most = 2 ** (bits - 1) - 1
    group = group or len(row)
    out = []
    for begin in range(0, len(row), group):
        part = row[begin : begin + group]
        scale = float(np.float16(np.float32(max(abs(v) for v in part)) / np.float32(most)))
        for v in part:
            code = 0 if scale == 0 else int(np.rint(np.float32(v) / np.float32(scale)))
            out.append(max(-most, min(most, code)) * scale)
    return out


@settings(deadline=None)
@given(
    st.builds(Format, st.integers(2, 8), st.integers(0, 9), st.integers(0, 3)),
    st.tuples(st.integers(1, 4), st.integers(1, 20)),
    st.integers(0, 2**32),
)
def test_it_is_the_slow_one_and_the_bytes_are_exact(form, shape, seed):
    (rows, width), (bits, group, outliers) = shape, (form.bits, form.group, form.outliers)
    x = torch.randn(rows, width, generator=torch_generator(seed))
    found = quantise(x, form)
    kept = torch.ones(width, dtype=torch.bool)
    kept[found.places.long()] = False
    restored = found.restored()
    for r in range(rows):
        if kept.any():
            np.testing.assert_allclose(restored[r, kept].numpy(), slow(x[r, kept].tolist(), bits, group), rtol=1e-6)
    assert torch.equal(restored[:, ~kept], x[:, ~kept].half().float())
    assert found.nbytes == form.wire_bytes((rows, width))
    assert len(found.places) == min(outliers, width)
    if outliers and kept.any() and (~kept).any():
        assert x[:, ~kept].abs().amax(0).min() >= x[:, kept].abs().amax(0).max()


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32))
def test_errors_are_at_most_half_a_step(bits, seed):
    x = torch.randn(3, 40, generator=torch_generator(seed))
    found = quantise(x, Format(bits, 8))
    step = found.scales.float().repeat_interleave(8, dim=1)
    assert ((found.restored() - x).abs() <= step * (0.5 + 2**-10 * 2**bits)).all()  # scales are rounded to fp16


def test_bytes_by_hand():
    assert Format(4, 32).wire_bytes((10, 64)) == 10 * (32 + 2 * 2)
    assert Format(3, 0).wire_bytes((5, 7)) == 14 + 10  # 105 bits
    assert Format(8, 32, 2).wire_bytes((4, 34)) == 4 * 32 + 2 * 4 + 2 * (8 + 4)
    assert quantise(torch.zeros(0, 5), Format()).nbytes == 0
    assert quantise(torch.tensor(3.0), Format()).restored().shape == ()


def test_outlier_channels_save_the_others():
    x = torch.randn(16, 64, generator=torch_generator(3))
    x[:, 5] *= 1000
    plain, kept = (float((rounded(x, Format(4, 64, n)) - x)[:, torch.arange(64) != 5].square().mean()) for n in (0, 1))
    assert kept < plain / 50


def test_a_model_is_rounded_in_place_and_counted():
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(), torch.nn.Linear(8, 4)
    )
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    size = quantise_weights(model, Format(8, 32))
    kernel, linear, halves = 8 * (27 + 2), 4 * (8 + 2), 2 * (8 + 8 + 8 + 4)
    assert size == kernel + linear + halves + 2 * 8 * 4 + 8  # the statistics of 8 channels, and their counter
    kernels = before["0.weight"].reshape(8, 27)
    assert torch.equal(model[0].weight.reshape(8, 27), rounded(kernels, Format(8, 32)))
    assert torch.equal(model[3].bias, before["3.bias"].half().float())
    parameters = sum(weight.numel() for weight in model.parameters())
    assert quantise_weights(model, Format(), skip=lambda name: True) == 2 * parameters + 2 * 8 * 4 + 8


def test_tied_weights_count_once():
    table = torch.nn.Embedding(10, 32)
    head = torch.nn.Linear(32, 10, bias=False)
    head.weight = table.weight
    assert quantise_weights(torch.nn.ModuleList([table, head]), Format(4, 32)) == 10 * (16 + 2)


def test_formats_as_text():
    assert Format.parse("int4") == Format(4, 32)
    assert Format.parse("int4/64+8") == Format(4, 64, 8)
    assert Format.parse(str(Format(3, 0, 2))) == Format(3, 0, 2)
    for text in ("fp4", "int", "int4/", "int4+"):
        with pytest.raises(ConfigurationError, match="legal are intB"):
            Format.parse(text)
    for bits in (1, 9):
        with pytest.raises(ConfigurationError, match=f"bits is {bits}; legal are 2 to 8"):
            Format(bits)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_values_that_cannot_be_quantised(value):
    with pytest.raises(ConfigurationError, match="NaN, infinite or larger than 65504"):
        quantise(torch.tensor([1.0, value]), Format())
    with pytest.raises(ConfigurationError, match=r"torch\.int64 cannot be quantised"):
        quantise(torch.tensor([1]), Format())
