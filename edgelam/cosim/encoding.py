# SPDX-License-Identifier: GPL-2.0-only
"""Payload encodings: how tensors become the bytes that cross the network.

What is sent is a tensor, an array, a number, text, bytes, or dicts, lists and tuples of these, nested in any way. The
wire carries only the values, one after another in the order of the structure. The structure itself (keys, shapes,
dtypes) is agreed between sender and receiver, and costs nothing. So the size is exact:

=======  =========================================================================================================
fp32     floating-point values as IEEE binary32: 4 bytes per value
fp16     IEEE binary16: 2 bytes (beyond +-65504 it saturates)
bf16     bfloat16, round to nearest even: 2 bytes
int8     for each token (row of the last axis): a binary32 scale max|x| / 127, then one signed byte per value
fp64     IEEE binary64: 8 bytes
exact    every value in the dtype it has
=======  =========================================================================================================

Integers, booleans, bytes, structured arrays and floats of 8 bits are sent as they are, complex numbers as pairs of the
floating-point format (not int8 or bf16), and a masked array as its values and one byte of mask for each. The receiver
gets the dtype that was sent, rounded by the encoding, and the same container, including named tuples and
PackedSequence; instead of a subclass of `dict`, it gets a dict. Lost byte ranges read as zeros (if an int8 scale is
lost, its token is zero).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgelam.errors import ConfigurationError

ENCODINGS = ("fp32", "fp16", "bf16", "int8", "fp64", "exact")

Array = np.ndarray[Any, Any]
_FLOATS: dict[str, np.dtype[Any]] = {"fp32": np.dtype("<f4"), "fp16": np.dtype("<f2"), "fp64": np.dtype("<f8")}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One array on the wire.

    `kind`: torch, numpy, scalar (of numpy), int, float, complex, bool, str, bytes; `dtype`: NumPy's, or the name of
    torch's; `wire`: dtype or encoding.
    """

    kind: str
    dtype: Any
    shape: tuple[int, ...]
    wire: Any
    nbytes: int
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Branch:
    """A tuple, list or array of type `kind`, made again from its `parts`; extra: what else it has (structure)."""

    kind: type
    parts: tuple[Any, ...]
    extra: Any = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A payload ready for the wire: `parts`, uint8 arrays of `nbytes` in all, and the `tree` that tells them apart."""

    encoding: str
    nbytes: int
    parts: tuple[Array, ...]
    tree: Any

    def tobytes(self) -> bytes:
        """The bytes on the wire."""
        return b"".join(part.tobytes() for part in self.parts)

    def write_to(self, target: Array) -> None:
        """Write the bytes on the wire to uint8[nbytes] `target`."""
        at = 0
        for part in self.parts:
            target[at : at + part.size] = part
            at += part.size


def encode(data: Any, encoding: str = "fp32", *, copy: bool = True) -> Encoded:
    """Encode `data`; the values are copied, so later changes of `data` have no effect.

    If `copy` is False, the parts may share memory with `data`: for one who writes them elsewhere at once.

    Raises `ConfigurationError` for an unknown encoding and for what cannot be sent.
    """
    if encoding not in ENCODINGS:
        raise ConfigurationError(f"unknown encoding {encoding!r}; there are: {', '.join(ENCODINGS)}")
    parts: list[Array] = []
    try:
        tree = _encode_tree(data, encoding, parts, copy)
    except RecursionError:
        raise ConfigurationError("what is sent is nested too deeply, or contains itself") from None
    return Encoded(encoding, sum(part.size for part in parts), tuple(parts), tree)


def decode(
    encoded: Encoded, lost: Sequence[tuple[int, int]] = (), wire: Array | None = None, *, copy: bool = True
) -> Any:
    """Return the data as the receiver sees it, with the byte ranges `lost` filled with zeros.

    wire: uint8[nbytes] that was received, instead of `encoded.parts`. If `copy` is False, the result may share memory
    with what was encoded or received.
    """
    if lost or (wire is None and len(encoded.parts) != 1):
        wire = np.frombuffer(bytearray(encoded.tobytes() if wire is None else wire.tobytes()), np.uint8)
        for begin, end in lost:
            wire[begin:end] = 0
        copy = False
    elif wire is None:
        wire = encoded.parts[0]
    data, _ = _decode_tree(encoded.tree, wire, 0, copy)
    return data


def wire_size(data: Any, encoding: str = "fp32") -> int:
    """Return the number of bytes that `data` takes on the wire."""
    return encode(data, encoding, copy=False).nbytes


# ---- structure ---------------------------------------------------------------------------------------------------


def _encode_tree(data: Any, encoding: str, parts: list[Array], copy: bool) -> Any:
    if data is None:
        return None
    if isinstance(data, dict):
        return {key: _encode_tree(value, encoding, parts, copy) for key, value in data.items()}
    if isinstance(data, np.ma.MaskedArray):
        return _encode_masked(data, encoding, parts, copy)
    if isinstance(data, (list, tuple)):
        kind = type(data)
        children = tuple(_encode_tree(value, encoding, parts, copy) for value in data)
        if kind in (list, tuple):
            return kind(children)
        _check_container(data)
        return Branch(kind, children)
    try:
        leaf, part = _encode_leaf(data, encoding, copy)
    except ConfigurationError:
        raise
    except Exception as error:  # any error of torch and numpy about data that has no values, or none that numpy knows
        raise ConfigurationError(f"{shown(data)} cannot be sent: {error}") from None
    parts.append(part)
    return leaf


def _decode_tree(tree: Any, wire: Array, at: int, copy: bool) -> tuple[Any, int]:
    if isinstance(tree, Leaf):
        return _decode_leaf(tree, wire[at : at + tree.nbytes], copy), at + tree.nbytes
    if tree is None:
        return None, at
    children = tree.values() if isinstance(tree, dict) else tree.parts if isinstance(tree, Branch) else tree
    values = []
    for child in children:
        value, at = _decode_tree(child, wire, at, copy)
        values.append(value)
    if isinstance(tree, dict):
        return dict(zip(tree, values, strict=True)), at
    if isinstance(tree, Branch):
        return _make(tree.kind, values, tree.extra), at
    return type(tree)(values), at


def _make(kind: Any, values: list[Any], extra: Any) -> Any:
    """Return a container of type `kind` with these values."""
    if issubclass(kind, np.ma.MaskedArray):
        fill_value, hard_mask = extra
        data, mask = values
        return np.ma.MaskedArray(data, mask=mask, fill_value=fill_value, hard_mask=hard_mask)
    return kind(*values) if hasattr(kind, "_fields") else kind(values)


def _check_container(data: Any) -> None:
    """Refuse a kind of list or tuple that is more than its items, or that cannot be made from them."""
    kind = type(data)
    try:
        made = _make(kind, list(data), None)
        same = type(made) is kind and len(made) == len(data) and getattr(made, "__dict__", None) == getattr(
            data, "__dict__", None
        )  # fmt: skip
    except Exception:
        same = False
    if not same:
        base = "list" if isinstance(data, list) else "tuple"
        raise ConfigurationError(
            f"a {kind.__name__} cannot be sent: it cannot be made from its items alone; send {base}(...) of it"
        )


def _encode_masked(data: Any, encoding: str, parts: list[Array], copy: bool) -> Branch:
    if type(data) is not np.ma.MaskedArray:
        raise ConfigurationError(
            f"a {type(data).__name__} cannot be sent; send a numpy.ma.MaskedArray, or its data and its mask"
        )
    values, mask = np.asarray(data.data), np.ma.getmaskarray(data)
    children = tuple(_encode_tree(part, encoding, parts, copy) for part in (values, mask))
    return Branch(np.ma.MaskedArray, children, (data.fill_value, bool(data.hardmask)))


def shown(data: Any) -> str:
    """Return a value as text for an error, whatever its `repr` does."""
    try:
        return f"{data!r:.200}"
    except Exception:
        return f"a {type(data).__name__}"


# ---- one value ---------------------------------------------------------------------------------------------------


def _encode_leaf(data: Any, encoding: str, copy: bool) -> tuple[Leaf, Array]:
    torch = sys.modules.get("torch")  # a tensor cannot be here before torch is
    if torch is not None and isinstance(data, torch.Tensor):
        return _encode_tensor(torch, data, encoding, copy)
    if isinstance(data, str):
        part = np.frombuffer(data.encode(errors="surrogatepass"), np.uint8)
        return Leaf("str", "", (part.size,), "|u1", part.size), part
    if isinstance(data, (np.ndarray, np.generic)):
        if isinstance(data, np.ndarray) and type(data) not in (np.ndarray, np.memmap):
            raise ConfigurationError(f"a {type(data).__name__} cannot be sent; send numpy.asarray(...) of it")
        array = np.asarray(data)
        wire, part = _to_wire(array, encoding, copy)
        kind = "numpy" if isinstance(data, np.ndarray) else "scalar"
        return Leaf(kind, array.dtype if array.dtype.fields else array.dtype.str, array.shape, wire, part.size), part
    if isinstance(data, (bool, int, float, complex)):
        kind = next(kind for kind in (bool, int, float, complex) if isinstance(data, kind)).__name__
        dtype = {"bool": "|b1", "int": "<i8", "float": "<f8", "complex": "<c16"}[kind]
        part = np.frombuffer(np.array(data, dtype).tobytes(), np.uint8)
        return Leaf(kind, dtype, (), dtype, part.size), part
    if isinstance(data, (bytes, bytearray, memoryview)):
        part = np.frombuffer(bytes(data), np.uint8)
        return Leaf("bytes", "", (part.size,), "|u1", part.size), part
    raise ConfigurationError(
        f"a {type(data).__name__} cannot be sent; send tensors, arrays, numbers, text, bytes, or dicts, lists and "
        "tuples of these"
    )


def _encode_tensor(torch: Any, data: Any, encoding: str, copy: bool) -> tuple[Leaf, Array]:
    if type(data).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:  # DTensor, MaskedTensor, FakeTensor, ...
        raise ConfigurationError(f"a {type(data).__name__} cannot be sent; send the plain tensors that it is made of")
    tensor = data.detach().resolve_conj().resolve_neg()
    dtype, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
        encoding = "bf16" if encoding == "exact" else encoding
    elif dtype.startswith("float8_"):
        tensor = tensor.contiguous().view(torch.uint8)
    wire, part = _to_wire(tensor.cpu().numpy(), encoding, copy)
    return Leaf("torch", dtype, shape, wire, part.size, str(data.device)), part


def _to_wire(values: Array, encoding: str, copy: bool) -> tuple[Any, Array]:
    """Return the wire format's name, and the values in it as a uint8 array, which is new if `copy` is True."""
    kind = values.dtype.kind
    if values.dtype.hasobject:
        raise ConfigurationError(f"values of dtype {values.dtype} cannot be sent: they are Python objects")
    if values.dtype.fields:  # bytes between fields are not values: zeros
        clean = np.zeros(values.shape, values.dtype)
        clean[...] = values
        return values.dtype, _as_bytes(clean)
    if kind in "biuVS" or (encoding == "exact" and kind in "fc"):
        return values.dtype.str, _as_bytes(np.array(values, order="C") if copy else np.ascontiguousarray(values))
    if kind == "c":
        if encoding in ("int8", "bf16"):
            raise ConfigurationError(f"complex values cannot be sent as {encoding}; use fp64, fp32 or fp16")
        pairs = np.ascontiguousarray(values).view(f"<f{values.dtype.itemsize // 2}")
        return encoding, _float_bytes(pairs, encoding, copy)
    if kind != "f":
        raise ConfigurationError(f"values of dtype {values.dtype} cannot be sent; use numbers, booleans or bytes")
    return encoding, _float_bytes(values, encoding, copy)


def _float_bytes(values: Array, encoding: str, copy: bool) -> Array:
    if encoding == "bf16":
        return _as_bytes(_to_bf16(values))
    if encoding == "int8":
        return _to_int8(values)
    if encoding == "fp16":
        values = np.clip(values, -65504, 65504)
    return _as_bytes(values.astype(_FLOATS[encoding], order="C", copy=copy))


def _decode_leaf(leaf: Leaf, wire: Array, copy: bool) -> Any:
    if leaf.kind == "str":
        return _text(wire.tobytes())
    if leaf.kind == "bytes":
        return wire.tobytes()
    values = _from_wire(leaf, wire)
    if leaf.kind in ("int", "float", "complex", "bool"):
        return values.item()
    if leaf.kind == "scalar":
        return values[()]
    if np.may_share_memory(values, wire) and (copy or not values.flags.aligned):
        values = values.copy()
    return _to_torch(leaf, values) if leaf.kind == "torch" else values


def _text(wire: bytes) -> str:
    """Return the text, including single surrogates; bytes lost in the middle of a character read as U+FFFD."""
    try:
        return wire.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return wire.decode(errors="replace")


def _from_wire(leaf: Leaf, wire: Array) -> Array:
    """Return the values in their own dtype, sharing memory with `wire` where that is possible.

    bfloat16 tensors: float32; tensors of 8-bit floats: uint8.
    """
    if not (isinstance(leaf.wire, str) and leaf.wire in ENCODINGS):
        return wire.view(leaf.wire).reshape(leaf.shape) if wire.size else np.empty(leaf.shape, leaf.wire)
    dtype = np.dtype("<f4") if leaf.dtype == "bfloat16" else np.dtype(leaf.dtype)
    floats = np.dtype(f"<f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
    if leaf.wire == "bf16":
        values = _from_bf16(wire)
    elif leaf.wire == "int8":
        values = _from_int8(wire, leaf.shape)
    else:
        values = wire.view(_FLOATS[leaf.wire])
    return values.astype(floats, copy=False).view(dtype).reshape(leaf.shape)


def _to_torch(leaf: Leaf, values: Array) -> Any:
    import warnings

    import torch

    with warnings.catch_warnings():
        # A view into shared memory is marked read-only; its pages are copy-on-write, so a write stays in this process.
        warnings.simplefilter("ignore", UserWarning)
        tensor = torch.from_numpy(values.reshape(leaf.shape))
    if leaf.dtype == "bfloat16":
        tensor = tensor.bfloat16()
    elif leaf.dtype.startswith("float8_"):
        tensor = tensor.view(getattr(torch, leaf.dtype))
    return tensor if leaf.device == "cpu" else tensor.to(leaf.device)


def _as_bytes(values: Array) -> Array:
    return values.reshape(-1).view(np.uint8)


def _to_bf16(values: Array) -> Array:
    """Return the upper halves of binary32, rounded to nearest even: uint16."""
    single = np.array(values, np.float32, order="C").reshape(-1)
    bits = single.view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    nan = np.isnan(single)
    if nan.any():
        rounded[nan] = 0x7FC0
    return rounded.astype(np.uint16)


def _from_bf16(wire: Array) -> Array:
    return (wire.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of tokens and of values per token; a scalar is one token of one value."""
    width = shape[-1] if shape else 1
    return (int(np.prod(shape[:-1])) if width else 0), width


def _to_int8(values: Array) -> Array:
    """Return uint8[tokens * (4 + width)]: each token's scale (binary32), then its values / scale, rounded."""
    tokens, width = _rows(values.shape)
    x = np.array(values, np.float32).reshape(tokens, width)
    if not np.isfinite(x).all():
        raise ConfigurationError("int8 cannot carry NaN or infinite values; use fp32, fp16 or bf16 for these")
    scale = np.abs(x).max(axis=1, initial=0.0) / np.float32(127)
    out = np.empty((tokens, 4 + width), np.uint8)
    out[:, :4] = scale.astype("<f4").reshape(tokens, 1).view(np.uint8)
    divisor = np.where(scale > 0, scale, np.float32(1))[:, None]
    out[:, 4:] = np.clip(np.rint(x / divisor), -127, 127).astype(np.int8).view(np.uint8)
    return out.reshape(-1)


def _from_int8(wire: Array, shape: tuple[int, ...]) -> Array:
    tokens, width = _rows(shape)
    packed = wire.reshape(tokens, 4 + width)
    scale = np.ascontiguousarray(packed[:, :4]).view("<f4")
    with np.errstate(invalid="ignore", over="ignore"):  # a scale of which some bytes are lost may be anything
        return packed[:, 4:].view(np.int8).astype(np.float32) * scale


def as_wire(data: bytes) -> Array:
    """Return bytes as uint8[nbytes]; writing to what is decoded from it changes nothing else."""
    return np.frombuffer(bytearray(data), np.uint8)
