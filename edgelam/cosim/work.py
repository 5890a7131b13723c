# SPDX-License-Identifier: GPL-2.0-only
"""Counting the work of PyTorch code: floating-point operations and bytes of memory traffic.

FLOPs are counted by `torch.utils.flop_counter.FlopCounterMode` (matrix products, convolutions, attention on the GPU),
with formulas added here for what it counts as nothing: scaled-dot-product attention on the CPU, embeddings and norms.
Other element-wise operations count as no FLOPs; their cost is memory traffic. Bytes are what every operator reads and
writes when run one by one, as PyTorch does (views are free): an upper bound where a compiler would fuse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Work:
    """An amount of computing: `flops` floating-point operations and `bytes` read and written."""

    flops: int = 0
    bytes: int = 0

    def __add__(self, other: Work) -> Work:
        """Both one after the other."""
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, times: float) -> Work:
        """The same several times."""
        return Work(round(self.flops * times), round(self.bytes * times))

    __rmul__ = __mul__


class WorkCounter:
    """Context manager that counts the work of the PyTorch code inside; `work` is the result."""

    def __init__(self) -> None:
        """Get ready; imports torch."""
        from torch.utils.flop_counter import FlopCounterMode

        self.work = Work()
        self._bytes = _byte_counter()
        self._flops = FlopCounterMode(display=False, custom_mapping=_formulas())

    def __enter__(self) -> WorkCounter:
        """Begin to count."""
        self._bytes.__enter__()  # outer: sees the operators that are left after the FLOP counter took some apart
        self._flops.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop counting."""
        self._flops.__exit__(*error)
        self._bytes.__exit__(*error)
        self.work = Work(int(self._flops.get_total_flops()), self._bytes.bytes)


def count(function: Any, *args: Any, **kwargs: Any) -> Work:
    """The work of one call of `function`."""
    with WorkCounter() as counter:
        function(*args, **kwargs)
    return counter.work


def _byte_counter() -> Any:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    aten = torch.ops.aten
    look_ups = {
        aten.embedding,
        aten.index_select,
        aten.gather,
        aten.index,
    }  # read what they return

    class ByteCounter(TorchDispatchMode):
        bytes = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            if not func.is_view:
                seen: set[int] = set()
                if func._overloadpacket in look_ups:
                    seen.add(id(args[0]))
                    self.bytes += out.numel() * out.element_size()
                for tensor in tree_leaves((args, kwargs, out)):
                    if isinstance(tensor, torch.Tensor) and id(tensor) not in seen:
                        seen.add(id(tensor))
                        self.bytes += tensor.numel() * tensor.element_size()
            return out

    return ByteCounter()


_FORMULAS: dict[Any, Any] = {}


def _formulas() -> dict[Any, Any]:
    """FLOP formulas for operators that torch's counter has none for; arguments are shapes."""
    if _FORMULAS:
        return _FORMULAS
    import torch
    from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

    aten = torch.ops.aten

    def sdpa(query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        return int(sdpa_flop_count(query, key, value))  # Q K^T and A V: 2 products

    def sdpa_backward(
        grad: Any, query: Any, key: Any, value: Any, *args: Any, out_shape: Any = None, **kwargs: Any
    ) -> int:
        return int(sdpa_backward_flop_count(grad, query, key, value))  # 5 products: scores again, dV, dA, dQ, dK

    def size(*shapes: Any) -> int:
        return math.prod(shapes[0])

    def layer_norm(x: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        return 8 * size(x)  # mean 1, variance 3, normalise 2, scale and shift 2

    def layer_norm_backward(grad: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        return 14 * size(grad)  # about 14 a value: two reductions, the input's gradient, gain and bias

    def rms_norm(x: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        return 4 * size(x)  # square, add, normalise, scale

    def embedding(weight: Any, indices: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        return 0  # a look-up: memory traffic only

    def embedding_backward(grad: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
        return size(grad)  # one addition a value

    table = {
        "_scaled_dot_product_flash_attention_for_cpu": sdpa,
        "_scaled_dot_product_flash_attention_for_cpu_backward": sdpa_backward,
        "native_layer_norm": layer_norm,
        "native_layer_norm_backward": layer_norm_backward,
        "native_group_norm": layer_norm,
        "native_group_norm_backward": layer_norm_backward,
        "native_batch_norm": layer_norm,
        "native_batch_norm_backward": layer_norm_backward,
        "_native_batch_norm_legit": layer_norm,
        "_fused_rms_norm": rms_norm,
        "embedding": embedding,
        "embedding_dense_backward": embedding_backward,
    }
    _FORMULAS.update({getattr(aten, name): formula for name, formula in table.items() if hasattr(aten, name)})
    return _FORMULAS
