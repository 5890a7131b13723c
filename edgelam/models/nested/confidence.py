# SPDX-License-Identifier: GPL-2.0-only
"""When a model answers early: exits whose confidence is calibrated, and the first one that is confident enough.

The logits of each exit are divided by a temperature that minimises the cross-entropy on samples that were not trained
on (C. Guo et al., arXiv 1706.04599). The confidence of an answer is then its probability.

Shape suffixes: N samples, C classes, X exits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError

COLDEST, HOTTEST = 0.05, 20.0


def temperature(logits_NC: Tensor, labels_N: Tensor) -> float:
    """Return the temperature, 0.05 to 20, with the least cross-entropy."""
    from scipy.optimize import minimize_scalar

    logits = logits_NC.double()

    def loss(log_t: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits / np.exp(log_t), labels_N))

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def calibration_error(probabilities_NC: Tensor, labels_N: Tensor, bins: int = 15) -> float:
    """Return the expected calibration error: how far accuracy is from confidence, in bins, weighted by samples."""
    confidence, answer = probabilities_NC.max(dim=1)
    right = (answer == labels_N).double()
    place = (confidence.double() * bins).long().clamp(max=bins - 1)
    total = 0.0
    for b in range(bins):
        mine = place == b
        if mine.any():
            total += float((right[mine].mean() - confidence[mine].double().mean()).abs() * mine.sum())
    return total / len(labels_N)


def leave_early(
    logits: Mapping[int, Tensor], temperatures: Mapping[int, float], threshold: float
) -> tuple[Tensor, Tensor]:
    """Return the answers int64 [N], and the depths int64 [N] at which they were given.

    logits: depth -> [N, C], of all exits; the answer is that of the first exit whose confidence is at least
    `threshold`, 0 to 1, or of the last one. Raises ConfigurationError for another threshold.
    """
    if not 0 <= threshold <= 1:
        raise ConfigurationError(f"threshold is {threshold}; legal are 0 to 1")
    depths = sorted(logits)
    probabilities_XNC = torch.stack([(logits[d].double() / temperatures[d]).softmax(dim=1) for d in depths])
    confidence_XN, answer_XN = probabilities_XNC.max(dim=2)
    enough_XN = confidence_XN >= threshold
    enough_XN[-1] = True
    first_N = enough_XN.long().argmax(dim=0)
    return answer_XN.gather(0, first_N[None])[0], torch.tensor(depths)[first_N]
