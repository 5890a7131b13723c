# SPDX-License-Identifier: GPL-2.0-only
"""Placement of models that share blocks: against exhaustive search, bounds that are proved, and cases by hand."""

import dataclasses

import numpy as np
import pytest
from caching_problems import arbitrary, chains, problem

from edgelam.caching.library import Library
from edgelam.caching.placement import SOLVERS, Problem, exact, exhaustive, gen, independent, popularity, spec
from edgelam.errors import ConfigurationError

KINDS = {"chains": chains, "arbitrary": arbitrary}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_every_solver_keeps_to_storage_and_the_exact_one_equals_exhaustive_search(kind, seed):
    rng = np.random.default_rng(seed)
    case = problem(rng, KINDS[kind](rng), share=0.2 + 0.05 * seed)
    best = case.value(exhaustive.solve(case).kept)
    for name, solve in SOLVERS.items():
        found = solve(case)
        assert case.fits(found.kept), name
        assert case.value(found.kept) <= best + 1e-12, name
    assert case.value(exact.solve(case).kept) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_spec_is_within_its_bound_of_the_optimum(seed, epsilon):
    rng = np.random.default_rng(100 + seed)
    case = problem(rng, chains(rng, models=7), nodes=3, share=0.25)
    found = case.value(spec.solve(case, epsilon=epsilon).kept)
    assert found >= (1 - epsilon) / 2 * case.value(exhaustive.solve(case).kept) - 1e-12


@pytest.mark.parametrize("seed", range(8))
def test_spec_is_within_epsilon_of_the_optimum_at_one_node(seed):
    """There, its bound is 1 - epsilon: every combination of shared blocks is tried."""
    rng = np.random.default_rng(200 + seed)
    case = problem(rng, KINDS["arbitrary" if seed % 2 else "chains"](rng, models=8), nodes=1, share=0.35)
    found = case.value(spec.solve(case, epsilon=0.05).kept)
    assert found >= 0.95 * case.value(exhaustive.solve(case).kept) - 1e-12


def test_gen_can_be_far_from_the_optimum_where_spec_is_not():
    """One popular model of its own that fills the node, against many that share all they have: no constant bound."""
    count = 9
    models = [("large", [("alone", 100)])]
    models += [(f"small{i}", [("bottom", 90), (f"top{i}", 1)]) for i in range(count)]
    demand = np.array([[1.5, *[1.0] * count]])
    case = Problem(("n",), Library.of_lists(models), np.array([100]), demand, np.ones((1, 1, count + 1), dtype=bool))
    assert gen.solve(case).models(case) == {"n": ["large"]}
    assert spec.solve(case).models(case) == {"n": [f"small{i}" for i in range(count)]}
    assert case.value(exact.solve(case).kept) == pytest.approx(count / (count + 1.5))


@pytest.mark.parametrize("seed", range(10))
def test_without_shared_blocks_gen_is_independent_caching(seed):
    rng = np.random.default_rng(seed)
    shared = chains(rng, models=9)
    case = problem(rng, shared.unshared(), nodes=3, share=0.3)
    assert (gen.solve(case).kept == independent.solve(case).kept).all()
    several = Library.of_lists([(f"m{i}", [(f"{i}/{j}", 3 + i + j) for j in range(3)]) for i in range(9)])
    case = dataclasses.replace(case, library=several, capacity_bytes=np.full(3, 80))
    assert (gen.solve(case).kept == independent.solve(case).kept).all()


def test_sharing_makes_room_for_more_models():
    """A bottom of 90 and tops of 10: a node of 130 has four models if the bottom counts once, else one."""
    library = Library.of_lists([(f"m{i}", [("bottom", 90), (f"top{i}", 10)]) for i in range(6)])
    case = Problem(("n",), library, np.array([130]), np.arange(6, 0, -1.0)[None], np.ones((1, 1, 6), dtype=bool))
    for name in ("trimcaching-spec", "trimcaching-gen", "popularity", "exact"):
        assert SOLVERS[name](case).models(case) == {"n": ["m0", "m1", "m2", "m3"]}, name
    assert independent.solve(case).models(case) == {"n": ["m0"]}
    assert case.used_bytes(gen.solve(case).kept).tolist() == [130]


def test_popularity_does_not_see_what_other_nodes_have():
    library = Library.of_lists([("a", [("a", 10)]), ("b", [("b", 10)])])
    everywhere = np.ones((2, 1, 2), dtype=bool)
    case = Problem(("n0", "n1"), library, np.array([10, 10]), np.array([[2.0, 1.0]]), everywhere)
    assert popularity.solve(case).models(case) == {"n0": ["a"], "n1": ["a"]}
    assert sorted(gen.solve(case).models(case).values()) == [["a"], ["b"]]


@pytest.mark.parametrize("seed", range(20))
def test_the_knapsack_is_within_epsilon_of_all_subsets(seed):
    rng = np.random.default_rng(seed)
    values, sizes = rng.random(9), rng.integers(1, 50, 9)
    room = int(rng.integers(50, 120))
    chosen = spec.knapsack(values, sizes, room, 0.1)
    assert sizes[chosen].sum() <= room
    every = [[i for i in range(9) if bits >> i & 1] for bits in range(512)]
    best = max(values[subset].sum() for subset in every if sizes[subset].sum() <= room)
    assert values[chosen].sum() >= 0.9 * best - 1e-12


def test_what_is_not_legal_is_refused():
    rng = np.random.default_rng(1)
    case = problem(rng, chains(rng))
    with pytest.raises(ConfigurationError, match="epsilon is 1"):
        spec.solve(case, epsilon=1)
    with pytest.raises(ConfigurationError, match="more than 20000 here: it is for models that share bottoms"):
        spec.solve(problem(rng, arbitrary(rng, models=40, blocks=60)))
    with pytest.raises(ConfigurationError, match="at most 12 models, and there are 20"):
        exhaustive.solve(problem(rng, chains(rng, models=20)))
    for changes, text in (
        ({"demand": np.zeros_like(case.demand)}, "not all 0"),
        ({"demand": -case.demand}, "not negative"),
        ({"in_time": case.in_time.astype(float)}, "legal is bool"),
        ({"capacity_bytes": np.array([1, -1])}, "it is 0 or more"),
        ({"capacity_bytes": np.array([1])}, "of shapes"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            dataclasses.replace(case, **changes)
