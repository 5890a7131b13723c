# SPDX-License-Identifier: GPL-2.0-only
"""Transformer backbones, LoRA adapters, and the cut of a model in device and server parts."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgelam.models.backbone import OFFLINE_NAME, Backbone, load_backbone
    from edgelam.models.lora import LoraSettings, inject_lora, lora_parameters
    from edgelam.models.parts import (
        Cut,
        Encoder,
        Head,
        PatchEmbedding,
        Pooling,
        TokenEmbedding,
        Unsplit,
        embedding_module,
    )

_HOME = {
    **dict.fromkeys(("OFFLINE_NAME", "Backbone", "load_backbone"), "backbone"),
    **dict.fromkeys(("LoraSettings", "inject_lora", "lora_parameters"), "lora"),
    **dict.fromkeys(("Cut", "Encoder", "Head", "PatchEmbedding", "Pooling", "TokenEmbedding", "Unsplit"), "parts"),
    "embedding_module": "parts",
}


def __getattr__(name: str) -> Any:
    """Import a part when it is first used: settings (and `--help`) need neither torch nor transformers."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = [
    "OFFLINE_NAME",
    "Backbone",
    "Cut",
    "Encoder",
    "Head",
    "LoraSettings",
    "PatchEmbedding",
    "Pooling",
    "TokenEmbedding",
    "Unsplit",
    "embedding_module",
    "inject_lora",
    "load_backbone",
    "lora_parameters",
]
