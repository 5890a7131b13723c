# SPDX-License-Identifier: GPL-2.0-only
"""Random streams: one home, one number for each name, and the numbers drawn that were always drawn."""

import ast
import enum
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from edgelam import cosim
from edgelam.random_streams import (
    Stream,
    derive_seed,
    dropout_seed,
    from_numbers,
    numbered,
    torch_generator,
    torch_seeded,
)

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("edgelam", "experiments") for path in sorted((ROOT / folder).rglob("*.py"))]
HOME = ROOT / "edgelam" / "random_streams.py"


def test_two_names_of_one_number_are_refused():
    with pytest.raises(ValueError, match="duplicate values"):
        enum.unique(enum.IntEnum("Stream", {**Stream.__members__, "ANOTHER": Stream.PARTICIPATION}))


def test_the_numbers_are_those_of_recorded_runs():
    """The seeds of every run so far: a number that changes makes another run of the same seed."""
    assert {stream.name: int(stream) for stream in Stream} == {
        "PARTITION": 1, "SAMPLE_ORDER": 2, "TEST_SAMPLES": 3, "PARTICIPATION": 4, "HELD_OUT": 20, "RESAMPLING": 21
    }  # fmt: skip
    for stream in Stream:
        expected = np.random.default_rng([int(stream), 7, 11]).integers(0, 2**62, 5)
        np.testing.assert_array_equal(numbered(stream, 7, 11).integers(0, 2**62, 5), expected)


def test_generators_are_those_of_numpy_and_torch():
    seed = derive_seed(3, "weights of gru")
    assert seed == cosim.derive_seed(3, "weights of gru") != derive_seed(3, "weights of lam")
    assert from_numbers(seed).random() == np.random.default_rng(seed).random()
    assert from_numbers(seed, 4).random() == np.random.default_rng((seed, 4)).random()
    expected = torch.randn(5, generator=torch.Generator().manual_seed(seed % 2**63))
    assert torch.equal(torch.randn(5, generator=torch_generator(seed)), expected)


def test_the_program_s_own_stream_goes_on_behind_a_block():
    torch.manual_seed(1)
    expected = torch.randn(4)
    torch.manual_seed(1)
    with torch_seeded(dropout_seed(5, 2)):
        inside = torch.randn(4)
    with torch_seeded(None):
        torch.randn(9)
    assert torch.equal(torch.randn(4), expected)
    with torch_seeded(5 * 1_000_003 + 2):
        assert torch.equal(torch.randn(4), inside)


def test_nothing_is_seeded_elsewhere():
    """Whoever needs random numbers asks edgelam.random_streams, which alone makes generators."""
    forbidden = re.compile(r"default_rng|SeedSequence|RandomState|manual_seed|fork_rng|random\.seed|import random\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        if path != HOME
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if forbidden.search(line)
    ]
    assert not found


def test_no_seed_begins_with_a_bare_number():
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[:1] if name in ("numbered", "from_numbers", "torch_generator", "torch_seeded") else []
            lists = [k.value for k in node.keywords if k.arg == "seed" and isinstance(k.value, (ast.Tuple, ast.List))]
            first += [item.elts[0] for item in lists]
            if any(isinstance(item, ast.Constant) and item.value is not None for item in first):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found
