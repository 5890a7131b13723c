# SPDX-License-Identifier: GPL-2.0-only
"""How noise on Jacobians enters a low-rank product: linearly, and with both factors trained also as a square.

One step of gradient descent with a noisy Jacobian J + N of the layer's output (rows are tokens, X their inputs):

    dB = (J + N)^T X A^T,   dA = B^T (J + N)^T X
    (B - r dB)(A - r dA) = ... - r (N^T X A^T A + B B^T N^T X)           linear in N
                               + r^2 (dB dA), whose part N^T X A^T B^T N^T X   is quadratic in N

In energy, the first grows with sigma^2 and the second with sigma^4 (FFA-LoRA, arXiv 2403.12313, which freezes A for
that reason; then only N^T X A^T A is left).

Shape suffixes: T tokens, I inputs, O outputs, R rank.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError


@dataclass(frozen=True)
class ProductNoise:
    """Mean energy (squared Frobenius norm) of what noise adds to B A in one step."""

    linear: float
    """From terms with the noise once, the cross terms of the square included."""
    quadratic: float
    """From the term with the noise twice; 0 with A frozen."""


def product_noise(
    a_RI: Tensor, b_OR: Tensor, x_TI: Tensor, jacobian_TO: Tensor, *, sigma: float, rate: float,
    freeze_a: bool, draws: int, generator: torch.Generator,
) -> ProductNoise:  # fmt: skip
    """Measure both energies with `draws` draws of Gaussian noise of deviation sigma on the Jacobian.

    float64 is advised: the quadratic part is found as what the linear one leaves. Raises ConfigurationError for a
    sigma, rate or number of draws that is not positive.
    """
    for name, value in (("sigma", sigma), ("rate", rate), ("draws", draws)):
        if not 0 < value < float("inf"):
            raise ConfigurationError(f"{name} is {value}; it must be positive and finite")

    def product(jacobian_TO: Tensor) -> Tensor:
        step_B = jacobian_TO.T @ x_TI @ a_RI.T
        step_A = torch.zeros_like(a_RI) if freeze_a else b_OR.T @ jacobian_TO.T @ x_TI
        return (b_OR - rate * step_B) @ (a_RI - rate * step_A)

    clean = product(jacobian_TO)
    linear = quadratic = 0.0
    for _ in range(draws):
        noise = sigma * torch.randn(jacobian_TO.shape, generator=generator, dtype=jacobian_TO.dtype)
        plus, minus = product(jacobian_TO + noise) - clean, product(jacobian_TO - noise) - clean
        linear += float((plus - minus).square().sum()) / 4  # odd in the noise
        quadratic += float((plus + minus).square().sum()) / 4  # even in it
    return ProductNoise(linear / draws, quadratic / draws)
