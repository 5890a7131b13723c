# SPDX-License-Identifier: GPL-2.0-only
"""How the tensors of several ranks become one: the reductions of torch.distributed.

Every reduction is an elementwise operation of two tensors, which algorithms apply in an order that depends on ranks
alone, never on when something arrived. ``avg`` divides the sum by the number of ranks at the end, ``premul_sum``
multiplies each rank's tensor by a factor first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError

_COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda a, b: torch.add(a, b, out=a),
    "product": lambda a, b: torch.mul(a, b, out=a),
    "min": lambda a, b: torch.minimum(a, b, out=a),
    "max": lambda a, b: torch.maximum(a, b, out=a),
    "band": lambda a, b: torch.bitwise_and(a, b, out=a),
    "bor": lambda a, b: torch.bitwise_or(a, b, out=a),
    "bxor": lambda a, b: torch.bitwise_xor(a, b, out=a),
}
_COMBINE["avg"] = _COMBINE["premul_sum"] = _COMBINE["sum"]

REDUCTIONS = ("sum", "avg", "product", "min", "max", "band", "bor", "bxor", "premul_sum")


@dataclass(frozen=True)
class Reduction:
    """A reduction by name, as `REDUCTIONS` lists them; `factor`: of premul_sum."""

    name: str = "sum"
    factor: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a name that is not known."""
        if self.name not in REDUCTIONS:
            raise ConfigurationError(f"unknown reduction {self.name!r}; legal are {', '.join(REDUCTIONS)}")

    @property
    def is_linear(self) -> bool:
        """Whether it is a sum with factors, so that what a compressor left out may be added to the next one."""
        return self.name in ("sum", "avg", "premul_sum")

    def check(self, dtype: torch.dtype) -> None:
        """Refuse a dtype for which the reduction has no meaning."""
        inexact = dtype.is_floating_point or dtype.is_complex
        if (
            (self.name in ("band", "bor", "bxor") and inexact)
            or (self.name in ("avg", "premul_sum") and not inexact)
            or (self.name in ("product", "min", "max") and dtype.is_complex)
        ):
            kinds = {
                "band": "integers and booleans",
                "bor": "integers and booleans",
                "bxor": "integers and booleans",
                "avg": "floating-point and complex values",
                "premul_sum": "floating-point and complex values",
            }
            raise ConfigurationError(
                f"the reduction {self.name} of {dtype} has no meaning; legal are "
                f"{kinds.get(self.name, 'real numbers and booleans')}"
            )

    def prepare(self, own: Tensor) -> None:
        """Make, in place, this rank's contribution of its tensor."""
        if self.name == "premul_sum":
            own.mul_(self.factor)

    def combine(self, into: Tensor, other: Tensor) -> None:
        """Reduce `other` into `into`, both of one shape and dtype."""
        _COMBINE[self.name](into, other)

    def finish(self, reduced: Tensor, size: int) -> None:
        """Make, in place, the result of what all `size` ranks have contributed to."""
        if self.name == "avg":
            reduced.div_(size)
