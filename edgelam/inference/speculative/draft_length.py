# SPDX-License-Identifier: GPL-2.0-only
"""How many tokens to draft: the number that gives most tokens per second, by what was accepted and how long it took."""

from __future__ import annotations

from edgelam.errors import ConfigurationError

WEIGHT = 0.2
"""Of the newest round, in the mean share of accepted tokens."""


def expected_tokens(acceptance: float, drafted: int) -> float:
    """Return the mean tokens of a round if each token is accepted independently: (1 - a^(g + 1)) / (1 - a).

    Source: Leviathan et al. (arXiv 2211.17192), equation 1.
    """
    if not 0 <= acceptance <= 1 or drafted < 0:
        raise ConfigurationError(f"acceptance {acceptance}, drafted {drafted}; legal are 0 to 1, and 0 or more")
    if acceptance == 1:
        return drafted + 1.0
    return (1 - acceptance ** (drafted + 1)) / (1 - acceptance)


class DraftLength:
    """Adapts the number of drafted tokens, 1 to `most`."""

    def __init__(self, most: int, *, first: int = 4, acceptance: float = 0.7) -> None:
        """first, acceptance: until something was seen. Raises ConfigurationError for fewer than one token."""
        if not 1 <= first <= most:
            raise ConfigurationError(f"first is {first} and most {most}; legal are 1 or more, first at most most")
        self.most, self.length, self.acceptance = most, first, acceptance
        self._draft_s, self._rest_s = 0.0, 0.0

    def seen(self, drafted: int, kept: int, draft_s: float, round_s: float) -> None:
        """Learn from a round: tokens drafted and kept, seconds of drafting, and of the whole round."""
        tried = min(kept + 1, drafted)  # those behind a rejected one say nothing
        self.acceptance += WEIGHT * (kept / tried - self.acceptance)
        self._draft_s, self._rest_s = draft_s / drafted, max(round_s - draft_s, 0.0)
        acceptance = min(max(self.acceptance, 0.0), 1.0)
        rates = [
            expected_tokens(acceptance, g) / max(g * self._draft_s + self._rest_s, 1e-12)
            for g in range(1, self.most + 1)
        ]
        self.length = 1 + max(range(self.most), key=rates.__getitem__)
