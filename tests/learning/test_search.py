# SPDX-License-Identifier: GPL-2.0-only
"""The search for a learning rate."""

import math

import pytest

from edgelam.errors import ConfigurationError, Diverged
from edgelam.learning.search import best_factor


def searched(losses):
    """The best factor where each of `losses` (factor -> loss, or what is raised) is what learning at it gives."""
    seen = []

    def attempt(factor):
        if isinstance(losses[factor], Exception):
            raise losses[factor]
        return losses[factor]

    return best_factor("gru", list(losses), attempt, lambda factor, loss: seen.append((factor, loss))), seen


def test_the_least_loss_wins_and_the_first_of_equals():
    best, seen = searched({3.0: 0.5, 1.0: 0.2, 0.3: 0.2})
    assert best == 1.0
    assert seen == [(3.0, 0.5), (1.0, 0.2), (0.3, 0.2)]


def test_what_diverges_is_worth_nothing():
    best, seen = searched({10.0: Diverged("too far"), 1.0: 0.9, 5.0: ExceptionGroup("tasks", [Diverged("too far")])})
    assert best == 1.0
    assert [math.isnan(loss) for _, loss in seen] == [True, False, True]
    assert searched({1.0: math.nan, 2.0: 4.0})[0] == 2.0


def test_where_all_diverge_the_search_says_so():
    with pytest.raises(Diverged, match=r"gru diverges at every factor of the search \(1, 10\); the last: too far"):
        searched({1.0: Diverged("near"), 10.0: Diverged("too far")})


def test_another_fault_is_no_divergence():
    for fault in (ConfigurationError("rank"), ExceptionGroup("tasks", [ConfigurationError("rank")])):
        with pytest.raises(type(fault)):
            searched({1.0: fault, 2.0: 0.1})


@pytest.mark.parametrize(
    ("best", "beyond", "found", "tried"),
    [
        (20.0, 0, 3.0, [0.3, 1.0, 3.0]),
        (20.0, 2, 27.0, [0.3, 1.0, 3.0, 9.0, 27.0]),
        (20.0, 5, 27.0, [0.3, 1.0, 3.0, 9.0, 27.0, 81.0]),
        (0.1, 1, 0.09, [0.3, 1.0, 3.0, 0.09]),
        (1.0, 3, 1.0, [0.3, 1.0, 3.0]),
    ],
)
def test_a_search_goes_on_past_its_ends(best, beyond, found, tried):
    """The loss is least at `best`: as long as the end is the best of all, one more is tried there."""
    seen = []
    attempt = lambda factor: abs(math.log(factor / best))  # noqa: E731
    factor = best_factor("gru", (0.3, 1.0, 3.0), attempt, lambda each, _: seen.append(each), beyond=beyond)
    assert factor == pytest.approx(found)
    assert seen == pytest.approx(tried)
