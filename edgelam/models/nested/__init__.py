# SPDX-License-Identifier: GPL-2.0-only
"""Transformers whose smaller models are parts of them: in depth (exits), width (heads, neurons) and bits (planes)."""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.models.nested.network import Nested
    from edgelam.models.nested.pretrained import of_bert, of_dinov2
    from edgelam.models.nested.shape import Shape

_HOME = {"Nested": "network", **dict.fromkeys(("of_bert", "of_dinov2"), "pretrained"), "Shape": "shape"}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = ["Nested", "Shape", "of_bert", "of_dinov2"]
