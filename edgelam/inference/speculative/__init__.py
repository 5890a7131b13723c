# SPDX-License-Identifier: GPL-2.0-only
"""Speculative decoding: a small model on a device drafts tokens, and a large one on a server checks them at a time."""

from edgelam.inference.speculative.cached_model import CachedModel
from edgelam.inference.speculative.cascade import cascade
from edgelam.inference.speculative.decoding import Decoded, Round, autoregressive, speculative
from edgelam.inference.speculative.draft_length import DraftLength, expected_tokens
from edgelam.inference.speculative.lattice import Lattice
from edgelam.inference.speculative.recorded import RecordedModel
from edgelam.inference.speculative.surviving import Survived, surviving
from edgelam.inference.speculative.verification import Verdict, distribution, verify

__all__ = [
    "CachedModel",
    "Decoded",
    "DraftLength",
    "Lattice",
    "RecordedModel",
    "Round",
    "Survived",
    "Verdict",
    "autoregressive",
    "cascade",
    "distribution",
    "expected_tokens",
    "speculative",
    "surviving",
    "verify",
]
