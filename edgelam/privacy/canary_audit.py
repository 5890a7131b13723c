# SPDX-License-Identifier: GPL-2.0-only
"""An empirical lower bound of epsilon: how well can be told which of two neighbouring canaries went into a release?

Canaries are samples made to be told apart. Of an (epsilon, delta)-private release, any test on what comes out has
true-positive rate <= e^epsilon * false-positive rate + delta (Kairouz et al., ICML 2015; Jagielski et al., NeurIPS
2020). Rates are bounded by Clopper and Pearson, so the bound holds with the stated confidence. An accounted epsilon
below it is wrong; one above it may be right.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from edgelam.errors import ConfigurationError

LEAST_CANARIES = 20
"""Of each kind: with fewer, nothing can be said."""


def epsilon_lower_bound(
    with_it: NDArray[np.floating], without: NDArray[np.floating], delta: float, *, confidence: float = 0.95
) -> float:
    """Return the bound, 0 or more, from the scores of releases of one kind of canary [N] and of the other [M].

    A high score speaks for the first kind. The even ones of each kind choose the test (a threshold, and which kind is
    told by exceeding it), the odd ones judge it.
    """
    if min(len(with_it), len(without)) < LEAST_CANARIES:
        raise ConfigurationError(
            f"{len(with_it)} and {len(without)} canaries: an audit needs at least {LEAST_CANARIES} of each kind"
        )
    if not (0.0 <= delta < 1.0 and 0.0 < confidence < 1.0):
        raise ConfigurationError(f"delta {delta:g}, confidence {confidence:g}: legal are 0 to 1, 1 excluded")
    chosen = []
    for one, other in ((with_it, without), (-without, -with_it)):
        thresholds = np.unique(np.r_[one[::2], other[::2]])
        bounds = _bounds(one[::2], other[::2], thresholds, delta, confidence)
        best = int(bounds.argmax())
        chosen.append((bounds[best], one[1::2], other[1::2], thresholds[best : best + 1]))
    _, one, other, threshold = max(chosen, key=lambda test: test[0])
    return float(_bounds(one, other, threshold, delta, confidence)[0])


def _bounds(
    one: NDArray[np.floating],
    other: NDArray[np.floating],
    thresholds: NDArray[np.floating],
    delta: float,
    confidence: float,
) -> NDArray[np.floating]:
    """The bound by each threshold, [thresholds]."""
    alpha = (1 - confidence) / 2  # for each of the two rates
    hits, alarms = (len(kind) - np.searchsorted(np.sort(kind), thresholds) for kind in (one, other))
    least_hits = np.where(hits > 0, beta.ppf(alpha, np.maximum(hits, 1), len(one) - hits + 1), 0.0)
    left = np.maximum(len(other) - alarms, 1)
    most_alarms = np.where(alarms < len(other), beta.ppf(1 - alpha, alarms + 1, left), 1.0)
    return np.log(np.maximum((least_hits - delta) / most_alarms, 1.0))
