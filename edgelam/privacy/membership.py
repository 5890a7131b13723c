# SPDX-License-Identifier: GPL-2.0-only
"""Whether a sample was trained on, told by shadow models (Shokri et al., IEEE S&P 2017).

The attacker has the public backbone and data of the same kind. It trains heads of its own, shadows, each on half of its
data, and sees how a head answers samples that it has and has not been trained on. What separates these two is applied
to the head under attack: here a logistic regression on the loss, the largest probability and the margin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, from_numbers

Floats = NDArray[np.floating]
Predict = Callable[[Floats], Floats]
"""Representations [N, D] -> class probabilities [N, C]."""
Train = Callable[[Floats, NDArray[np.int64], int], Predict]
"""(representations [N, D], labels [N], seed) -> a trained head."""
LEAST = 4


@dataclass(frozen=True)
class Membership:
    """How well members are told: area under the ROC curve (0.5: by chance), and the true less the false positives."""

    auc: float
    advantage: float


def attack(
    target: Predict, members: tuple[Floats, NDArray[np.int64]], others: tuple[Floats, NDArray[np.int64]],
    own: tuple[Floats, NDArray[np.int64]], train: Train, *, shadows: int, seed: int,
) -> Membership:  # fmt: skip
    """Tell members of the target's training set from others by heads that are trained on the attacker's `own` data.

    Each pair has representations [N, D] and labels [N] int64. The advantage is at the threshold 1/2, which the attacker
    can know. Raises ConfigurationError for too little data.
    """
    sizes = {"members": len(members[1]), "others": len(others[1]), "own data": len(own[1])}
    if shadows < 1 or min(sizes.values()) < LEAST:
        raise ConfigurationError(f"{shadows} shadows and {sizes}: legal are 1 shadow or more, and {LEAST} of each kind")
    seen, was_member = [], []
    for number in range(shadows):
        order = from_numbers(derive_seed(seed, f"shadow {number}")).permutation(len(own[1]))
        half = len(order) // 2
        inside, outside = order[:half], order[half:]
        head = train(own[0][inside], own[1][inside], derive_seed(seed, f"shadow head {number}") % 2**31)
        seen += [_features(head, own[0][part], own[1][part]) for part in (inside, outside)]
        was_member += [np.ones(len(inside)), np.zeros(len(outside))]
    judge = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    judge.fit(np.concatenate(seen), np.concatenate(was_member))
    scores = [judge.predict_proba(_features(target, *part))[:, 1] for part in (members, others)]
    truth = np.r_[np.ones(len(scores[0])), np.zeros(len(scores[1]))]
    advantage = float((scores[0] > 0.5).mean() - (scores[1] > 0.5).mean())
    return Membership(float(roc_auc_score(truth, np.concatenate(scores))), advantage)


def _features(head: Predict, inputs: Floats, labels: NDArray[np.int64]) -> Floats:
    """Loss, largest probability, and the true class's logarithm less that of the best other one: [N, 3]."""
    logs = np.log(np.maximum(head(inputs), 1e-12))
    own = logs[np.arange(len(labels)), labels]
    rest = logs.copy()
    rest[np.arange(len(labels)), labels] = -np.inf
    return np.stack([-own, logs.max(axis=1), own - rest.max(axis=1)], axis=1)
