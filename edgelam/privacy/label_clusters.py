# SPDX-License-Identifier: GPL-2.0-only
"""The labels behind Jacobians: those of samples with the same label point the same way, so they form clusters.

Behind a linear head with weights W, the Jacobian of a sample is W^T (p - y): p is much the same for all samples early
in a training, and y is the label. Whoever sees the Jacobians groups them; a few known labels then name the groups.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from edgelam.errors import ConfigurationError


def clusters(jacobians: NDArray[np.floating], num_classes: int, *, seed: int) -> NDArray[np.int64]:
    """Group Jacobians [N, D] by direction (k-means on unit vectors): the group of each, [N] int64, from 0."""
    if jacobians.ndim != 2 or not 1 <= num_classes <= len(jacobians):
        raise ConfigurationError(
            f"{num_classes} groups of Jacobians of shape {jacobians.shape}: legal are [N, D] and 1 to N groups"
        )
    directions = jacobians / np.maximum(np.linalg.norm(jacobians, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    found = KMeans(num_classes, n_init=10, random_state=seed).fit_predict(directions)
    return np.asarray(found, dtype=np.int64)


def share_recovered(groups: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Share of the samples whose label is that of their group, if groups are named as well as can be: from 0 to 1."""
    size = int(max(groups.max(), labels.max())) + 1
    together = np.zeros((size, size), dtype=np.int64)
    np.add.at(together, (groups, labels), 1)
    rows, columns = linear_sum_assignment(together, maximize=True)
    return float(together[rows, columns].sum() / len(labels))
