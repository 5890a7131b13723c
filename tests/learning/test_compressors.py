# SPDX-License-Identifier: GPL-2.0-only
"""Compressors: against slow code, what error feedback promises, and their bytes on the wire."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from edgelam import cosim
from edgelam.errors import ConfigurationError, Diverged
from edgelam.learning.compressors import CompressionSettings, State, make, wire_bytes
from edgelam.learning.compressors.power_sgd import factors

KINDS = ("none", "fp16", "int8", "int4", "top-k", "powersgd")
FED_BACK = ("int8", "int4", "top-k", "powersgd")
SHAPES = numpy_st.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=9)
TENSORS = SHAPES.flatmap(
    lambda shape: numpy_st.arrays(np.float32, shape, elements=st.floats(-1000, 1000, width=32))
).map(torch.from_numpy)


def compressor(kind, **sizes):
    return make(CompressionSettings(kind, **sizes), seed=1)


def sent(kind, update, state=None, **sizes):
    """What a receiver decodes of an update, over the wire of a message of whatever encoding; and the payload."""
    rule = compressor(kind, **sizes)
    payload = rule.encode("w", update, state or State())
    arrived = cosim.decode(cosim.encode(payload, "fp16"))
    assert cosim.wire_size(payload, "int8") == wire_bytes(payload)
    return rule.decode(arrived, update.shape, update.dtype), payload


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# ---- every compressor ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@given(update=TENSORS, dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]))
@settings(max_examples=40, deadline=None)
def test_shape_and_dtype_come_back(kind, update, dtype):
    decoded, _ = sent(kind, update.to(dtype))
    assert (decoded.shape, decoded.dtype) == (update.shape, dtype)
    assert torch.isfinite(decoded).all()


@pytest.mark.parametrize("kind", KINDS)
@given(updates=st.lists(TENSORS, min_size=1, max_size=1).flatmap(
    lambda first: st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=6).map(lambda f: [x * first[0] for x in f])
))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_what_was_decoded_and_what_is_owed_is_the_sum_of_all_updates(kind, updates):
    """In float64, so that the rounding of the sums is out of the way."""
    rule, state = compressor(kind, share=0.2, rank=1), State()
    updates = [update.double() for update in updates]
    decoded = sum(
        rule.decode(rule.encode("w", update, state), update.shape, update.dtype) for update in updates
    )  # fmt: skip
    total = sum(updates)
    if kind in FED_BACK:
        torch.testing.assert_close(decoded + state.residuals["w"], total, rtol=1e-9, atol=1e-9)
    elif kind == "none":
        torch.testing.assert_close(decoded, total, rtol=0, atol=0)
    else:
        bound = sum(update.abs() for update in updates) * 2**-11 + len(updates) * 2**-24
        assert ((decoded - total).abs() <= bound + 1e-9).all()
        assert not state.residuals


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4), (30, 40), (6, 5, 4), (0,), (3, 0)])
def test_zeros_stay_zeros(kind, shape):
    state = State()
    for _ in range(3):
        decoded, _ = sent(kind, torch.zeros(shape), state)
        assert torch.equal(decoded, torch.zeros(shape))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_and_owed_by_nobody(kind, bad):
    update, state = normal(30, 40), State()
    compressor(kind).encode("w", update, state)
    before = {name: tensor.clone() for name, tensor in state.state_dict().items()}
    update[3, 4] = bad
    with pytest.raises(Diverged, match="update of w to compress holds NaN or infinite"):
        compressor(kind).encode("w", update, state)
    after = state.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(ConfigurationError, match="floating-point tensors are legal"):
        compressor(kind).encode("w", torch.arange(4), state)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_again(kind):
    def payloads():
        rule, state = compressor(kind), State()
        return [rule.encode("w", normal(30, 40, seed=i), state) for i in range(3)]

    for one, two in zip(payloads(), payloads(), strict=True):
        assert one.keys() == two.keys()
        assert all(one[name].tobytes() == two[name].tobytes() for name in one)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_put_aside_goes_on_as_if_it_had_not_been(kind):
    rule, state = compressor(kind), State()
    for i in range(2):
        rule.encode("w", normal(30, 40, seed=i), state)
        rule.encode("b", normal(30, seed=10 + i), state)
    saved = {name: tensor.clone() for name, tensor in state.state_dict().items()}
    assert state.num_bytes == sum(4 * tensor.numel() for tensor in saved.values())
    resumed = State()
    resumed.load_state_dict(saved)
    one, two = (rule.encode("w", normal(30, 40, seed=5), each) for each in (state, resumed))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)
    for strange in ("momentum/w", "residuals", "residuals/"):
        with pytest.raises(ConfigurationError, match="no state of a compressor"):
            resumed.load_state_dict({strange: torch.zeros(1)})


def test_tensors_owe_by_name():
    rule, state = compressor("top-k", share=0.5), State()
    rule.encode("a", torch.tensor([1.0, 10.0]), state)
    rule.encode("b", torch.tensor([7.0, 3.0]), state)
    assert state.residuals["a"].tolist() == [1.0, 0.0]
    assert state.residuals["b"].tolist() == [0.0, 3.0]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_do_not_fit_the_agreed_shape_are_refused(kind):
    payload = compressor(kind).encode("w", normal(30, 40), State())
    with pytest.raises(ConfigurationError, match=r"legal are|place"):
        compressor(kind).decode(payload, (2, 3), torch.float32)


# ---- each by itself ------------------------------------------------------------------------------------------------


def test_half_precision_is_numpy_s():
    update = normal(7, 5) * 1000
    update[0, 0], update[0, 1] = 1e6, 1e-9
    decoded, payload = sent("fp16", update)
    expected = np.clip(update.numpy(), -65504, 65504).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(decoded.numpy(), expected)
    assert wire_bytes(payload) == 2 * 35


@pytest.mark.parametrize("shape", [(6,), (3, 40), (40, 3), (2, 9, 4)])
def test_int8_line_by_line(shape):
    update = normal(*shape)
    decoded, payload = sent("int8", update)
    axis = max(range(len(shape)), key=lambda a: shape[a])
    lines, expected = update.movedim(axis, -1).reshape(-1, shape[axis]), []
    for line in lines:
        scale = np.float32(max(abs(float(x)) for x in line)) / np.float32(127)
        expected.append([float(np.rint(np.float32(x) / scale) * scale) for x in line])
    expected = torch.tensor(expected).reshape(update.movedim(axis, -1).shape).movedim(-1, axis)
    torch.testing.assert_close(decoded, expected, rtol=1e-6, atol=0)
    assert wire_bytes(payload) == update.numel() + 4 * len(lines)


@pytest.mark.parametrize("shape", [(), (6,), (3, 41), (2, 9, 4)])
def test_int4_line_by_line(shape):
    update = normal(*shape)
    decoded, payload = sent("int4", update)
    lines = update.reshape(-1, shape[-1] if shape else 1).tolist()
    expected = []
    for line in lines:
        scale = np.float32(max(abs(x) for x in line)) / np.float32(7)
        expected += [float(np.rint(np.float32(x) / scale) * scale) for x in line]
    torch.testing.assert_close(decoded, torch.tensor(expected).reshape(shape), rtol=1e-6, atol=0)
    assert wire_bytes(payload) == len(lines) * (4 + math.ceil(len(lines[0]) / 2))


@given(update=TENSORS, share=st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_top_k_takes_the_largest(update, share):
    decoded, payload = sent("top-k", update, share=share)
    count = math.ceil(share * update.numel())
    flat = update.flatten().tolist()
    largest = sorted(range(len(flat)), key=lambda i: (-abs(flat[i]), i))[:count]
    expected = [x if i in largest else 0.0 for i, x in enumerate(flat)]
    assert decoded.flatten().tolist() == expected
    assert wire_bytes(payload) == count * (4 + (1 if update.numel() <= 256 else 2))


def test_places_take_the_bytes_they_need():
    for numel, place in ((256, 1), (257, 2), (65536, 2), (65537, 4)):
        update = torch.zeros(numel)
        update[-1] = 1.0
        decoded, payload = sent("top-k", update, share=1 / numel)
        assert (wire_bytes(payload), decoded[-1]) == (4 + place, 1.0)


def test_power_sgd_by_hand():
    """One step with a given right factor, the columns orthonormalised one after the other."""
    update, state = normal(12, 20, dtype=torch.float64), State(bases={"w": normal(20, 2, seed=1, dtype=torch.float64)})
    product = update @ state.bases["w"]
    first = product[:, 0] / product[:, 0].norm()
    second = product[:, 1] - (product[:, 1] @ first) * first
    p = torch.stack([first, second / second.norm()], dim=1)
    decoded, payload = sent("powersgd", update, state, rank=2)
    torch.testing.assert_close(decoded, p @ p.T @ update)
    torch.testing.assert_close((state.bases["w"] @ state.bases["w"].T), update.T @ p @ p.T @ update)
    assert wire_bytes(payload) == 8 * 2 * (12 + 20)


@given(n=st.integers(1, 8), m=st.integers(1, 8), rank=st.integers(0, 8), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_factors_of_full_rank_are_exact(n, m, rank, seed):
    """Also of matrices whose own rank is smaller, down to none."""
    rank = min(rank, n, m)
    matrix = normal(n, rank, seed=seed, dtype=torch.float64) @ normal(rank, m, seed=seed + 1, dtype=torch.float64)
    p, q = factors(matrix, normal(m, min(n, m), seed=seed + 2, dtype=torch.float64))
    torch.testing.assert_close(p @ q.T, matrix, rtol=1e-7, atol=1e-7)


def test_power_sgd_sends_what_it_cannot_shrink_as_it_is():
    for shape, rank in (((5,), 1), ((), 1), ((2, 2), 1), ((4, 4), 2)):
        decoded, payload = sent("powersgd", normal(*shape), rank=rank)
        assert torch.equal(decoded, normal(*shape))
        assert wire_bytes(payload) == 4 * normal(*shape).numel()


def test_the_warm_start_finds_the_best_low_rank_part():
    """The same update again and again: the decoded ones come to the truncated singular value decomposition."""
    u, _, vh = torch.linalg.svd(normal(16, 24, dtype=torch.float64), full_matrices=False)
    values = torch.tensor([8.0, 4.0, *[0.1] * 14], dtype=torch.float64)
    update = (u * values) @ vh
    rule, state = compressor("powersgd", rank=2), State()
    for _ in range(20):
        state.residuals.clear()
        decoded = rule.decode(rule.encode("w", update, state), update.shape, update.dtype)
    torch.testing.assert_close(decoded, (u[:, :2] * values[:2]) @ vh[:2], rtol=1e-6, atol=1e-6)


def test_an_update_of_zeros_does_not_end_the_warm_start():
    rule, state = compressor("powersgd", rank=1), State()
    rule.encode("w", torch.zeros(8, 8), state)
    update = torch.outer(normal(8), normal(8, seed=1))
    torch.testing.assert_close(rule.decode(rule.encode("w", update, state), (8, 8), torch.float32), update)


def test_feedback_delivers_what_a_single_update_leaves_out():
    """A constant update, 40 times: the mean of what was decoded comes to it."""
    update = normal(30, 40)
    for kind in FED_BACK:
        rule, state = compressor(kind, share=0.1, rank=2), State()
        decoded = [rule.decode(rule.encode("w", update, state), update.shape, update.dtype) for _ in range(40)]
        once, mean = decoded[0], torch.stack(decoded).mean(dim=0)
        assert (mean - update).norm() < 0.5 * (once - update).norm()


def test_sizes_that_are_not_legal_are_refused():
    for wrong in ({"share": 0.0}, {"share": 1.5}, {"share": math.nan}, {"rank": 0}):
        with pytest.raises(ConfigurationError, match="compression"):
            CompressionSettings(**wrong)
