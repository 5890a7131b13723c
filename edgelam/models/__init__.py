# SPDX-License-Identifier: GPL-2.0-only
"""Transformer backbones, LoRA adapters, and the cutting of a model into device and server parts."""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.models.backbone import Backbone, load_backbone
    from edgelam.models.backbone_files import OFFLINE_NAME, check_backbone
    from edgelam.models.lora import LoraLayer, LoraSettings, inject_lora, lora_layers, lora_parameters
    from edgelam.models.parts import (
        Cut,
        Encoder,
        Head,
        LanguageHead,
        PatchEmbedding,
        Pooling,
        TokenEmbedding,
        Unsplit,
        embedding_module,
    )

_HOME = {
    **dict.fromkeys(("Backbone", "load_backbone"), "backbone"),
    **dict.fromkeys(("OFFLINE_NAME", "check_backbone"), "backbone_files"),
    **dict.fromkeys(("LoraLayer", "LoraSettings", "inject_lora", "lora_layers", "lora_parameters"), "lora"),
    **dict.fromkeys(
        ("Cut", "Encoder", "Head", "LanguageHead", "PatchEmbedding", "Pooling", "TokenEmbedding", "Unsplit"), "parts"
    ),
    "embedding_module": "parts",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "OFFLINE_NAME",
    "Backbone",
    "Cut",
    "Encoder",
    "Head",
    "LanguageHead",
    "LoraLayer",
    "LoraSettings",
    "PatchEmbedding",
    "Pooling",
    "TokenEmbedding",
    "Unsplit",
    "check_backbone",
    "embedding_module",
    "inject_lora",
    "load_backbone",
    "lora_layers",
    "lora_parameters",
]
