# SPDX-License-Identifier: GPL-2.0-only
"""What a control takes: nothing is changed on the way to its dtype, and structs may be written as one would."""

import numpy as np
import pytest

from edgelam.cosim.control_values import as_array

PLACE = np.dtype([("x", "f8"), ("y", "f8")])
MOVE = np.dtype({"names": ["ue", "to"], "formats": ["u4", ("f8", (3,))], "offsets": [0, 8], "itemsize": 32})
NESTED = np.dtype([("ue", "u4"), ("corner", PLACE, (2,)), ("fast", "?")])


@pytest.mark.parametrize(
    "value",
    [
        (1, [50, 0, 1.5]),
        [1, (50, 0, 1.5)],
        {"to": np.array([50, 0, 1.5]), "ue": 1},
        np.array((1, [50, 0, 1.5]), MOVE),
        np.array([(1, [50, 0, 1.5])], MOVE)[0],
        np.array(([50, 0, 1.5], 1), [("to", "f4", (3,)), ("ue", "i8")]),  # by name, whatever their order
    ],
)
def test_a_struct(value):
    array = as_array(value, MOVE, 0)
    assert (array.dtype, array.shape) == (MOVE, ())
    assert (int(array["ue"]), array["to"].tolist()) == (1, [50, 0, 1.5])


def test_several_structs_and_structs_in_structs():
    places = as_array([(1, 2), {"x": 3, "y": 4}], PLACE, 1)
    assert places.tolist() == [(1, 2), (3, 4)]
    assert as_array(places, PLACE, 1).tobytes() == places.tobytes()
    assert as_array([], PLACE, 1).shape == (0,)
    assert as_array([[(1, 2)], [(3, 4)]], PLACE, 2).shape == (2, 1)
    nested = as_array({"ue": 7, "corner": [{"x": 1, "y": 2}, (3, 4)], "fast": True}, NESTED, 0)
    assert (int(nested["ue"]), nested["corner"].tolist(), bool(nested["fast"])) == (7, [(1, 2), (3, 4)], True)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1, r"1 is not a struct.*ue \(uint32\), to \(float64, shape \(3,\)\)"),
        (np.array([1.0, 2.0]), "is not a struct"),
        ("ue", "'ue' is not a struct"),
        (None, "None is not a struct"),
        ((1,), "has 1 values; the struct's fields are ue"),
        ({"ue": 1}, "field 'to' is missing; the struct's fields are"),
        ({"ue": 1, "too": [1, 2, 3]}, "there is no field 'too', field 'to' is missing"),
        ((1, 50), r"field 'to' has shape \(3,\), not \(\)"),
        ((1, [50, 0]), r"field 'to' has shape \(3,\), not \(2,\)"),
        ((-1, [50, 0, 1.5]), "field 'ue': -1 is not of dtype uint32, 0 to 4294967295"),
        ((1, ["50", 0, 1.5]), "field 'to': .* is not of dtype float64"),
        (np.array((1, 2), PLACE), "there is no field 'x'"),
    ],
)
def test_what_is_no_struct(value, reason):
    with pytest.raises(ValueError, match=reason):
        as_array(value, MOVE, 0)


def test_errors_inside_name_the_way():
    with pytest.raises(ValueError, match="field 'corner': field 'y': 'a' is not of dtype float64"):
        as_array((7, [(1, 2), (3, "a")], True), NESTED, 0)
    for wrong in (3, {"x": 1, "y": 2}, "ab"):
        with pytest.raises(ValueError, match="is not a list of structs"):
            as_array(wrong, PLACE, 1)


@pytest.mark.parametrize("value", [True, 0, 1.0, np.True_, [True, 0, 1]])
def test_truths(value):
    array = as_array(value, np.dtype("?"), 0)
    assert array.tolist() == np.asarray(value).astype(bool).tolist()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (3, "?"), ("True", "?"), (float("nan"), "?"), (-1, "?"),
        ("5e6", "f8"), (b"5", "i4"), (None, "f8"), (1j, "f8"), (np.array((1, 2), PLACE), "f8"), ({}, "f8"),
        ([[1], [1, 2]], "f8"),
        (1.5, "i4"), (float("nan"), "i4"), (float("inf"), "i4"), (2**31, "i4"), (-1, "u8"), (2**64, "u8"),
        (5, "S4"), ("longer", "S4"),
    ],
)  # fmt: skip
def test_what_a_dtype_does_not_hold(value, dtype):
    with pytest.raises(ValueError, match=rf"is not of dtype {np.dtype(dtype).name.rstrip('0123456789')}|of dtype \|S4"):
        as_array(value, np.dtype(dtype), 0)


def test_what_it_holds():
    assert as_array(2**64 - 1, np.dtype("u8"), 0) == 2**64 - 1
    assert as_array([3.0, -4], np.dtype("i2"), 1).tolist() == [3, -4]
    assert as_array("name", np.dtype("S4"), 0) == b"name"
    assert as_array(5, np.dtype("f4"), 0).dtype == np.float32
