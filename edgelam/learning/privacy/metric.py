# SPDX-License-Identifier: GPL-2.0-only
"""Noise on embeddings: privacy in a metric, d_chi privacy (Chatzikokolakis et al., PETS 2013; Feyisetan et al., WSDM
2020).

The noise of a row x has a density proportional to exp(-eta ||noise||). So what is seen is at most
exp(eta ||x - x'||) times as likely with x as with x': tokens that lie close to each other are hidden among each other,
tokens that lie far apart are not.
"""

import torch
from torch import Tensor


def metric_noise(rows: int, width: int, eta: float, generator: torch.Generator) -> Tensor:
    """Return noise [rows, width] float32: uniform directions, lengths from the Gamma distribution (width, 1 / eta).

    eta: per unit of Euclidean distance, positive. The mean length is width / eta.
    """
    directions = torch.randn(rows, width, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    # a Gamma of a whole shape is a sum of exponentials: PyTorch's own Gamma takes no generator
    lengths = torch.empty(rows, width).exponential_(generator=generator).sum(dim=1) / eta
    return directions * lengths[:, None]
