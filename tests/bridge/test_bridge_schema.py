# SPDX-License-Identifier: GPL-2.0-only
"""Messages are declared once, in C++: what Python makes of the declaration is what the compiler laid out."""

import json
import socket
import struct
import subprocess

import numpy as np
import pytest
from bridge_testbed import MESSAGES, NO_ARRAY, TO_HOST, Testbed, dtype_of, post, posted, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgelam import _bridge
from edgelam.paths import installed


def aligned(dtype: np.dtype) -> np.dtype:
    """The same fields as NumPy lays them out for C."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((aligned(base), shape))
    if dtype.names is None:
        return dtype
    assert dtype.fields is not None
    return np.dtype([(name, aligned(dtype.fields[name][0])) for name in dtype.names], align=True)


@pytest.mark.parametrize("name", MESSAGES)
def test_protocol_layout_is_numpys_c_layout(name: str) -> None:
    dtype = MESSAGES[name]
    expected = aligned(dtype)
    assert dtype.itemsize == expected.itemsize
    assert [dtype.fields[n][1] for n in dtype.names] == [expected.fields[n][1] for n in expected.names]


def test_messages_have_no_padding() -> None:
    for name, dtype in MESSAGES.items():
        assert sum(dtype.fields[n][0].itemsize for n in dtype.names) == dtype.itemsize, name


@pytest.fixture(scope="module")
def echo() -> object:
    bed = Testbed()
    _, participant = bed.pair()
    yield participant
    bed.close()


def test_user_struct_layout_travels_at_attach(echo: _bridge.Participant) -> None:
    dtype = dtype_of(json.loads(echo.catalogue)["schema"][0])
    expected = aligned(dtype)
    assert dtype.itemsize == expected.itemsize
    assert {n: f[1] for n, f in dtype.fields.items()} == {n: f[1] for n, f in expected.fields.items()}
    assert dtype["c128"] == np.complex128
    assert dtype["name"] == "S7"
    assert dtype["matrix"].shape == (3, 2)
    assert dtype["inners"].subdtype[0]["wide"] == np.float64


def values_of(dtype: np.dtype) -> st.SearchStrategy:
    """Any value of a field, without NaN (whose bits need not survive a negation)."""
    if dtype.kind in "fc":
        return hnp.from_dtype(dtype, allow_nan=False)
    return hnp.from_dtype(dtype)


@st.composite
def samples(draw: st.DrawFn, dtype: np.dtype) -> np.ndarray:
    record = np.zeros((), dtype)
    for name in dtype.names:
        field, _ = dtype.fields[name][:2]
        base, shape = field.subdtype or (field, ())
        for index in np.ndindex(shape):
            target = record[name] if shape else record
            place = index if shape else name
            if base.names is not None:
                for inner in base.names:
                    target[place][inner] = draw(values_of(base[inner]))
            elif name == "colour":
                target[place] = draw(st.sampled_from([-1, 1]))
            else:
                target[place] = draw(values_of(base))
    return record


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_field_is_read_where_it_was_written(echo: _bridge.Participant, data: st.DataObject) -> None:
    dtype = dtype_of(json.loads(echo.catalogue)["schema"][0])
    sent = data.draw(samples(dtype))
    post(echo, TO_HOST, b"sample\0" + sent.tobytes())
    got = np.frombuffer(posted(echo)[0], dtype)[0]
    assert got["flag"] == (not sent["flag"])
    for k, name in enumerate(["i8", "i32", "u16", "i64", "u64"]):
        assert int(got[name]) == int(sent[name]) ^ (k + 1), name
    for name in ["f32", "f64", "c64", "c128"]:
        assert got[name] == -sent[name], name
    assert got["colour"] == -sent["colour"]
    raw = np.frombuffer(sent.tobytes(), np.uint8)[dtype.fields["name"][1] :][:7]
    assert np.array_equal(np.frombuffer(got.tobytes(), np.uint8)[dtype.fields["name"][1] :][:7], raw[::-1])
    assert np.array_equal(got["matrix"], sent["matrix"][::-1, ::-1])
    assert np.array_equal(got["vector"], sent["vector"][::-1])
    assert got["inner"]["small"] == sent["inner"]["small"] ^ 1
    assert got["inner"]["wide"] == -sent["inner"]["wide"]
    for field in ["small", "wide"]:
        assert np.array_equal(got["inners"][field], sent["inners"][field][::-1])


def say(address: str, text: str | bytes) -> tuple[int, str]:
    """Introduces itself to a host as a participant compiled from other sources would; the status and the answer."""
    text = text.encode() if isinstance(text, str) else text
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(20)
        line.connect("\0" + address[1:])
        line.sendall(struct.pack("<IIQ", 0x656C6131, 0, len(text)) + text)
        answer = b""
        while len(answer) < 16 or len(answer) < 16 + struct.unpack("<IIQ", answer[:16])[2]:
            more = line.recv(65536)
            if not more:
                return -1, ""
            answer += more
    return struct.unpack("<IIQ", answer[:16])[1], answer[16:].decode()


def hello(schema: str = _bridge.SCHEMA_LINES, version: int = _bridge.PROTOCOL_VERSION, participant: int = 0) -> str:
    return f"version\t{version}\nparticipant\t{participant}\npid\t1\nname\tother\n\n{schema}"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('Wait.deadline_ns\t"<i8"', 'Wait.deadline_ns\t"<f8"', 'Wait.deadline_ns: participant 0 has "<f8" at byte 0'),
        ("TransferRecord\ttype 11", "TransferRecord\ttype 12", "the scenario has type 11, 72 bytes"),
        ("Post.to\t", "Post.target\t", "Post.target: participant 0 has"),
        ('Refused.message\t"<u4" at byte 8', 'Refused.message\t"<u4" at byte 12', 'the scenario has "<u4" at byte 8'),
    ],
)
def test_mismatched_schema_is_refused_naming_both_sides(testbed: Testbed, before: str, after: str, said: str) -> None:
    process, address = testbed.host()
    participant = testbed.attach  # attached at the end: a refusal does no harm
    while True:
        try:
            status, text = say(address, hello(_bridge.SCHEMA_LINES.replace(before, after)))
            break
        except ConnectionRefusedError:
            continue
    assert status == 1
    assert said in text
    assert "participant 0 has" in text
    assert "the scenario has" in text
    participant(address).detach()
    wait_for(process, 0)


def test_other_version_and_nonsense_are_refused(testbed: Testbed) -> None:
    process, address = testbed.host(edgelam_participants=2)
    first = testbed.attach(address)
    assert say(address, hello(version=99, participant=1)) == (
        1,
        "participant 1 speaks version 99 of the bridge protocol, the scenario version "
        f"{_bridge.PROTOCOL_VERSION}: build both from the same sources",
    )
    assert "cannot be read" in say(address, "GET / HTTP/1.1\n\n")[1]
    assert "cannot be read" in say(address, b"\xff\0\n\n")[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect("\0" + address[1:])  # says nothing, and holds nobody up
        second = testbed.attach(address, 1)
        post(second, 0, b"hi")
        assert posted(first) == (b"hi", NO_ARRAY)
    first.detach()
    second.detach()
    wait_for(process, 0)


@pytest.mark.parametrize(
    ("struct_fields", "listed", "said"),
    [
        ("double a; int b;", "a, b", ""),
        ("double a; int b;", "a", "must list every field"),
        ("double a; int b;", "b, a", "must list every field"),
        ("double a; std::string b;", "a, b", "crosses as plain bytes"),
        ("double a; int* b;", "a, b", "has a type that NumPy has no dtype for"),
        ("double a; long double b;", "a, b", "has a type that NumPy has no dtype for"),
    ],
)
def test_what_cannot_be_a_message_does_not_compile(struct_fields: str, listed: str, said: str) -> None:
    code = f"""
        #include "edgelam/bridge/schema.h"
        namespace user {{
        struct Message {{ {struct_fields} }};
        EDGELAM_MESSAGE(Message, {listed})
        }}
    """
    command = ["g++", "-std=c++20", "-Wall", "-Wextra", "-fsyntax-only", f"-I{installed('include')}", "-xc++", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False, timeout=60)
    assert said in done.stderr
    assert (done.returncode == 0) == (said == "")
    assert said or not done.stderr, "warnings"
