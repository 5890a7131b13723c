# SPDX-License-Identifier: GPL-2.0-only
"""Models as chains of stages that can be cut between any two of them."""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.models.cuts.cuttable import Cuttable, State
    from edgelam.models.cuts.efficientnet_cuts import EfficientNetCuts
    from edgelam.models.cuts.image_cuts import ImageCuts
    from edgelam.models.cuts.nested_cuts import NestedCuts
    from edgelam.models.cuts.speech_cuts import SpeechCuts
    from edgelam.models.cuts.text_cuts import TextCuts

_HOME = {
    **dict.fromkeys(("Cuttable", "State"), "cuttable"),
    "EfficientNetCuts": "efficientnet_cuts",
    "ImageCuts": "image_cuts",
    "NestedCuts": "nested_cuts",
    "SpeechCuts": "speech_cuts",
    "TextCuts": "text_cuts",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = ["Cuttable", "EfficientNetCuts", "ImageCuts", "NestedCuts", "SpeechCuts", "State", "TextCuts"]
