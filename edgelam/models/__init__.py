# SPDX-License-Identifier: GPL-2.0-only
"""Transformer backbones, LoRA adapters, and the cut of a model in device and server parts."""

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
