# SPDX-License-Identifier: GPL-2.0-only
"""How a session's keys and values reach another server: sent, computed again, or both at the same time.

The new server computes the first m of T tokens again (c seconds each), while the keys and values of the others cross
the backhaul (b bits each, R bits per second). Both end together at

    m* = T (b / R) / (c + b / R)

which is the least time there is for any m (arXiv 2603.28018). Prefilling is taken as linear in the tokens. The first
tokens are those that are computed again, since a token's keys and values depend on the tokens before it alone.
"""

from __future__ import annotations

import dataclasses
import math

from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Handover:
    """How a session moves."""

    prefilled: int
    """Tokens that are computed again."""
    sent: int
    """Tokens whose keys and values are sent."""
    seconds: float


def jointly(tokens: int, token_bits: float, rate_bps: float, token_s: float) -> Handover:
    """Return the fastest division of whole tokens.

    tokens: T; token_bits: b, of one token's keys and values; rate_bps: R; token_s: c. Raises ConfigurationError for
    values that are not legal.
    """
    if tokens < 1 or not all(0 < value < math.inf for value in (token_bits, rate_bps, token_s)):
        raise ConfigurationError(
            f"tokens {tokens}, token_bits {token_bits}, rate_bps {rate_bps}, token_s {token_s}; legal are 1 or more, "
            "and above 0 and finite"
        )
    exact = tokens * (token_bits / rate_bps) / (token_s + token_bits / rate_bps)
    nearest = {min(max(m, 0), tokens) for m in (math.floor(exact), math.ceil(exact))}
    return min((_divided(m, tokens, token_bits / rate_bps, token_s) for m in sorted(nearest)), key=lambda h: h.seconds)


def _divided(prefilled: int, tokens: int, sending_s: float, token_s: float) -> Handover:
    sent = tokens - prefilled
    return Handover(prefilled, sent, max(prefilled * token_s, sent * sending_s))
