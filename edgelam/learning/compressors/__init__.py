# SPDX-License-Identifier: GPL-2.0-only
"""Compressors of model updates, one per file.

compressor = make(CompressionSettings("top-k", share=0.05), seed=1)
payload = compressor.encode("head/weight", update, state)      # on a device, which has its own `State`
update = compressor.decode(payload, shape, dtype)              # on the server

| compressor | bytes of a matrix [n, m], n <= m | error |
|---|---|---|
| `none` | as many as the matrix | none |
| `fp16` | 2 nm | rounding (11 bits), saturates beyond +-65504 |
| `int8` | nm + 4 n | rounding to 1/127 of the largest of a line, fed back |
| `int4` | ceil(m / 2) n + 4 n | rounding to 1/7 of the largest of a line, fed back |
| `top-k` | k (4 + 1, 2, 4 or 8 for the place) | all but the k largest, fed back |
| `powersgd` | 4 r (n + m) | all but rank r, fed back |

An error that is fed back is added to the next update of the same name, so that the decoded updates and the
remaining error add up to the sum of all updates. In a single update, only `none` is unbiased.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.learning.compressors.compressor import Compressor, State, wire_bytes
    from edgelam.learning.compressors.methods import make
    from edgelam.learning.compressors.settings import CompressionSettings

_HOME = {
    **dict.fromkeys(("Compressor", "State", "wire_bytes"), "compressor"),
    "make": "methods",
    "CompressionSettings": "settings",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = ["CompressionSettings", "Compressor", "State", "make", "wire_bytes"]
