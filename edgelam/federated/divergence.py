# SPDX-License-Identifier: GPL-2.0-only
"""What is no longer a number ends the run: accuracies of such a model mean nothing, and argmax over NaN is class 0."""

import math

import torch
from torch import Tensor

from edgelam.errors import Diverged
from edgelam.federated.settings import SplitFedFTSettings


def refuse_divergence(value: float | Tensor, what: str, settings: SplitFedFTSettings) -> None:
    """Raise Diverged if a value, or any element of a tensor, is NaN or infinite. what: named in the error."""
    if math.isfinite(value) if isinstance(value, float) else bool(torch.isfinite(value).all()):
        return
    shown = f"is {value}" if isinstance(value, float) else "holds NaN or infinite values"
    rates = f"learning_rate {settings.learning_rate:g} and head_learning_rate {settings.head_learning_rate:g}"
    if settings.train_embedding:
        rates += f" and embedding_learning_rate {settings.embedding_learning_rate:g}"
    half = [name for name in ("encoding", "weight_encoding") if getattr(settings, name) == "fp16"]
    wider = f"; {' and '.join(half)} fp16 transfers nothing above 65504, bf16 and fp32 do" if half else ""
    raise Diverged(
        f"the learning diverged: {what} {shown}. Smaller rates than {rates} may help (search_factors tries several)"
        + wider
    )
