# SPDX-License-Identifier: GPL-2.0-only
"""FedEx-LoRA (arXiv 2410.09432): A and B are averaged, and the remaining residual is added to the frozen weight.

    residual = s (sum_k p_k B_k A_k - mean(B) mean(A))

so that frozen weight + s mean(B) mean(A) is exact. Up: A and B. Down, for each layer, the smaller of two: the averages
and the residual [out, in]; or all clients' A_k and p_k B_k, from which a client computes averages and residual itself
(the residual has at most rank (clients + 1) * rank).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from edgelam.errors import ConfigurationError
from edgelam.learning.aggregation.rule import Aggregation, Tensors, factors, layer_names, put_factors, shares
from edgelam.learning.averaging import weighted_average
from edgelam.models.lora import lora_layers

if TYPE_CHECKING:
    from torch import Tensor, nn


class FedExLoRA(Aggregation):
    """Average A and B, and add the residual to the frozen weight."""

    name = "fedex-lora"
    changes_base = True

    def upload(self, model: nn.Module) -> Tensors:
        """Return A and B."""
        return factors(model)

    def merge(self, uploads: Sequence[Mapping[str, Tensor]], samples: Sequence[float]) -> Tensors:
        """Return NAME.A, NAME.B and NAME.residual; or NAME.stackedA [clients * rank, in], NAME.stackedB, and shares."""
        parts = shares(samples, uploads)
        average = weighted_average(uploads, samples)  # also refuses mixed shapes
        down: Tensors = {}
        for name in layer_names(average):
            a, b = average[f"{name}.A"], average[f"{name}.B"]
            stacked_a = torch.cat([upload[f"{name}.A"] for upload in uploads])
            stacked_b = torch.cat([upload[f"{name}.B"] for upload in uploads], dim=1)
            if stacked_a.numel() + stacked_b.numel() < a.numel() + b.numel() + len(b) * a.shape[1]:
                down |= {f"{name}.stackedA": stacked_a, f"{name}.stackedB": stacked_b}
                down["shares"] = torch.tensor(parts)
            else:
                down |= {f"{name}.A": a, f"{name}.B": b, f"{name}.residual": _residual(stacked_a, stacked_b, parts)}
        return down

    def install(self, model: nn.Module, download: Mapping[str, Tensor]) -> None:
        """Overwrite A and B, and add the residual."""
        weights = dict(download)
        for name, layer in lora_layers(model).items():
            if f"{name}.stackedA" in weights:
                a, b = weights[f"{name}.stackedA"], weights[f"{name}.stackedB"]
                parts = weights["shares"].tolist()
                weights[f"{name}.A"] = _mean(a, parts)
                weights[f"{name}.B"] = _mean(b.T, parts).T
                weights[f"{name}.residual"] = _residual(a, b, parts)
            if f"{name}.residual" in weights:
                residual = weights[f"{name}.residual"]
                if residual.shape != (len(layer.b), layer.a.shape[1]):
                    raise ConfigurationError(f"residual of layer {name} has shape {tuple(residual.shape)}")
                layer.add_to_base(layer.scale * residual)
        put_factors(model, weights)


def _mean(stacked: Tensor, parts: Sequence[float]) -> Tensor:
    """Return sum_k p_k X_k of X stacked [clients * rank, n] -> [rank, n]."""
    return torch.einsum("k,krn->rn", torch.tensor(parts, dtype=stacked.dtype), stacked.unflatten(0, (len(parts), -1)))


def _residual(stacked_a: Tensor, stacked_b: Tensor, parts: Sequence[float]) -> Tensor:
    """sum_k p_k B_k A_k - mean(B) mean(A): [out, in], in the precision of A."""
    rank = len(stacked_a) // len(parts)
    each = torch.tensor(parts, dtype=stacked_a.dtype).repeat_interleave(rank)
    return (stacked_b * each) @ stacked_a - _mean(stacked_b.T, parts).T @ _mean(stacked_a, parts)
