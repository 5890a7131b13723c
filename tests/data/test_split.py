# SPDX-License-Identifier: GPL-2.0-only
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.data import split_dirichlet, split_iid
from edgelam.errors import ConfigurationError


@settings(max_examples=60, deadline=None)
@given(
    num_parts=st.integers(1, 12),
    extra=st.integers(0, 80),
    num_classes=st.integers(1, 6),
    alpha=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_sample_is_in_one_part_and_no_part_is_empty(
    num_parts: int, extra: int, num_classes: int, alpha: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_parts + extra)
    for parts in (
        split_dirichlet(labels, num_parts, alpha, np.random.default_rng(seed)),
        split_iid(len(labels), num_parts, np.random.default_rng(seed)),
    ):
        assert len(parts) == num_parts
        assert min(len(part) for part in parts) >= 1
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))


def test_alpha_decides_how_uneven() -> None:
    labels = np.repeat(np.arange(10), 100)

    def largest_share(alpha: float) -> float:
        parts = split_dirichlet(labels, 5, alpha, np.random.default_rng(0))
        return float(np.mean([np.bincount(labels[part], minlength=10).max() / len(part) for part in parts]))

    assert largest_share(0.05) > 2 * largest_share(1000.0)
    assert largest_share(1000.0) < 0.15


def test_same_seed_same_parts() -> None:
    labels = np.arange(50) % 3
    one, other = (split_dirichlet(labels, 4, 0.5, np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_cannot_be_split_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigurationError, match="3 samples cannot give"):
        split_iid(3, 4, rng)
    with pytest.raises(ConfigurationError, match="3 samples cannot give"):
        split_dirichlet(np.array([0, 1, 0]), 4, 1.0, rng)
    with pytest.raises(ConfigurationError, match="alpha is 0"):
        split_dirichlet(np.array([0, 1, 0]), 2, 0.0, rng)
    with pytest.raises(ConfigurationError, match="0 parts"):
        split_iid(3, 0, rng)
