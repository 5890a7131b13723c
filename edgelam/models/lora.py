# SPDX-License-Identifier: GPL-2.0-only
"""Low-rank adapters (LoRA, arXiv 2106.09685) put into a frozen backbone by peft: W x + (alpha/rank) B A x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError
from edgelam.random_streams import torch_seeded

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.nn import Parameter

ALL_LINEAR = "all-linear"
_TARGETS = {"dinov2": ("q_proj", "v_proj")}
"""Of architectures for which peft has no choice; elsewhere, too, it takes queries and values."""


@dataclass(frozen=True)
class LoraSettings:
    """The low-rank adapters of the server's encoder."""

    rank: int = 8
    """Rank of the two matrices, at least 1."""
    alpha: float = 16.0
    """Scale: the adapter's output is multiplied by alpha/rank. Positive."""
    dropout: float = 0.0
    """Probability that an input of an adapter is dropped in training, 0 to below 1."""
    targets: tuple[str, ...] = ()
    """Names (or name endings) of the linear layers that get an adapter, or all-linear; empty: peft's choice for the
    architecture (for BERT: query and value)."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if self.rank < 1:
            raise ConfigurationError(f"LoRA rank is {self.rank}; it must be at least 1")
        if not self.alpha > 0.0:
            raise ConfigurationError(f"LoRA alpha is {self.alpha}; it must be positive")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigurationError(f"LoRA dropout is {self.dropout}; it must be in [0, 1)")


def inject_lora(model: nn.Module, settings: LoraSettings, *, seed: int = 0) -> dict[str, Parameter]:
    """Put adapters into `model` in place; A is drawn from `seed`, and B is zero, so the output is unchanged at first.

    Returns the adapter weights by name, sorted: only they require a gradient in the model. Raises ConfigurationError if
    a target names no layer, or a layer that is not linear.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # peft computes with floats
        lora_dropout=settings.dropout,
        target_modules=_targets(model, settings.targets or _own_targets(model)) or None,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    legal = _legal_targets(model)  # before adapters bring linear layers of their own
    with torch_seeded(seed):
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            raise ConfigurationError(
                f"LoRA targets {list(settings.targets) or 'by architecture'} do not fit this backbone "
                f"({str(error).splitlines()[0][:120]}); {legal}"
            ) from None
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return lora_parameters(model)


def _own_targets(model: nn.Module) -> tuple[str, ...]:
    config: Any = getattr(model, "config", None)
    return _TARGETS.get(getattr(config, "model_type", ""), ())


def _targets(model: nn.Module, wanted: tuple[str, ...]) -> list[str]:
    """Return the targets as peft takes them, all checked: peft itself accepts them if one of several is found."""
    if wanted == (ALL_LINEAR,):
        return sorted(name for name, module in model.named_modules() if _is_linear(module))
    embeddings: Any = getattr(model, "get_input_embeddings", None)
    table = embeddings() if embeddings else None
    for target in wanted:
        if target == ALL_LINEAR:
            raise ConfigurationError(f"LoRA target {ALL_LINEAR} is one of {list(wanted)}; it is legal only by itself")
        found = [module for name, module in model.named_modules() if f".{name}".endswith(f".{target}")]
        if not found or not target:
            raise ConfigurationError(f"LoRA target {target!r} names no layer of this backbone; {_legal_targets(model)}")
        if odd := [module for module in found if not _is_linear(module)]:
            what = "the token table, which the devices hold" if odd[0] is table else type(odd[0]).__name__
            raise ConfigurationError(f"LoRA target {target!r} is no linear layer but {what}; {_legal_targets(model)}")
    return list(wanted)


def _is_linear(module: nn.Module) -> bool:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, (nn.Linear, Conv1D))


def _legal_targets(model: nn.Module) -> str:
    names = sorted({name.rsplit(".", 1)[-1] for name, module in model.named_modules() if _is_linear(module)})
    return f"its linear layers end in {', '.join(names)}; {ALL_LINEAR} is all of them"


def lora_parameters(model: nn.Module) -> dict[str, Parameter]:
    """Return the adapter weights of a model by name, in sorted order (so that it is the same for every participant)."""
    return {name: parameter for name, parameter in sorted(model.named_parameters()) if "lora_" in name}


@dataclass(frozen=True)
class LoraLayer:
    """One adapted linear layer: its update of the frozen weight is scale * b @ a, [out, in]."""

    a: Parameter
    """[rank, in]."""
    b: Parameter
    """[out, rank]."""
    scale: float
    """alpha/rank."""
    base: nn.Module
    """The frozen layer."""
    transposed: bool
    """Whether the layer's weight is [in, out]."""

    def add_to_base(self, update: Tensor) -> None:
        """Add to the frozen weight; update: [out, in]."""
        weight: Parameter = self.base.weight  # type: ignore[assignment]
        weight.data += (update.T if self.transposed else update).to(weight.dtype)

    def own_base(self) -> None:
        """Give the layer its own frozen weight, if it may share one with other models."""
        weight: Parameter = self.base.weight  # type: ignore[assignment]
        self.base.weight = type(weight)(weight.detach().clone(), requires_grad=False)


def keep_rank(model: nn.Module, rank: int) -> None:
    """Cut the adapters of a model to the first `rank` rows of A and columns of B; alpha/rank stays as it was."""
    for layer in lora_layers(model).values():
        layer.a.data = layer.a.data[:rank].clone()
        layer.b.data = layer.b.data[:, :rank].clone()


def lora_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """Return the adapted layers of a model by name, in sorted order."""
    from peft.tuners.lora import LoraLayer as PeftLayer
    from transformers.pytorch_utils import Conv1D

    found = {}
    for name, module in sorted(model.named_modules()):
        if isinstance(module, PeftLayer):
            (key,) = module.lora_A
            a: Any = module.lora_A[key].weight
            b: Any = module.lora_B[key].weight
            base = module.get_base_layer()
            found[name] = LoraLayer(a, b, module.scaling[key], base, isinstance(base, Conv1D))
    return found
