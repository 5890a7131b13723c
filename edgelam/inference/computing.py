# SPDX-License-Identifier: GPL-2.0-only
"""Runs modules, and measures what they cost: work, weights read, and the most memory that is held at a time.

Each request is computed by itself, whatever batch it is in, so its outputs do not depend on the others of the batch:
how requests are batched, routed or placed changes no bit. A batch costs what its requests cost alone, except that the
weights are read once (`batched`). An output is kept by the hash of the weights and of the inputs, and is not computed
again: that saves wall time only, since simulated time, memory and bytes are charged each time.
"""

from __future__ import annotations

import dataclasses
import traceback
import weakref
from collections.abc import Iterator, Sequence
from functools import cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from edgelam.cosim.work import Work, WorkCounter
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.inference.module import values_hash

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.inference.module import Module


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of a module: all of it, or, of a module that generates, one token."""

    work: Work
    weight_traffic: int
    """Bytes of weights that it reads, which is part of the bytes of `work`."""
    gives: dict[str, Tensor]
    """What the step has produced; for streaming."""
    wall_s: float


@dataclasses.dataclass(frozen=True)
class Result:
    """What a module makes of the inputs of one request."""

    outputs: dict[str, Tensor]
    steps: tuple[Step, ...]
    memory_bytes: int
    """The most that inputs and intermediate tensors take at a time, without the weights."""


class Computing:
    """Computes, and keeps results. One object may serve several simulations."""

    def __init__(self, *, keep: bool = True) -> None:
        """keep: compute identical (weights, inputs) once."""
        self.keep = keep
        self.computed = 0
        """How often a module really ran."""
        self._kept: dict[tuple[str, str, str], Result] = {}

    def run(self, module: Module, inputs: dict[str, Tensor]) -> Result:
        """Return the result of `module` for these inputs, without gradients.

        Raises ConfigurationError if the module does not give what it says, and EdgelamError, with the place in the
        module's code, if it raises anything.
        """
        key = (module.name, module.weights_hash, values_hash(inputs))
        result = self._kept.get(key)
        if result is None:
            try:
                result = _measured(module, inputs)
            except EdgelamError:
                raise
            except Exception as error:  # a module is anybody's code
                place = traceback.extract_tb(error.__traceback__)[-1]
                raise EdgelamError(
                    f"module {module.name!r} fails: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
                ) from error
            self.computed += 1
            if self.keep:
                self._kept[key] = result
        return result


def batched(steps: Sequence[Step]) -> Work:
    """Return the work of steps of one module that run as a batch: the weights are read once."""
    total = Work()
    for step in steps:
        total += step.work
    traffic = [step.weight_traffic for step in steps]
    return Work(total.flops, total.bytes - (sum(traffic) - max(traffic)))


def _measured(module: Module, inputs: dict[str, Tensor]) -> Result:
    import torch

    given = getattr(module, "work", None)
    steps: list[Step] = []
    with torch.no_grad():
        if given is not None:
            began = perf_counter()
            outputs = _checked(module, module.forward(inputs))
            work = given(inputs)
            traffic = min(module.weight_bytes, work.bytes)
            steps.append(Step(work, traffic, outputs, perf_counter() - began))
            memory = _bytes(inputs) + _bytes(outputs) + getattr(module, "request_bytes", 0)
        else:
            watching = _watching_class()(getattr(module, "network", None), _bytes(inputs))
            outputs = _steps(module, inputs, watching, steps)
            memory = watching.peak_bytes
    return Result(outputs, tuple(steps), memory)


def _checked(module: Module, outputs: Any) -> dict[str, Tensor]:
    """Return the outputs. Raises ConfigurationError if they are not the tensors that the module says."""
    import torch

    for name, value in outputs.items() if isinstance(outputs, dict) else [("its output", outputs)]:
        if not isinstance(value, torch.Tensor):
            raise ConfigurationError(
                f"module {module.name!r} gives {name} as {type(value).__name__}; legal is a dict of tensors"
            )
    if set(outputs) != set(module.gives):
        raise ConfigurationError(
            f"module {module.name!r} gives {', '.join(sorted(outputs)) or 'nothing'}, and says that it gives "
            f"{', '.join(sorted(module.gives))}"
        )
    return dict(outputs)


def _steps(module: Module, inputs: dict[str, Tensor], watching: Any, steps: list[Step]) -> dict[str, Tensor]:
    """Run the module step by step; append what each step cost; return the outputs."""
    generating = _generating(module, inputs)
    while True:
        before, began = watching.weight_traffic, perf_counter()
        with WorkCounter() as counter, watching:
            try:
                part, ended, outputs = next(generating), False, None
            except StopIteration as stop:
                part, ended, outputs = {}, True, stop.value
        step = Step(counter.work, watching.weight_traffic - before, part, perf_counter() - began)
        if not ended:
            steps.append(step)
            continue
        if steps:  # what is done after the last token belongs to the last step
            last = steps.pop()
            step = Step(
                last.work + step.work, last.weight_traffic + step.weight_traffic, last.gives, last.wall_s + step.wall_s
            )
        steps.append(step)
        return _checked(module, outputs)


def _generating(module: Module, inputs: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    generate = getattr(module, "generate", None)
    if generate is not None:
        return generate(dict(inputs))

    def whole() -> Any:
        return module.forward(dict(inputs))
        yield

    return whole()


def _bytes(values: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in values.values())


@cache
def _watching_class() -> Any:
    """Return the class of a dispatch mode; it is made here so that torch is imported only if something is computed."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    from edgelam.cosim.light_operators import LOOK_UPS

    class Watching(TorchDispatchMode):
        """Adds up the weights that operators read, and follows the bytes that are held."""

        def __init__(self, network: Any, input_bytes: int) -> None:
            super().__init__()
            weights = () if network is None else (*network.parameters(), *network.buffers())
            self._weights = {tensor.untyped_storage().data_ptr() for tensor in weights}
            self.weight_traffic = 0
            self.peak_bytes = self._held = input_bytes
            self._known: dict[int, Any] = {}  # address of a storage -> a reference that says when it is freed

        @classmethod
        def is_infra_mode(cls) -> bool:
            return True

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            is_view = getattr(func, "is_view", False)
            if not is_view and func._schema.name.partition("::")[2] not in LOOK_UPS:
                for tensor in _of(args, kwargs):
                    if tensor.untyped_storage().data_ptr() in self._weights:
                        self.weight_traffic += tensor.numel() * tensor.element_size()
            out = func(*args, **kwargs)
            if not is_view:
                for tensor in _of(out):
                    self._hold(tensor.untyped_storage())
            return out

        def _hold(self, storage: Any) -> None:
            at, size = storage.data_ptr(), storage.nbytes()
            if size == 0 or at in self._known or at in self._weights:
                return
            self._known[at] = weakref.ref(storage, partial(self._free, at, size))
            self._held += size
            self.peak_bytes = max(self.peak_bytes, self._held)

        def _free(self, at: int, size: int, _reference: Any) -> None:
            del self._known[at]
            self._held -= size

    def _of(*trees: Any) -> list[Any]:
        return [leaf for leaf in tree_leaves(trees) if isinstance(leaf, torch.Tensor) and leaf.layout is torch.strided]

    return Watching
