# SPDX-License-Identifier: GPL-2.0-only
"""Algorithms of collectives, one a file, as coroutines over a `Call` (edgelam/parallel/group.py).

An algorithm is a module whose functions have the names of operations. What it does not have is done by another one,
as `ALGORITHMS` says, and by `direct` in the end. The functions get flat tensors, one-dimensional and contiguous:

- all_reduce(call, flat, reduction), broadcast(call, flat, root), reduce(call, flat, root, reduction);
- all_gather(call, flats), reduce_scatter(call, flats, reduction): the tensor of each rank's place, this rank's filled
  with its own before or, reduced, afterwards;
- gather(call, flats, root), scatter(call, flats, root): on rank `root` all places, on the others their own tensor only;
- all_to_all(call, outputs, inputs), barrier(call).

They may use the tensors that they get as they like until they have put the result there; but what `call.send` was given
does not change what is sent.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable

from edgelam.errors import ConfigurationError

ALGORITHMS = {
    "direct": (),
    "ring": (),
    "tree": (),
    "halving-doubling": ("ring",),
    "star": (),
    "pipelined-star": (),
    "hierarchical": ("ring",),
    "multicast": ("ring",),
    "auto": (),
}
"""Names of the algorithms; of each, which ones do what it does not have."""

THROUGH_A_SERVER = ("star", "pipelined-star", "auto")
"""Those that use a server of no rank where there is one (star.py)."""


def algorithm_of(operation: str, name: str) -> tuple[str, Callable[..., Awaitable[None]]]:
    """The function that carries out an operation by an algorithm, with the name of the algorithm that it belongs to.

    Raises ConfigurationError for an unknown name.
    """
    if name not in ALGORITHMS:
        raise ConfigurationError(f"unknown algorithm {name!r} of collectives; legal are {', '.join(ALGORITHMS)}")
    for each in (name, *ALGORITHMS[name], "direct"):
        module = importlib.import_module(f"edgelam.parallel.collectives.{each.replace('-', '_')}")
        function = getattr(module, operation, None)
        if function is not None:
            return each, function
    raise AssertionError(f"no algorithm of {operation}")
