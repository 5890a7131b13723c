# SPDX-License-Identifier: GPL-2.0-only
"""Communication hooks of DDP: its gradients are averaged with a compressor of edgelam.learning.

model = DistributedDataParallel(network)
model.register_comm_hook(CompressionState("int8"), compressed_all_reduce)

A bucket is one all-reduce, by whatever algorithm the group has; with ``powersgd`` each matrix of it is one, of its two
factors. What a rank still owes is kept by parameter, so that it survives that DDP makes its buckets anew.
"""

from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.learning.compressors import CompressionSettings
from edgelam.parallel.compression import Compression
from edgelam.parallel.process_group import Ns3ProcessGroup


class CompressionState:
    """The state of the hook: one for each model and rank.

    Raises ConfigurationError for settings that are not legal, and for a group that is not of backend ns3.
    """

    def __init__(
        self,
        kind: Literal["none", "fp16", "int8", "top-k", "powersgd"],
        *,
        share: float = 0.1,
        rank: int = 2,
        seed: int = 1,
        process_group: Any = None,
    ) -> None:
        """kind, share, rank: of CompressionSettings; seed: the same on all ranks; process_group: None for the world."""
        group = dist.group.WORLD if process_group is None else process_group
        if not isinstance(group, Ns3ProcessGroup):
            raise ConfigurationError(
                f"a communication hook of edgelam in a group of {type(group).__name__}; it needs backend ns3 "
                "(edgelam torchrun)"
            )
        self.group = group
        self.compression = Compression(CompressionSettings(kind, share=share, rank=rank), seed=seed)
        self._numbers: dict[int, int] = {}

    def number(self, parameter: Tensor) -> int:
        """Of a parameter, in the order in which they came first, which is the same on all ranks."""
        return self._numbers.setdefault(id(parameter), len(self._numbers))


def compressed_all_reduce(
    state: CompressionState,
    bucket: dist.GradBucket,  # type: ignore[name-defined]  # the annotation that DDP wants
) -> torch.futures.Future[Tensor]:
    """Average a bucket of gradients over all ranks."""
    numbers = [state.number(parameter) for parameter in bucket.parameters()]
    buffer = bucket.buffer()
    if state.compression.settings.kind == "powersgd":
        named = {f"gradient {number}": gradient for number, gradient in zip(numbers, bucket.gradients(), strict=True)}
    else:
        named = {f"gradients {numbers}": buffer}
    tensors = {state.compression.of(name): tensor for name, tensor in named.items()}
    work = state.group.average_compressed(tensors)
    future: torch.futures.Future[Tensor] = work.get_future().then(lambda _: buffer)
    return future
