# SPDX-License-Identifier: GPL-2.0-only
"""The Gaussian mechanism for each sample: clip, then add noise (Abadi et al., CCS 2016; here before sums are formed).

Noise is drawn from a seeded stream, so that runs repeat: real deployments draw it from the system. Floating-point
rounding of the noise is not accounted for (Mironov, CCS 2012).
"""

import torch
from torch import Tensor


def clip_samples(rows_TD: Tensor, sample_T: Tensor, bound: float) -> Tensor:
    """Scale each sample's rows down so that their common L2 norm is at most `bound`: [T, D] -> [T, D].

    sample_T: int64, the number of the sample that a row belongs to, from 0.
    """
    squares = rows_TD.new_zeros(int(sample_T.max()) + 1).index_add_(0, sample_T, rows_TD.square().sum(dim=1))
    return rows_TD * scale_to(squares.sqrt(), bound)[sample_T, None]


def scale_to(norms: Tensor, bound: float) -> Tensor:
    """Return the factors, at most 1, that bring `norms` down to `bound`; they have the shape of norms."""
    return (bound / norms.clamp(min=torch.finfo(norms.dtype).tiny)).clamp(max=1.0)


def add_noise(values: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Return `values` plus independent Gaussian noise of standard deviation `std` in each."""
    if std == 0.0:
        return values
    noise = torch.randn(values.shape, generator=generator, dtype=values.dtype)
    return values + std * noise
