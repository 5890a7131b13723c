# SPDX-License-Identifier: GPL-2.0-only
"""What torch.distributed gives a process group: tensors, lists of them and options, as a `Group` wants them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from edgelam.errors import ConfigurationError
from edgelam.parallel.flats import write
from edgelam.parallel.reduction import Reduction

_NAMES = {
    dist.ReduceOp.SUM: "sum",
    dist.ReduceOp.AVG: "avg",
    dist.ReduceOp.PRODUCT: "product",
    dist.ReduceOp.MIN: "min",
    dist.ReduceOp.MAX: "max",
    dist.ReduceOp.BAND: "band",
    dist.ReduceOp.BOR: "bor",
    dist.ReduceOp.BXOR: "bxor",
}


def reduction_of(op: Any) -> Reduction:
    """The reduction that a ReduceOp asks for."""
    for known, name in _NAMES.items():
        if op == known:
            return Reduction(name)
    raise RuntimeError(f"backend ns3 has no reduction {op}; legal are {', '.join(str(known) for known in _NAMES)}")


def one_tensor(tensors: Any) -> Tensor:
    """The only tensor of a list."""
    if isinstance(tensors, Tensor):
        return plain(tensors)
    if len(tensors) != 1:
        raise ValueError(f"one tensor is needed, not {len(tensors)}: each rank has one device")
    return plain(tensors[0])


def tensor_list(tensors: Any) -> list[Tensor]:
    """The only list of tensors in a list of lists."""
    if tensors and isinstance(tensors[0], Tensor):
        return [plain(tensor) for tensor in tensors]
    if len(tensors) != 1:
        raise ValueError(f"one list of tensors is needed, not {len(tensors)}: each rank has one device")
    return [plain(tensor) for tensor in tensors[0]]


def plain(tensor: Tensor) -> Tensor:
    """A tensor whose values can be sent: of one that a functional collective is still making, what that has made."""
    if isinstance(tensor, AsyncCollectiveTensor):
        tensor = tensor.wait()
    if is_traceable_wrapper_subclass(tensor):
        raise NotImplementedError(
            f"a {type(tensor).__name__} in a collective of torch.distributed: it stands for several tensors; "
            "give its to_local()"
        )
    if tensor.device.type != "cpu":
        raise ConfigurationError(
            f"a tensor on {tensor.device}: backend ns3 sends tensors on the CPU, as gloo does; leave out .cuda() and "
            "give a node the profile of its machine with --devices"
        )
    if tensor.layout != torch.strided:
        raise ConfigurationError(f"a tensor of layout {tensor.layout}: backend ns3 sends dense tensors")
    return tensor


def equal_parts(tensor: Tensor, size: int) -> list[Tensor]:
    """Equal flat parts of a tensor: views where it is contiguous."""
    tensor = plain(tensor)
    return list(tensor.detach().reshape(-1).chunk(size)) if tensor.numel() else [tensor.detach().reshape(-1)] * size


def parts(tensor: Tensor, sizes: Sequence[int] | None, size: int, which: str) -> list[Tensor]:
    """Parts of a tensor along its first axis, as `sizes` says; none: equal ones. which: it is, in words."""
    tensor = plain(tensor)
    if not sizes:
        if tensor.dim() == 0 or tensor.shape[0] % size:
            raise RuntimeError(f"Tensor's dim 0 does not divide equally across group size ({which} of all_to_all)")
        sizes = [tensor.shape[0] // size] * size
    if len(sizes) != size or sum(sizes) != tensor.shape[0]:
        raise RuntimeError(f"{which} split sizes {list(sizes)} do not fit {size} ranks and {tuple(tensor.shape)}")
    return list(tensor.detach().contiguous().split(list(sizes)))


def keep_parts(output: Tensor, parts: Sequence[Tensor]) -> None:
    """Copy parts that are no views of `output` into it."""
    flat = plain(output).detach()
    if not flat.is_contiguous():
        write(flat, torch.cat([part.reshape(-1) for part in parts]).reshape(flat.shape))


def reduce_op(opts: Any) -> Any:
    """The ReduceOp of options, or what was given in their place."""
    return getattr(opts, "reduceOp", opts if opts is not None else dist.ReduceOp.SUM)


def root_rank(opts: Any) -> int:
    """The root of options, or what was given in their place."""
    return opts if isinstance(opts, int) else int(getattr(opts, "rootRank", 0))


def timeout_of(opts: Any) -> timedelta | None:
    """The time-out of options, None where they have none."""
    return getattr(opts, "timeout", None)
