# SPDX-License-Identifier: GPL-2.0-only
"""Payload encodings: exact sizes, rounding, losses."""

import pickle
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgelam.cosim import ENCODINGS, decode, encode, wire_size
from edgelam.cosim.encoding import Encoded
from edgelam.errors import ConfigurationError


class Pair(NamedTuple):
    a: object
    b: object


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


class Labelled(list):
    """A list that is more than its items."""

    def __init__(self, items):
        super().__init__(items)
        self.label = object()


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.filterwarnings("ignore:The PyTorch API of")
@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (X, "fp8", "unknown encoding 'fp8'; there are: fp32, fp16"),
        (object(), "fp32", "a object cannot be sent"),
        ({"a": {1, 2}}, "fp32", "a set cannot be sent"),
        (np.array(["x"]), "fp32", "dtype <U1 cannot be sent"),
        (np.array([1j]), "int8", "complex values cannot be sent as int8"),
        (np.float32([np.nan]), "int8", "int8 cannot carry NaN"),
        (np.array([{}]), "fp32", "dtype object cannot be sent: they are Python objects"),
        (np.array([(1, {})], [("a", "i4"), ("b", object)]), "fp32", "they are Python objects"),
        (np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]), "fp32", "a recarray cannot be sent"),
        (np.ma.masked, "fp32", "a MaskedConstant cannot be sent"),
        (torch.masked.masked_tensor(torch.ones(2), torch.ones(2, dtype=torch.bool)), "fp32", "a MaskedTensor cannot"),
        (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged), "fp32", "a NestedTensor"),
        (torch.nn.parameter.UninitializedParameter(), "fp32", "cannot be sent"),
        (Labelled([1, 2]), "fp32", r"a Labelled cannot be sent.*send list\(...\) of it"),
        (range(3), "fp32", "a range cannot be sent"),
        (CYCLE, "fp32", "nested too deeply, or contains itself"),
        (2**70, "fp32", "1180591620717411303424 cannot be sent"),
        (torch.eye(2).to_sparse(), "fp32", "cannot be sent"),
        (torch.ones(2, device="meta"), "fp32", "cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused(data, encoding, text):
    with pytest.raises(ConfigurationError, match=text):
        encode(data, encoding)


# ---- what comes back as it was ---------------------------------------------------------------------------------------


def same(a, b):
    """Equal in type, dtype, shape and bits, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.resolve_conj().numpy(force=True).tobytes() == b.numpy().tobytes()
        )
    if isinstance(a, np.ma.MaskedArray):
        return (
            np.array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
            and same(np.asarray(a.data), np.asarray(b.data))
            and np.array_equal(a.fill_value, b.fill_value)
            and a.hardmask == b.hardmask
        )
    if isinstance(a, (np.ndarray, np.generic)):
        if a.dtype.fields:
            return a.dtype == b.dtype and a.shape == b.shape and all(same(a[name], b[name]) for name in a.dtype.names)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or repr(a) == repr(b)  # also where parts are NaN


numbers = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.complex_numbers(),
    st.floats(width=32).map(np.float32), st.integers(-128, 127).map(np.int8),
)  # fmt: skip
structured = st.sampled_from(
    [
        np.dtype([("id", "<i4"), ("snr", "<f4")]),
        np.dtype([("a", "u1"), ("b", ">f8"), ("c", "<c8", (2,))], align=True),
        np.dtype([("outer", [("x", "<i2"), ("name", "S3")]), ("raw", "V4")]),
    ]
)
dtypes = st.one_of(hnp.scalar_dtypes().filter(lambda d: d.kind in "biufcS"), structured)


@st.composite
def arrays(draw):
    """Any bytes as any numbers: NaN of all kinds, -0, texts that end with zeros."""
    dtype = draw(dtypes)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=4, min_side=0))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = draw(st.binary(min_size=size, max_size=size))
    if dtype.kind == "b":
        raw = bytes(value & 1 for value in raw)
    return np.frombuffer(bytearray(raw), dtype).reshape(shape) if size else np.zeros(shape, dtype)


masked = hnp.arrays(np.float32, 5).flatmap(
    lambda a: st.builds(
        np.ma.MaskedArray, st.just(a), mask=hnp.arrays(bool, 5), fill_value=st.just(7.0), hard_mask=st.booleans()
    )
)
leaves = st.one_of(
    numbers, st.none(), st.binary(), st.text(st.characters()), st.text(st.characters(categories=["Cs", "L"])), arrays(),
    masked,
    st.lists(st.integers(0, 9)).map(torch.Size),
    hnp.arrays(np.float32, (2, 3)).map(torch.from_numpy),
)  # fmt: skip
structures = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=4),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(structures)
def test_exact_comes_back_as_it_was(data):
    encoded = encode(data, "exact")
    assert encoded.nbytes == len(encoded.tobytes())
    assert same(decode(encoded), data)
    wire = np.frombuffer(encoded.tobytes(), np.uint8)  # as another process gets it
    tree = pickle.loads(pickle.dumps(encoded.tree))  # noqa: S301  # of our own
    assert same(decode(Encoded("exact", encoded.nbytes, (), tree), (), wire), data)


@settings(max_examples=50, deadline=None)
@given(structures)
def test_the_wire_is_the_same_without_a_copy(data):
    whole, view = encode(data, "exact"), encode(data, "exact", copy=False)
    assert view.tobytes() == whole.tobytes()
    assert [part.nbytes for part in view.parts] == [part.nbytes for part in whole.parts]


@given(structures, st.data())
def test_losses_never_raise(data, draw):
    encoded = encode(data, "exact")
    begin = draw.draw(st.integers(0, encoded.nbytes))
    end = draw.draw(st.integers(begin, encoded.nbytes))
    decode(encoded, [(begin, end)])


@pytest.mark.parametrize("encoding", ["fp32", "fp64", "exact"])
def test_conjugate_and_negative_views(encoding):
    h = torch.randn(2, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    for view in (h.conj(), h.mH, h.conj().imag, h.mH.imag[1:], h.conj()[:, ::2]):
        assert torch.equal(decode(encode(view, encoding)), view.resolve_conj().resolve_neg())


def test_containers_of_torch():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    assert same(decode(encode(x.shape)), torch.Size([4, 3]))
    assert encode(x.shape).nbytes == 2 * 8
    packed = torch.nn.utils.rnn.pack_sequence([x[:1], x, x[:2]], enforce_sorted=False)
    back = decode(encode(packed, "fp32"))
    assert isinstance(back, torch.nn.utils.rnn.PackedSequence)
    assert torch.equal(torch.nn.utils.rnn.unpack_sequence(back)[1], x)
    found = decode(encode(x.max(0)))
    assert type(found) is torch.return_types.max
    assert torch.equal(found.indices, x.max(0).indices)
    net = torch.nn.GRU(3, 4)
    assert torch.equal(net(back)[0].data, net(packed)[0].data)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_floats_of_8_bits(dtype):
    x = torch.tensor([[1.0, -2.5, 0.0]]).to(dtype)
    for encoding in ENCODINGS:
        encoded = encode(x.T, encoding)
        back = decode(encoded)
        assert (encoded.nbytes, back.dtype, back.shape) == (3, dtype, (3, 1))
        assert torch.equal(back.float(), x.T.float())


def test_structured_and_masked_arrays_by_hand():
    table = np.array([(1, 2.5), (2, -1.0)], dtype=[("id", "<i4"), ("snr", "<f4")])
    encoded = encode(table, "fp16")  # as it is, whatever the encoding
    assert encoded.tobytes().hex() == "01000000" + "00002040" + "02000000" + "000080bf"
    assert decode(encoded)["snr"].tolist() == [2.5, -1.0]
    encoded = encode(np.ma.masked_array(np.float32([1.0, 2.0]), [False, True]), "fp16")
    assert encoded.tobytes().hex() == "003c0040" + "0001"
    assert decode(encoded).sum() == 1.0


def test_gaps_between_fields_are_zeros():
    aligned = np.frombuffer(bytes(range(16)), np.dtype([("a", "u1"), ("b", "<u8")], align=True))
    assert encode(aligned).tobytes() == bytes([0, *[0] * 7, *range(8, 16)])


def test_half_an_emoji():
    assert encode("\ud83d").tobytes() == b"\xed\xa0\xbd"
    assert decode(encode("a\ud83dä")) == "a\ud83dä"
