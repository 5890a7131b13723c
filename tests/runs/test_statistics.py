# SPDX-License-Identifier: GPL-2.0-only
import math

import pandas as pd
import pytest

from edgelam.errors import ConfigurationError
from edgelam.runs import statistics
from edgelam.runs.scores import Score


def test_half_interval_by_hand():
    assert math.isnan(statistics.half_interval(pd.Series([1.0])))
    # mean 2, standard deviation 1, three values: t(0.975, 2) = 4.303
    assert statistics.half_interval(pd.Series([1.0, 2.0, 3.0])) == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)


def test_a_paired_difference_takes_out_what_the_pairs_share():
    """Seeds differ by hundreds, the settings by 1 on the mean: unpaired undecided, paired decided."""
    before = pd.Series({1: 100.0, 2: 300.0, 3: 200.0, 4: 0.0})
    after = pd.Series({3: 201.0, 1: 100.9, 2: 301.1, 9: 7.0})  # in another order; 4 and 9 have no partner
    found = statistics.paired_difference(after, before)
    assert found.pairs == 3
    assert found.mean == pytest.approx(1.0)
    assert found.interval == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=1e-3)
    assert found.decided
    assert statistics.paired_difference(before, before).decided is False
    alone = statistics.paired_difference(after.loc[[9]], before)
    assert (alone.pairs, math.isnan(alone.mean)) == (0, True)


FRAME = pd.DataFrame(
    [(seed, cell, deadline, method, seed * 10 + gain)
     for seed in (1, 2) for cell, deadline, gain in (("a", None, 0.0), ("b", None, 1.0), ("b", 5.0, 3.0))
     for method in ("m",)],
    columns=["seed", "cell", "deadline", "method", "score"],
)  # fmt: skip


def test_comparison_of_cells_with_the_first_of_them():
    rows = statistics.compare(FRAME, ["cell", "deadline"], ["method"], "score", None)
    assert rows["count"].tolist() == [2, 2, 2]
    assert rows["mean"].tolist() == [15.0, 16.0, 18.0]
    assert rows["difference"].tolist()[1:] == [1.0, 3.0]
    assert math.isnan(rows["difference"][0])  # it is the baseline
    assert rows["pairs"].tolist() == [0, 2, 2]
    assert rows["note"].tolist() == ["baseline", "", ""]
    assert rows["difference_interval"].tolist()[1:] == [0.0, 0.0]


def test_a_named_baseline_leaves_the_other_settings_as_they_are():
    rows = statistics.compare(FRAME, ["cell", "deadline"], ["method"], "score", {"deadline": None})
    assert rows["difference"].dropna().tolist() == [2.0]  # b with a deadline against b without
    with pytest.raises(ConfigurationError, match=r"'dedline'.*did you mean 'deadline'"):
        statistics.compare(FRAME, ["cell", "deadline"], ["method"], "score", {"dedline": 5.0})


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ({"cell": "c"}, r"no run has cell = 'c'; there are: 'a', 'b'"),
        ({"deadline": 4.0}, r"no run has deadline = 4.0; there are: None, 5.0"),
        ({"cell": "a", "deadline": 5.0}, "no run has cell = 'a' and deadline = 5.0 together"),
    ],
)
def test_a_baseline_that_no_run_has_is_refused(baseline, message):
    with pytest.raises(ConfigurationError, match=message):
        statistics.compare(FRAME, ["cell", "deadline"], ["method"], "score", baseline)


def scored(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["seed", "chosen", "method", "test_set", "score"])


def test_a_method_that_the_grid_chooses_is_paired_by_seed_all_the_same():
    """Each cell names its rows after its method; a control and the test sets are in both."""
    rows = [
        (seed, cell, method, on, seed * 100 + gain)
        for seed in (1, 2)
        for cell, own, gains in (("a", "A", (0, 10, 50)), ("b", "B", (1, 12, 50)))
        for method, on, gain in ((own, "global", gains[0]), (own, "local", gains[1]), ("majority", "global", gains[2]))
    ]
    found = statistics.compare(scored(*rows), ["chosen"], ["method", "test_set"], "score", None)
    of_b = found[found["chosen"] == "b"]
    assert of_b["method"].tolist() == ["B", "B", "majority"]
    assert of_b["difference"].tolist() == [1.0, 2.0, 0.0]
    assert of_b["pairs"].tolist() == [2, 2, 2]
    assert found["note"].tolist() == ["baseline"] * 3 + [""] * 3


def test_what_cannot_be_paired_says_why():
    rows = scored(
        (1, "a", "A", "global", 1.0),
        (2, "b", "A", "global", 2.0),  # another seed
        (1, "c", "B", "global", 3.0),
        (1, "c", "C", "global", 4.0),  # which of the two is A's successor?
    )
    found = statistics.compare(rows, ["chosen"], ["method", "test_set"], "score", None)
    refused = ["no seed in common with the baseline", *["no such row in the baseline"] * 2]
    assert found["note"].tolist() == ["baseline", *refused]
    assert found["difference"].isna().all()
    gone = statistics.compare(FRAME, ["cell", "deadline"], ["method"], "score", {"cell": "a"})
    assert gone["note"].tolist() == ["baseline", "", "no run of its baseline"]


@pytest.mark.parametrize(
    ("mean", "interval", "text"),
    [
        (0.712345, 0.01234, "0.712 +- 0.012"),
        (0.5, 0.25, "0.50 +- 0.25"),
        (5.671, 12.3, "6 +- 12"),
        (451_880.0, 1234.0, "451900 +- 1200"),  # not finer than the interval tells
        (451_880.0, math.nan, "451880"),
        (0.712345, math.nan, "0.7123"),
        (3.0e-7, 1.0e-8, "0.000000300 +- 0.000000010"),
        (2.0, 0.0, "2 +- 0"),
        (math.nan, math.nan, "-"),
    ],
)
def test_a_mean_is_as_fine_as_its_interval(mean, interval, text):
    assert statistics.with_interval(mean, interval) == text


@pytest.mark.parametrize(
    ("difference", "interval", "better", "said"),
    [
        (0.0, 0.0, "lower", "no difference"),
        (0.0, math.nan, None, "no difference"),
        (0.0, 0.1, "lower", "undecided"),
        (-0.2, 0.1, "lower", "better"),
        (-0.2, 0.1, "higher", "worse"),
        (-0.2, 0.1, None, ""),
        (-0.1, 0.1, "higher", "undecided"),
        (0.2, math.nan, "higher", "better"),  # one seed
    ],
)
def test_what_is_said_of_a_difference(difference, interval, better, said):
    row = {"difference": difference, "difference_interval": interval, "pairs": 2, "count": 2, "note": ""}
    assert statistics.remark(row, Score("e", better=better)) == said
    assert statistics.remark(row | {"count": 3}, Score("e", better=better)).startswith("2 of 3 seeds in common")
    assert statistics.remark(row | {"note": "baseline"}, Score("e")) == "baseline"
