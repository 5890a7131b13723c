# SPDX-License-Identifier: GPL-2.0-only
"""Which weights of a frozen backbone are trained: low-rank adapters, scaling vectors, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgelam.errors import ConfigurationError
from edgelam.models.lora import LoraSettings, inject_lora

if TYPE_CHECKING:
    from torch import nn
    from torch.nn import Parameter
    from transformers import PreTrainedModel

Tuning = Literal["lora", "ia3", "full"]


def trained_weights(
    model: PreTrainedModel, tuning: Tuning, lora: LoraSettings, *, seed: int = 0
) -> dict[str, Parameter]:
    """Change `model` in place so that only what `tuning` trains requires a gradient; return these weights by name.

    lora: low-rank adapters; ia3: vectors that scale keys, values and what enters the second feed-forward layer (arXiv
    2205.05638), put in by peft, all ones at first; full: every weight but the token table, which the devices hold. The
    output is unchanged at first. Raises ConfigurationError for an architecture of which peft does not know what IA3
    scales.
    """
    if tuning == "lora":
        return inject_lora(model, lora, seed=seed)
    if tuning == "ia3":
        return _inject_ia3(model)
    table = model.get_input_embeddings().weight
    for parameter in model.parameters():
        parameter.requires_grad_(parameter is not table)
    return {name: p for name, p in sorted(model.named_parameters()) if p.requires_grad}


def _inject_ia3(model: nn.Module) -> dict[str, Parameter]:
    from peft import IA3Config, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    config = IA3Config(fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()))
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise ConfigurationError(
            f"tuning ia3 does not fit this backbone ({str(error).splitlines()[0][:120]}); legal are lora and full"
        ) from None
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("ia3_" in name)
    return {name: p for name, p in sorted(model.named_parameters()) if p.requires_grad}
