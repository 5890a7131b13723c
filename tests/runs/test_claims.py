# SPDX-License-Identifier: GPL-2.0-only
"""Claims of studies are judged by one rule."""

import math

import pandas as pd
import pytest

from edgelam.runs import claims
from edgelam.runs.statistics import Difference


@pytest.mark.parametrize(
    ("difference", "more", "less"),
    [
        (Difference(0.2, 0.1, 5), "holds", "does not hold"),
        (Difference(-0.2, 0.1, 5), "does not hold", "holds"),
        (Difference(0.2, 0.3, 5), "undecided", "undecided"),
        (Difference(0.2, 0.2, 5), "undecided", "undecided"),  # the interval ends at zero
        (Difference(0.0, 0.0, 5), "does not hold", "does not hold"),  # the same with every seed
        (Difference(0.0, math.nan, 1), "undecided", "undecided"),  # the same with the only one
        (Difference(0.2, math.nan, 1), "undecided", "undecided"),
        (Difference(math.nan, math.nan, 0), "undecided", "undecided"),
    ],
)
def test_one_rule(difference, more, less):
    assert claims.verdict(difference, more=True) == more
    assert claims.verdict(difference, more=False) == less


def test_more_and_less_pair_by_seed_and_say_ours_minus_the_other():
    ours = pd.Series({1: 10.0, 2: 20.0, 3: 30.0, 7: 0.0})
    other = pd.Series({3: 31.0, 1: 11.5, 2: 21.1, 8: 0.0})
    less = claims.less("a", ours, other, scale=1e3, unit="ms")
    assert (less.measured, less.verdict) == ("-1200 +- 660 ms", "holds")
    more = claims.more("b", ours, other, scale=1e3, unit="ms")
    assert (more.measured, more.verdict) == ("-1200 +- 660 ms", "does not hold")
    alone = claims.more("c", ours.loc[[7]], pd.Series({7: 0.0}))
    assert (alone.measured, alone.verdict) == ("+0", "undecided")


def test_one_case_refutes_what_is_claimed_of_every_one_and_none_says_nothing():
    said = [claims.every("", right, count, "turns").verdict for right, count in ((3, 3), (2, 3), (0, 1), (0, 0))]
    assert said == ["holds", "does not hold", "does not hold", "undecided"]


def test_tables_have_their_columns_also_without_claims():
    assert claims.csv([]) == b"text,measured,verdict\n"
    assert claims.csv([claims.Claim("a, b", "+1", "holds")]) == b'text,measured,verdict\n"a, b",+1,holds\n'
