# SPDX-License-Identifier: GPL-2.0-only
"""Steps of a training that goes on from where it was ended, to the same weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgelam.modalities.bench import Bench


def resumed(
    bench: Bench, network: nn.Module, optimiser: torch.optim.Optimizer, *, steps: int, every: int
) -> Iterator[int]:
    """Yield the numbers of the steps that are left; what the next step needs is kept after each `every` steps.

    Before the first number, the trained weights of `network` and the state of `optimiser` are restored.
    """
    begin, last_kept = 0, ""
    for done in range(steps // every * every, 0, -every):
        if (state := bench.kept(f"step-{done}")) is not None:
            _restore(network, optimiser, state)
            begin, last_kept = done, f"step-{done}"
            break
    for step in range(begin, steps):
        yield step
        if (step + 1) % every == 0:
            bench.keep(f"step-{step + 1}", lambda: _state(network, optimiser))
            if last_kept:
                bench.drop(last_kept)
            last_kept = f"step-{step + 1}"


def _state(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies of what the next step needs."""
    state = {f"weights {n}": p.detach().clone() for n, p in network.named_parameters() if p.requires_grad}
    for number, values in optimiser.state_dict()["state"].items():
        state |= {f"optimiser {number} {name}": value.clone() for name, value in values.items()}
    return state


def _restore(network: nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    own = dict(network.named_parameters())
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        kind, rest = name.split(" ", 1)
        if kind == "weights":
            own[rest].data.copy_(value)
        else:
            number, field = rest.split(" ")
            moments.setdefault(int(number), {})[field] = value
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
