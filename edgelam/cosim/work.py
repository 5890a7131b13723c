# SPDX-License-Identifier: GPL-2.0-only
"""Counting the work of PyTorch code: floating-point operations and bytes of memory traffic.

One dispatch mode sees every operator that PyTorch runs. FLOPs: an operator that multiplies has a formula, in
`torch.utils.flop_counter` (attention on the GPU) or in flop_formulas.py; an operator that is written in terms of others
is taken apart; the others are element-wise or similar (light_operators.py) and count as none, because their cost is
memory traffic. An operator about which nothing is known, such as a user's own, counts as no FLOPs, and a warning names
it once; `torch.utils.flop_counter.register_flop_formula` gives it a formula. Compiled functions run operator by
operator while they are counted.

Bytes are what every operator reads and writes when operators run one by one, as in PyTorch (views are free). This is an
upper bound where a compiler would fuse. Only the local part of a distributed tensor counts.

If an optimiser makes its state in a step, the step is counted as if the state had existed (first_steps.py).
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any

from edgelam.cosim import flop_formulas, light_operators


@dataclass(frozen=True, slots=True)
class Work:
    """An amount of computing: `flops` floating-point operations and `bytes` read and written."""

    flops: int = 0
    bytes: int = 0

    def __add__(self, other: Work) -> Work:
        """Return the work of both, one after the other."""
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, times: float) -> Work:
        """Return this work several times."""
        return Work(round(self.flops * times), round(self.bytes * times))

    __rmul__ = __mul__


class WorkCounter:
    """Context manager that counts the work of the PyTorch code inside; `work` is the result.

    lasting: an optimiser's step counts as it does when the same code runs again.
    """

    def __init__(self) -> None:
        """Get ready; imports torch."""
        from edgelam.cosim.first_steps import FirstSteps

        self.work = Work()
        self.lasting = True
        self._mode = _mode_class()()
        self._eager: Any = None
        self._first_steps = FirstSteps(self._mode)

    def __enter__(self) -> WorkCounter:
        """Begin to count."""
        import torch

        # otherwise compiled functions would refuse to run under a mode (fullgraph), or it would not see them (others)
        self._eager = torch.compiler.set_stance("force_eager")
        self._eager.__enter__()
        self._mode.__enter__()
        self._first_steps.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop counting."""
        self._first_steps.__exit__(*error)
        self._mode.__exit__(*error)
        self._eager.__exit__(*error)
        self.work = Work(self._mode.flops, self._mode.bytes)
        self.lasting = self._first_steps.replaced_all


def counting_mode() -> Any:
    """Return a dispatch mode that counts while it is entered: `flops` and `bytes` so far."""
    return _mode_class()()


def count(function: Any, *args: Any, **kwargs: Any) -> Work:
    """Return the work of one call of `function`."""
    with WorkCounter() as counter:
        function(*args, **kwargs)
    return counter.work


@functools.cache
def _mode_class() -> Any:
    """Return the class of the dispatch mode; it is made here so that torch is imported only if something is counted."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.utils._python_dispatch import TorchDispatchMode

    class CountingMode(TorchDispatchMode):
        supports_higher_order_operators = True

        def __init__(self) -> None:
            super().__init__()
            self.flops = 0
            self.bytes = 0
            self._passes_on = False

        @classmethod
        def is_infra_mode(cls) -> bool:
            """Return True, so that PyTorch's compiler works: its code is counted when it runs, not when it is made."""
            return True

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if FakeTensor in types:  # a fake tensor is only asked for its shape
                return func(*args, **kwargs)
            if any(map(_made_of_tensors, types)):
                return self._on_parts(func, args, kwargs)
            if isinstance(func, torch._ops.HigherOrderOperator):
                return self._higher_order(func, args, kwargs)
            how = _how(func)
            if how.inside is not None and not _has_kernel_of_its_own(func, args, kwargs):
                with self:
                    return func._op_dk(how.inside, *args, **kwargs)
            out = func(*args, **kwargs)
            if not how.light:
                self.flops += how.flops(args, kwargs, out)
            if not how.free:
                self.bytes += how.traffic(args, kwargs, out)
            return out

        def _on_parts(self, func: Any, args: Any, kwargs: Any) -> Any:
            """Count the operators that a tensor made of tensors (such as DTensor) runs on its own parts."""
            if self._passes_on:
                self._passes_on = False
                return NotImplemented  # now it is the tensor's turn, with this mode active
            self._passes_on = True
            with self:
                return func(*args, **kwargs)

        def _higher_order(self, func: Any, args: Any, kwargs: Any) -> Any:
            if func is torch.ops.higher_order.cond:
                predicate, if_true, if_false, operands = args
                with self:
                    return (if_true if predicate else if_false)(*operands)
            out = func(*args, **kwargs)
            if formula := _registered(func):
                self.flops += int(formula(*args, **kwargs, out_val=out))
            else:
                _tell(func)
            self.bytes += sum(map(_bytes, _tensors((args, kwargs, out))))
            return out

    return CountingMode


class _How:
    """How one operator (an OpOverload) is counted."""

    def __init__(self, func: Any) -> None:
        import torch

        keys = torch._C.DispatchKey
        namespace, _, name = func._schema.name.partition("::")
        plain = light_operators.plain_name(name) if namespace == "aten" else name
        self._func = func
        self._formula = None
        if not name.startswith("_foreach_"):
            self._formula = flop_formulas.table().get(f"{namespace}::{plain}")
        self._factor = 1 if plain in flop_formulas.FFT else 4
        self.light = self._formula is None and light_operators.is_light(func)
        """Whether it counts as no FLOPs."""
        composite = [keys.CompositeImplicitAutograd]
        if not self.light and self._formula is None and _registered(func._overloadpacket) is None:
            composite += [keys.CompositeExplicitAutograd, keys.CompositeExplicitAutogradNonFunctional]
        self.inside = next((key for key in composite if _has_kernel(func, key)), None)
        """The key of a kernel that calls other operators: it is run, and they are counted instead."""
        self.free = func.is_view or name in light_operators.UNTOUCHED
        """Whether it counts as no traffic."""
        self._write_only = name in light_operators.WRITE_ONLY
        self._look_up = name in light_operators.LOOK_UPS

    def flops(self, args: Any, kwargs: Any, out: Any) -> int:
        formula = self._formula or _registered(self._func._overloadpacket)
        if formula is None:
            _tell(self._func)
            return 0
        flops = int(formula(*args, **kwargs, out_val=out))
        if flops and any(tensor.is_complex() for tensor in _tensors((args, kwargs))):
            flops *= self._factor
        return flops

    def traffic(self, args: Any, kwargs: Any, out: Any) -> int:
        if self._write_only:
            return sum(map(_bytes, _tensors(out)))
        total, seen = 0, set()
        if self._look_up:  # reads what it returns
            seen.add(id(args[0]))
            total += _bytes(out)
        for tensor in _tensors((args, kwargs, out)):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                total += _bytes(tensor)
        return total


@functools.cache
def _how(func: Any) -> _How:
    return _How(func)


def _has_kernel(func: Any, key: Any) -> bool:
    """Return whether PyTorch itself has a kernel: it does not run its decompositions in Python."""
    import torch

    name = func.name()
    return not name.startswith("prim::") and torch._C._dispatch_has_kernel_for_dispatch_key(name, key)


def _has_kernel_of_its_own(func: Any, args: Any, kwargs: Any) -> bool:
    """Return whether PyTorch runs another kernel than the one in terms of other operators: nested, quantised and
    sparse tensors have such kernels."""
    import torch

    kinds = {
        torch.sparse_coo: "Sparse",
        torch.sparse_csr: "SparseCsr",
        torch.sparse_csc: "SparseCsr",
        torch.sparse_bsr: "SparseCsr",
        torch.sparse_bsc: "SparseCsr",
        torch._mkldnn: "Mkldnn",  # type: ignore[attr-defined]
    }
    for tensor in _tensors((args, kwargs)):
        kind = "NestedTensor" if tensor.is_nested else "Quantized" if tensor.is_quantized else kinds.get(tensor.layout)
        if kind is None:
            continue
        key = getattr(torch._C.DispatchKey, kind + tensor.device.type.upper(), None)
        if key is not None and _has_kernel(func, key):
            return True
    return False


def _made_of_tensors(kind: Any) -> bool:
    return hasattr(kind, "__tensor_flatten__")


def _registered(packet: Any) -> Any:
    """Return PyTorch's formula, or one that the user has registered."""
    from torch.utils.flop_counter import flop_registry

    return flop_registry.get(packet)


def _tensors(tree: Any) -> list[Any]:
    import torch
    from torch.utils._pytree import tree_leaves

    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _bytes(tensor: Any) -> int:
    """Return the bytes of the values, and of the indices of a sparse tensor."""
    import torch

    layout = tensor.layout
    if layout is torch.strided:
        return int(tensor.numel() * tensor.element_size())
    if layout is torch.sparse_coo:
        return sum(map(_bytes, (tensor._indices(), tensor._values())))  # noqa: SLF001
    if layout in (torch.sparse_csr, torch.sparse_bsr):
        return sum(map(_bytes, (tensor.crow_indices(), tensor.col_indices(), tensor.values())))
    if layout in (torch.sparse_csc, torch.sparse_bsc):
        return sum(map(_bytes, (tensor.ccol_indices(), tensor.row_indices(), tensor.values())))
    return int(tensor.numel() * tensor.element_size())


_told: set[str] = set()


def _tell(func: Any) -> None:
    """Warn, once per operator and process, that its FLOPs are not known."""
    name = func._schema.name if hasattr(func, "_schema") else func.name()
    if name in _told:
        return
    _told.add(name)
    warnings.warn(
        f"the work of operator {name} is not known: its memory traffic counts, its FLOPs count as none. If it "
        "multiplies, give it a formula with torch.utils.flop_counter.register_flop_formula (docs/how-time-works.md)",
        UserWarning,
        stacklevel=2,
    )
