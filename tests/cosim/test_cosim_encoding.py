# SPDX-License-Identifier: GPL-2.0-only
"""Payload encodings: exact sizes, rounding, losses."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgelam.cosim import ENCODINGS, decode, encode, wire_size
from edgelam.errors import ConfigurationError

X = torch.linspace(-3, 3, 2 * 5 * 7).reshape(2, 5, 7)


@pytest.mark.parametrize(
    ("encoding", "nbytes"),
    [("fp32", 280), ("fp16", 70 * 2), ("bf16", 70 * 2), ("int8", 110), ("fp64", 70 * 8), ("exact", 70 * 4)],
)
def test_wire_size_is_exact(encoding, nbytes):
    encoded = encode(X, encoding)
    assert encoded.nbytes == nbytes == len(encoded.tobytes()) == wire_size(X, encoding)


def test_table_worked_out_by_hand():
    assert encode(np.float32([1.0, -2.0]), "fp32").tobytes().hex() == "0000803f000000c0"
    assert encode(np.float32([1.0, -2.0]), "fp16").tobytes().hex() == "003c00c0"
    # 1.00390625 lies half-way between the bfloat16 neighbours 0x3f80 and 0x3f81 (even wins), 1.01171875 goes to 0x3f82
    assert encode(np.float32([1.0, -2.0, 1.00390625, 1.01171875]), "bf16").tobytes().hex() == "803f00c0803f823f"
    # scale 2.54 / 127 = 0.02: 1.27 -> 64 (63.5 to even), -2.54 -> -127
    wire = encode(np.float32([[1.27, -2.54]]), "int8").tobytes()
    assert np.frombuffer(wire[:4], np.float32)[0] == np.float32(2.54) / np.float32(127)
    assert list(np.frombuffer(wire[4:], np.int8)) in ([64, -127], [63, -127])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_round_trip_keeps_dtype_shape_and_close_values(dtype, encoding):
    x = X.to(dtype)
    y = decode(encode(x, encoding))
    assert (y.dtype, y.shape, y.requires_grad) == (dtype, x.shape, False)
    tolerance = {"bf16": 2**-8, "int8": 3 / 127, "fp16": 2**-10, "fp32": 2**-23}.get(encoding, 0)
    assert (y.double() - x.double()).abs().max() <= 3 * tolerance


def test_torch_agrees_on_rounding():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(1)) * 10
    assert torch.equal(decode(encode(x, "bf16")), x.bfloat16().float())
    assert torch.equal(decode(encode(x, "fp16")), x.half().float())
    assert torch.equal(decode(encode(x.double(), "fp64")), x.double())


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(max_dims=3, max_side=6, min_side=0), elements=st.floats(-1e4, 1e4, width=32)
    )
)
def test_int8_error_is_at_most_half_a_step_per_token(x):
    y = decode(encode(x, "int8"))
    assert y.shape == x.shape
    step = np.abs(x).max(axis=-1, keepdims=True, initial=0) / 127
    assert np.all(np.abs(y - x) <= 0.5001 * step + 1e-30)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float32, 40, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_exact_and_fp32_are_lossless_for_float32(x):
    for encoding in ("exact", "fp32", "fp64"):
        assert np.array_equal(decode(encode(x, encoding)), x)


class Pair(NamedTuple):
    a: object
    b: object


def test_structures():
    data = {
        "step": 3,
        "text": "grüß",
        "pair": Pair(torch.ones(2), [np.arange(3), True, 2.5]),
        "none": None,
        "raw": b"abc",
        "mask": torch.tensor([True, False]),
        "ids": torch.tensor([[1, 2]]),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(1.5),
        "complex": np.array([1 + 2j], np.complex64),
    }
    encoded = encode(data, "fp16")
    assert encoded.nbytes == 8 + 6 + 2 * 2 + 3 * 8 + 1 + 8 + 3 + 2 + 16 + 0 + 2 + 4
    back = decode(encoded)
    assert isinstance(back["pair"], Pair)
    assert back["step"] == 3
    assert back["text"] == "grüß"
    assert back["pair"].b[1] is True
    assert back["pair"].b[2] == 2.5
    assert back["none"] is None
    assert back["raw"] == b"abc"
    assert torch.equal(back["mask"], data["mask"])
    assert torch.equal(back["ids"], data["ids"])
    assert back["empty"].shape == (0, 4)
    assert back["scalar"].item() == 1.5
    assert back["complex"][0] == 1 + 2j
    assert np.array_equal(back["pair"].b[0], np.arange(3))


def test_values_are_taken_at_once():
    x, array = torch.ones(4), np.ones(4, np.int64)
    encoded = encode([x, array])
    x.zero_()
    array[:] = 0
    back = decode(encoded)
    assert back[0].sum() == 4
    assert back[1].sum() == 4


def test_decoded_values_are_independent():
    encoded = encode(torch.ones(4))
    first, second = decode(encoded), decode(encoded)
    first.zero_()
    assert second.sum() == 4


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_lost_ranges_read_as_zero_bytes(data):
    encoding = data.draw(st.sampled_from(ENCODINGS))
    encoded = encode({"a": X, "b": torch.arange(5)}, encoding)
    begin = data.draw(st.integers(0, encoded.nbytes))
    end = data.draw(st.integers(begin, encoded.nbytes))
    damaged = bytearray(encoded.tobytes())
    damaged[begin:end] = bytes(end - begin)
    expected = decode(encoded, (), np.frombuffer(bytes(damaged), np.uint8))
    got = decode(encoded, [(begin, end)])
    assert torch.equal(got["a"], expected["a"])
    assert torch.equal(got["b"], expected["b"])


def test_lost_token_of_int8_is_zero_and_others_are_whole():
    got = decode(encode(X, "int8"), [(11, 22)])  # token 1 of 10: 4 + 7 bytes each
    whole = decode(encode(X, "int8"))
    flat, flat_whole = got.reshape(10, 7), whole.reshape(10, 7)
    assert torch.all(flat[1] == 0)
    assert torch.equal(flat[[0, *range(2, 10)]], flat_whole[[0, *range(2, 10)]])


def test_fp16_saturates():
    assert decode(encode(np.float32([1e9, -1e9]), "fp16")).tolist() == [65504, -65504]


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (X, "fp8", "unknown encoding 'fp8'; there are: fp32, fp16"),
        (object(), "fp32", "a object cannot be sent"),
        ({"a": {1, 2}}, "fp32", "a set cannot be sent"),
        (np.array(["x"]), "fp32", "dtype <U1 cannot be sent"),
        (np.array([1j]), "int8", "complex values cannot be sent as int8"),
        (np.float32([np.nan]), "int8", "int8 cannot carry NaN"),
        (2**70, "fp32", "1180591620717411303424 cannot be sent"),
        (torch.eye(2).to_sparse(), "fp32", "cannot be sent"),
        (torch.ones(2, device="meta"), "fp32", "cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused(data, encoding, text):
    with pytest.raises(ConfigurationError, match=text):
        encode(data, encoding)
