# SPDX-License-Identifier: GPL-2.0-only
"""Robust combinations: against hand-computed cases and slow code, and what they promise about wrong updates."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.learning.robust import COMBINATIONS, RobustSettings


def updates(*rows):
    return [
        {"w": torch.tensor(row[:2], dtype=torch.float64), "v": torch.tensor(row[2:], dtype=torch.float64)}
        for row in rows
    ]


def combined(rule, rows, **changes):
    found, kept = COMBINATIONS[rule](updates(*rows), RobustSettings(rule=rule, **changes))
    return torch.cat([found["w"], found["v"]]).tolist(), kept


def test_by_hand():
    rows = [[1.0, 0.0, 3.0], [2.0, 0.0, 4.0], [9.0, 1.0, -90.0]]
    assert combined("median", rows) == ([2.0, 0.0, 3.0], [0, 1, 2])
    assert combined("median", rows[:2])[0] == [1.5, 0.0, 3.5]
    # norms 5, 10 and 0: a bound of 5 halves the second one
    rows = [[3.0, 0.0, 4.0], [6.0, 0.0, 8.0], [0.0, 0.0, 0.0]]
    assert combined("norm-bound", rows, norm_bound=5.0)[0] == pytest.approx([2.0, 0.0, 8 / 3])
    assert combined("norm-bound", rows)[0] == pytest.approx([2.0, 0.0, 8 / 3]), "the median norm is 5"


@given(st.integers(0, 10**6), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_krum_equals_slow_code(seed, wrong):
    generator = torch.Generator().manual_seed(seed)
    count = 2 * wrong + 3 + int(torch.randint(3, (1,), generator=generator))
    rows = torch.randn(count, 3, generator=generator, dtype=torch.float64).tolist()
    scores = []
    for k in range(count):
        away = sorted(math.dist(rows[k], rows[j]) ** 2 for j in range(count) if j != k)
        scores.append(sum(away[: count - wrong - 2]))
    best = sorted(sorted(range(count), key=lambda k: scores[k])[: count - wrong])
    found, kept = combined("krum", rows, byzantine=wrong)
    assert kept == best
    assert found == pytest.approx([sum(rows[k][i] for k in best) / len(best) for i in range(3)])


@pytest.mark.parametrize(("rule", "far"), [("median", 1e-9), ("krum", 1e-9), ("norm-bound", 0.8)])
def test_one_wrong_update_of_seven_moves_little(rule, far):
    rows = [[1.0, 2.0, 3.0]] * 6
    right, _ = combined(rule, [*rows, [1.0, 2.0, 3.0]])
    for wrong in itertools.product((-1e6, 1e6), repeat=3):
        found, kept = combined(rule, [*rows, list(wrong)])
        assert math.dist(found, right) <= far * math.hypot(1, 2, 3)
        assert (6 in kept) == (rule != "krum")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rule": "trust"}, "legal are none, median"),
        ({"byzantine": -1}, "0 or more"),
        ({"poisoned": -1}, "0 or more"),
        ({"norm_bound": 0.0}, "above 0"),
        ({"poison_scale": math.inf}, "above 0 and finite"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        RobustSettings(**changes)


def test_too_few_devices_are_refused():
    with pytest.raises(ConfigurationError, match="legal are byzantine 0 to 0"):
        RobustSettings("krum", byzantine=1).check(4)
    with pytest.raises(ConfigurationError, match="legal are 0 to 4"):
        RobustSettings(poisoned=5).check(4)
    with pytest.raises(ConfigurationError, match=r"byzantine \+ 3"):
        combined("krum", [[1.0, 2.0, 3.0]] * 3, byzantine=1)
