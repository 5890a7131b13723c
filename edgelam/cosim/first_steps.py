# SPDX-License-Identifier: GPL-2.0-only
"""Counts an optimiser's first step as a later one.

PyTorch's optimisers make their state (moments, momentum) in the first step, which therefore costs more or less than
the others. If that step were counted as it is, the work that is kept for a key would depend on which step came first:
training from the beginning would take other simulated time than the same training resumed from a checkpoint. So when a
step has made state, it is done once more, on a copy that is not kept, and this second step is counted instead. Making
the state takes no simulated time.
"""

from __future__ import annotations

import copy
from typing import Any

from edgelam.random_streams import torch_seeded


class FirstSteps:
    """Context manager inside a counting mode: replaces the work of steps that make optimiser state."""

    def __init__(self, mode: Any) -> None:
        """mode: has `flops` and `bytes` counted so far."""
        self._mode = mode
        self._before: dict[int, tuple[Any, int, int]] = {}
        self._handles: list[Any] = []
        self.replaced_all = True
        """Whether every such step could be replaced."""

    def __enter__(self) -> FirstSteps:
        """Begin to look at steps."""
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        self._handles = [
            register_optimizer_step_pre_hook(self._begins),
            register_optimizer_step_post_hook(self._ended),
        ]
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop looking."""
        for handle in self._handles:
            handle.remove()

    def _begins(self, optimiser: Any, args: Any, kwargs: Any) -> None:
        self._before[id(optimiser)] = (_kept(optimiser), self._mode.flops, self._mode.bytes)

    def _ended(self, optimiser: Any, args: Any, kwargs: Any) -> None:
        kept, flops, bytes = self._before.pop(id(optimiser), (None, 0, 0))
        if kept is None or _kept(optimiser) == kept:
            return
        if any(value is not None for value in args[1:] + tuple(kwargs.values())):  # args[0]: the optimiser
            self.replaced_all = False  # a closure: it is part of the step and cannot be called again
            return
        from torch.utils._python_dispatch import _disable_current_modes

        counted = (self._mode.flops, self._mode.bytes)
        try:
            with _disable_current_modes():
                twin = _twin(optimiser)
            self._mode.flops, self._mode.bytes = flops, bytes
            _step(twin)
        except Exception:  # an optimiser that holds what cannot be copied: what was counted is used
            self._mode.flops, self._mode.bytes = counted
            self.replaced_all = False


def _kept(optimiser: Any) -> tuple[int, int]:
    """Return how much state there is: entries and their parts that are not None."""
    states = optimiser.state.values()
    parts = sum(
        sum(value is not None for value in state.values()) if isinstance(state, dict) else 1 for state in states
    )
    return len(optimiser.state), parts


def _twin(optimiser: Any) -> Any:
    """Return a copy with its own parameters, gradients and state."""
    memo: dict[int, Any] = {}
    twin = copy.deepcopy(optimiser, memo)  # what every optimiser has, without its hooks
    for name, value in vars(optimiser).items():
        if name not in vars(twin) and name != "step":  # a scheduler puts a `step` of its own there
            setattr(twin, name, copy.deepcopy(value, memo))
    for group, own in zip(optimiser.param_groups, twin.param_groups, strict=True):
        for parameter, copied in zip(group["params"], own["params"], strict=True):
            copied.grad = None if parameter.grad is None else parameter.grad.clone()
    return twin


def _step(optimiser: Any) -> None:
    """Do one step without hooks, which draws no random number of the program."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    step = type(optimiser).step
    if getattr(step, "hooked", False):
        step = step.__wrapped__
    with torch_seeded(None, devices=sorted({p.device.index for p in parameters if p.is_cuda})):
        step(optimiser)
