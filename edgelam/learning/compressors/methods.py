# SPDX-License-Identifier: GPL-2.0-only
"""The compressors by name."""

from __future__ import annotations

from edgelam.learning.compressors.compressor import Compressor
from edgelam.learning.compressors.fp16 import HalfPrecision
from edgelam.learning.compressors.int4 import Int4
from edgelam.learning.compressors.int8 import Int8
from edgelam.learning.compressors.none import NoCompression
from edgelam.learning.compressors.power_sgd import PowerSGD
from edgelam.learning.compressors.settings import CompressionSettings
from edgelam.learning.compressors.top_k import TopK


def make(settings: CompressionSettings, *, seed: int) -> Compressor:
    """Return the compressor that the settings name; seed: of the run, for a compressor that draws random numbers."""
    if settings.kind == "top-k":
        return TopK(settings.share)
    if settings.kind == "powersgd":
        return PowerSGD(settings.rank, seed=seed)
    simple: dict[str, Compressor] = {each.name: each for each in (NoCompression(), HalfPrecision(), Int8(), Int4())}
    return simple[settings.kind]
