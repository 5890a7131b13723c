# SPDX-License-Identifier: GPL-2.0-only
"""Nested models: the whole is the model that it comes from, a width is a smaller transformer, planes refine weights."""

import dataclasses

import numpy as np
import pytest
import small_nested
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.models.cuts import NestedCuts
from edgelam.models.nested import Shape
from edgelam.models.nested.bit_planes import PLANES, joined, rounded, split
from edgelam.models.nested.confidence import calibration_error, leave_early, temperature
from edgelam.models.nested.network import layer
from edgelam.models.quantisation import Format, quantise


@torch.no_grad()
def hidden(nested, inputs, mask=None):
    x = nested.enter(inputs)
    for i in range(nested.shape.layers):
        x = layer(nested.shape, nested.weights(f"layer {i}", nested.shape.widths - 1), x, mask)
    return x


@torch.no_grad()
def test_the_whole_model_has_the_hidden_states_of_the_one_that_it_comes_from():
    model, nested = small_nested.bert(), small_nested.text()
    inputs, mask = small_nested.ids()
    theirs = model(input_ids=inputs, attention_mask=mask.long()).last_hidden_state
    assert torch.allclose(hidden(nested, inputs, mask)[mask], theirs[mask], atol=1e-5)
    model, nested = small_nested.dinov2(), small_nested.images()
    for pixels in (torch.randn(2, 3, 28, 28),):
        theirs = model(pixels).last_hidden_state
        ours = hidden(nested, pixels)
        norm = nested.parts["exit 2"]
        ours = torch.nn.functional.layer_norm(ours, (32,), norm["norm"], norm["norm_bias"], nested.shape.epsilon)
        assert torch.allclose(ours, theirs, atol=1e-5)


@torch.no_grad()
def test_a_width_is_the_model_with_the_other_heads_and_neurons_taken_out():
    nested, (inputs, mask) = small_nested.text(), small_nested.ids()
    for width, (heads, neurons) in enumerate(nested.shape.shares):
        cut = small_nested.text()
        for i in range(4):
            part = cut.parts[f"layer {i}"]
            part["o"].data[:, 8 * heads :] = 0  # nothing comes out of the other heads and neurons
            part["down"].data[:, neurons:] = 0
        expected = cut(inputs, mask)
        found = nested(inputs, mask, width=width)
        assert all(torch.allclose(found[depth], expected[depth], atol=1e-5) for depth in (2, 4))
    assert not torch.allclose(nested(inputs, mask, width=0)[4], nested(inputs, mask)[4], atol=1e-2)


@torch.no_grad()
def test_an_exit_answers_without_the_layers_behind_it_and_padding_changes_nothing():
    nested, (inputs, mask) = small_nested.text(), small_nested.ids()
    assert torch.equal(nested(inputs, mask, depth=2)[2], nested(inputs, mask)[2])
    short = nested(inputs[:1, :-4])
    assert torch.allclose(nested(inputs[:1], mask[:1])[4], short[4], atol=1e-5)
    with pytest.raises(ConfigurationError, match="depth 3; legal are 2, 4"):
        nested(inputs, mask, depth=3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 70), st.sampled_from([8, 32, 64]), st.integers(1, PLANES), st.integers(0, 999))
def test_the_first_planes_are_the_weight_within_half_a_step(rows, width, group, bits, seed):
    torch.manual_seed(seed)
    x = torch.randn(rows, width) * 10.0 ** torch.randint(-3, 3, (rows, 1))
    found = split(x, group)
    values = joined(found.scales, found.planes[:bits], found.shape, group)
    assert torch.equal(values, rounded(x, bits, group))
    whole = quantise(x, Format(PLANES, group)).restored()
    half = 2.0 ** (PLANES - bits) / 2
    scales = found.scales.float().repeat_interleave(group, dim=1)[:, :width]
    assert ((values - whole).abs() <= half * scales + 1e-6 * whole.abs()).all()
    if bits == PLANES:
        assert torch.equal(values, whole)
        assert sum(plane.size for plane in found.planes) == PLANES * -(-rows * width // 8)


def test_lost_bytes_leave_the_bits_that_came_before_and_nothing_where_none_did():
    torch.manual_seed(0)
    x = torch.randn(4, 64)
    found = split(x, 64)
    lost = {0: [(0, 2)], 3: [(8, 16)], 5: [(10, 11)]}
    damaged = [plane.copy() for plane in found.planes]
    for plane, ranges in lost.items():
        for begin, end in ranges:
            damaged[plane][begin:end] = 0xFF  # whatever is there is not looked at
    values = joined(found.scales, damaged, found.shape, 64, lost).flatten()
    for i in range(256):
        known = next((p for p in range(PLANES) if any(8 * a <= i < 8 * b for a, b in lost.get(p, ()))), PLANES)
        if known == 0:
            assert values[i] == 0
        else:
            expected = joined(found.scales, found.planes[:known], found.shape, 64).flatten()
            assert values[i] == expected[i]


def test_planes_that_do_not_fit_and_values_that_are_not_finite_are_refused():
    found = split(torch.ones(2, 16), 16)
    with pytest.raises(ConfigurationError, match=r"0 planes .* legal are 1 to 8 of 4 bytes"):
        joined(found.scales, (), found.shape, 16)
    with pytest.raises(ConfigurationError, match="of 4 bytes"):
        joined(found.scales, [np.zeros(3, np.uint8)], found.shape, 16)
    with pytest.raises(ConfigurationError, match="NaN"):
        split(torch.tensor([[1.0, float("nan")]]), 16)


@torch.no_grad()
def test_a_cut_of_any_size_anywhere_changes_nothing():
    nested, (inputs, mask) = small_nested.text(), small_nested.ids()
    for depth, width in ((2, 0), (4, 1), (4, -1)):
        cuts = NestedCuts(nested, depth, width)
        expected = nested(inputs, mask, depth=depth, width=width)[depth]
        for cut in range(len(cuts.stages) + 1):
            there = cuts.run(cuts.run({"ids": inputs, "mask": mask}, 0, cut), cut, len(cuts.stages))
            assert torch.equal(there["logits"], expected)
    assert NestedCuts(nested, 2, 0).weight_bytes(0, 4) < NestedCuts(nested, 4).weight_bytes(0, 6)
    pixels, images = torch.randn(2, 3, 28, 28), small_nested.images()
    cuts = NestedCuts(images)
    crossing = cuts.run({"pixels": pixels}, 0, 2)
    assert torch.equal(cuts.run(crossing, 2, 4)["logits"], images(pixels)[2])
    with pytest.raises(ConfigurationError, match="depth 3; legal are 2, 4"):
        NestedCuts(nested, 3)


def test_a_temperature_calibrates_and_confident_answers_leave_early():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(4000, 5, generator=generator).double()
    labels = torch.multinomial(truth.softmax(dim=1), 1, generator=generator)[:, 0]
    assert temperature(3 * truth, labels) == pytest.approx(3, rel=0.1)  # three times too sure
    assert calibration_error((3 * truth).softmax(dim=1), labels) > 0.2
    assert calibration_error(truth.softmax(dim=1), labels) < 0.04
    by_hand = calibration_error(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]), torch.tensor([0, 1, 1]), bins=2)
    assert by_hand == pytest.approx(abs(2 / 3 - 0.8))
    logits = {
        2: torch.tensor([[4.0, 0.0], [0.1, 0.0], [0.0, 3.0]]),
        6: torch.tensor([[0.0, 9.0], [0.0, 9.0], [9.0, 0.0]]),
    }
    answers, depths = leave_early(logits, {2: 1.0, 6: 1.0}, 0.9)
    assert answers.tolist() == [0, 1, 1]
    assert depths.tolist() == [2, 6, 2]
    assert leave_early(logits, {2: 1.0, 6: 1.0}, 0.0)[1].tolist() == [2, 2, 2]
    assert leave_early(logits, {2: 1.0, 6: 1.0}, 1.0)[1].tolist() == [6, 6, 6]
    with pytest.raises(ConfigurationError, match=r"threshold is 1\.5"):
        leave_early(logits, {2: 1.0, 6: 1.0}, 1.5)


def test_shapes_that_do_not_fit_are_refused():
    shape = small_nested.text().shape
    assert Shape.from_json(shape.to_json()) == shape
    for changes, text in (
        ({"exits": (4, 2)}, "ascending"),
        ({"exits": (2,)}, "the last exit is 2"),
        ({"shares": ((1, 16), (4, 40))}, "the last width"),
        ({"shares": ((3, 16), (2, 40), (4, 48))}, "must both ascend"),
        ({"heads": 5}, "heads do not divide"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            dataclasses.replace(shape, **changes)
    for text in ("{", "{}", '{"exits": 3}'):
        with pytest.raises(ConfigurationError, match="not the shape of a nested model"):
            Shape.from_json(text)
