# SPDX-License-Identifier: GPL-2.0-only
"""The order in which models are run: against all orders, and what trees allow."""

import itertools

import numpy as np
import pytest
from caching_problems import arbitrary, chains

from edgelam.caching import order
from edgelam.caching.families import frozen_bottoms
from edgelam.caching.library import Library
from edgelam.errors import ConfigurationError


@pytest.mark.parametrize("seed", range(4))
def test_the_exact_order_is_the_best_of_all_orders(seed):
    library = arbitrary(np.random.default_rng(seed), models=7)
    models = list(range(7))
    best = min(order.loaded_bytes(library, each) for each in itertools.permutations(models))
    found = order.exact(library, models)
    assert sorted(found) == models
    assert order.loaded_bytes(library, found) == best
    assert best <= order.loaded_bytes(library, order.greedy(library, models)) <= 1.3 * best


@pytest.mark.parametrize("seed", range(6))
def test_greedy_is_best_where_models_share_bottoms(seed):
    library = chains(np.random.default_rng(seed), models=9)
    models = list(range(9))
    assert order.loaded_bytes(library, order.greedy(library, models)) == order.loaded_bytes(
        library, order.exact(library, models)
    )


def test_a_model_that_is_asked_for_twice_is_loaded_once():
    library = Library.of_lists([("a", [("root", 90), ("a", 10)]), ("b", [("root", 90), ("b", 10)]), ("c", [("c", 50)])])
    assert order.loaded_bytes(library, [0, 2, 1, 0]) == 100 + 50 + 100 + 10
    found = order.greedy(library, [0, 2, 1, 0])
    assert sorted(found) == [0, 0, 1, 2]
    assert order.loaded_bytes(library, found) == 100 + 10 + 50
    assert order.loaded_bytes(library, order.exact(library, [0, 2, 1, 0])) == 160


def test_frozen_bottoms_of_one_root_are_loaded_once():
    library = frozen_bottoms(12, np.random.default_rng(1))
    models = np.random.default_rng(2).permutation(12).tolist()
    found = order.loaded_bytes(library, order.greedy(library, models))
    assert library.union_bytes(np.ones(12, dtype=bool)) <= found < 0.75 * order.loaded_bytes(library, models)


def test_what_cannot_be_ordered_is_refused():
    library = frozen_bottoms(13, np.random.default_rng(1))
    with pytest.raises(ConfigurationError, match="at most 12 models, not 13"):
        order.exact(library, range(13))
    with pytest.raises(ConfigurationError, match="there are no models to order"):
        order.greedy(library, [])
