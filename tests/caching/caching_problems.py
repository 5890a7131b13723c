# SPDX-License-Identifier: GPL-2.0-only
"""Random libraries and placement problems for tests."""

import numpy as np

from edgelam.caching.library import Library
from edgelam.caching.placement import Problem


def chains(rng, *, models=6, roots=2, layers=5, own=True):
    """Models that share a bottom of one of a few roots; each has an own block."""
    found = []
    for i in range(models):
        root = int(rng.integers(roots))
        depth = int(rng.integers(0, layers + 1))
        blocks = [(f"{root}/{layer}", 10 + 7 * root + 3 * layer) for layer in range(depth)]
        if own or not depth:
            blocks.append((f"own {i}", int(rng.integers(5, 40))))
        found.append((f"m{i}", blocks))
    return Library.of_lists(found)


def arbitrary(rng, *, models=6, blocks=9):
    """Models that need each block with a probability of 0.4, and each a block of its own."""
    sizes = rng.integers(1, 30, blocks + models)
    needs = np.hstack([rng.random((models, blocks)) < 0.4, np.eye(models, dtype=bool)])
    used = needs.any(axis=0)
    names = tuple(f"b{j}" for j in np.flatnonzero(used))
    return Library(tuple(f"m{i}" for i in range(models)), names, sizes[used].astype(np.int64), needs[:, used])


def problem(rng, library, *, nodes=2, users=4, share=0.4, reach=0.7):
    """A placement problem; share: of the bytes of all models together, that each node stores."""
    whole = library.union_bytes(np.ones(len(library.models), dtype=bool))
    return Problem(
        tuple(f"n{n}" for n in range(nodes)), library, np.full(nodes, int(share * whole)),
        rng.random((users, len(library.models))), rng.random((nodes, users, len(library.models))) < reach,
    )  # fmt: skip
