# SPDX-License-Identifier: GPL-2.0-only
import dataclasses
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.runs.configuration import from_toml, to_toml
from edgelam.text import parse_pairs, suggest


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 1e-3
    cut: Literal["tokens", "pooled"] = "tokens"
    targets: tuple[str, ...] = ("query", "value")


@dataclasses.dataclass(frozen=True)
class Outer:
    learning: Inner = Inner()
    seed: int = 1
    folder: Path | None = None
    deadline_s: float | None = None
    name: str = "x"
    flag: bool = False
    extra: dict[str, float] = dataclasses.field(default_factory=dict)


texts = st.text(st.characters(exclude_categories=["Cs"]))
outers = st.builds(
    Outer,
    learning=st.builds(
        Inner,
        rate=st.floats(allow_nan=False),
        cut=st.sampled_from(["tokens", "pooled"]),
        targets=st.lists(texts, max_size=3).map(tuple),
    ),
    seed=st.integers(-(2**63), 2**63 - 1),
    folder=st.none() | st.just(Path("a b/c")),
    deadline_s=st.none() | st.floats(allow_nan=False),
    name=texts,
    flag=st.booleans(),
    extra=st.dictionaries(texts, st.floats(allow_nan=False), max_size=3),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=outers)
def test_toml_round_trip(tmp_path_factory, config):
    file = tmp_path_factory.mktemp("toml") / "c.toml"
    file.write_bytes(to_toml(config).encode())
    assert from_toml(file, Outer) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sead = 2", "no setting is called 'sead'; did you mean 'seed'"),
        ("[learning]\nrat = 2.0", r"no setting is called 'rat' in \[learning\]; did you mean 'rate'"),
        ("learning = 3", "learning is a table, got 3"),
        ("seed = 'one'", "Expected `int`, got `str` - at `.*seed`"),
        ("[learning]\ncut = 'middle'", "cut is 'middle'; legal are tokens, pooled"),
        ("seed = ", "is not TOML"),
        ("name = " + "[" * 100_000 + "]" * 100_000, "it is nested too deeply"),
        ("seed = " + "9" * 5000, "is not TOML: Exceeds the limit"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path, text, message):
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        from_toml(file, Outer)
    assert str(file) in str(caught.value)


def test_a_setting_that_a_file_cannot_hold_is_refused(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Odd:
        range: complex = 1j

    file = tmp_path / "c.toml"
    file.write_text("range = 3")
    with pytest.raises(ConfigurationError, match=r"complex cannot be read from TOML \(value: 3\)"):
        from_toml(file, Odd)


def test_a_file_says_only_what_differs(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[learning]\nrate = 1\n")
    assert from_toml(file, Outer) == Outer(learning=Inner(rate=1.0))


def test_pairs():
    assert parse_pairs(["a=1", "b=x=y"], "--options") == {"a": "1", "b": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(ConfigurationError, match="--options"):
            parse_pairs(wrong, "--options")


def test_suggestions_read_dashes_and_underscores_alike():
    assert suggest("wired_sta", ["lte-macro", "wired-star"]).startswith("did you mean 'wired-star'?")
    assert suggest("zzz", ["a", "b"]) == "there are: a, b"
