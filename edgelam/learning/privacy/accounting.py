# SPDX-License-Identifier: GPL-2.0-only
"""What releases of the Gaussian mechanism cost, by dp-accounting: epsilon after them, and the noise for a target.

The noise multiplier z is the noise's standard deviation over the sensitivity of one release. k releases with z are
exactly one with z / sqrt(k), whatever is decided from the earlier ones (Dong et al., Gaussian differential privacy,
J. R. Stat. Soc. B, 2022, corollary 3.3). No amplification by sampling is claimed: the server sees who takes part, and
every sample that is sent.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.learning.privacy.settings import Accountant

LEAST_PLD_NOISE = 0.05
"""Below it, privacy loss distributions need gigabytes; epsilon is in the hundreds there."""
_LARGEST_NOISE = 1e5


@functools.cache  # devices have often released equally much, and a loss distribution takes a second
def epsilon(noise_multiplier: float, releases: int, delta: float, accountant: Accountant = "rdp") -> float:
    """Return epsilon at `delta` after that many releases: 0 without a release, infinite without noise.

    NaN with accountant "pld" if z / sqrt(releases) is below LEAST_PLD_NOISE.
    """
    if releases == 0:
        return 0.0
    if noise_multiplier == 0.0:
        return math.inf
    effective = noise_multiplier / math.sqrt(releases)
    if accountant == "pld" and effective < LEAST_PLD_NOISE:
        return math.nan
    library = _library()
    return float(_accountant(accountant).compose(library.GaussianDpEvent(effective)).get_epsilon(delta))


def noise_for(target: float, releases: int, delta: float, accountant: Accountant = "rdp") -> float:
    """Return the noise multiplier with which `releases` cost `target`, or a millionth less."""
    return _noise_of_one(target, delta, accountant) * math.sqrt(releases)


def most_releases(noise_multiplier: float, target: float, delta: float, accountant: Accountant = "rdp") -> int:
    """Return how many releases cost at most `target` together."""
    return int((noise_multiplier / _noise_of_one(target, delta, accountant)) ** 2 * (1 + 1e-9))


@functools.cache
def _noise_of_one(target: float, delta: float, accountant: Accountant) -> float:
    """Return the noise with which one release costs `target`. Raises ConfigurationError if no legal noise does."""
    library = _library()
    lowest = LEAST_PLD_NOISE if accountant == "pld" else 1e-3
    try:
        return float(
            library.calibrate_dp_mechanism(
                lambda: _accountant(accountant),
                library.GaussianDpEvent,
                target,
                delta,
                library.ExplicitBracketInterval(lowest, _LARGEST_NOISE),
                tol=1e-6,
            )
        )
    except ValueError:  # no noise of the interval meets it
        least, most = (epsilon(noise, 1, delta, accountant) for noise in (_LARGEST_NOISE, lowest))
        raise ConfigurationError(
            f"privacy epsilon is {target:g}; at delta {delta:g} legal are {least:.2g} to {most:.2g} ({accountant})"
        ) from None


def _accountant(name: Accountant) -> Any:
    library = _library()
    return library.rdp.RdpAccountant() if name == "rdp" else library.pld.PLDAccountant()


def _library() -> Any:
    try:
        import dp_accounting
        from dp_accounting import pld, rdp  # noqa: F401  # they are loaded by their names
    except ImportError:
        raise ConfigurationError(
            "privacy is accounted for by dp-accounting, which is not installed: pip install 'edgelam[privacy]'"
        ) from None
    return dp_accounting
