# SPDX-License-Identifier: GPL-2.0-only
"""A claim about results, with what was measured and what follows."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim, what was measured, and whether it holds."""

    text: str
    measured: str
    verdict: str
    """``holds``, ``does not hold`` or ``undecided``."""
