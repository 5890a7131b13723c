# SPDX-License-Identifier: GPL-2.0-only
"""Which devices take part in a round: a share of them, drawn without replacement, again in each round."""

from edgelam.random_streams import Stream, numbered


def draw(num_devices: int, share: float, round_number: int, seed: int) -> list[int]:
    """Return device numbers in ascending order: round(share * num_devices) of them, at least one.

    The draw depends only on (seed, round_number); it is the same in every method.
    """
    count = max(1, round(share * num_devices))
    if count >= num_devices:
        return list(range(num_devices))
    rng = numbered(Stream.PARTICIPATION, seed, round_number)
    return sorted(rng.choice(num_devices, count, replace=False).tolist())
