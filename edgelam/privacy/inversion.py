# SPDX-License-Identifier: GPL-2.0-only
"""What was put into a model, from what crosses at a cut, by a map that is learned from inputs of the attacker's own.

Whoever has the first stages of a model makes as many pairs of an input and what crosses as wanted, with the noise or
the rounding that the device adds, and fits a regression from the one to the other: an inverse network (Z. He, T. Zhang,
R. B. Lee, Model inversion attacks against collaborative inference, ACSAC 2019). Here it is a linear map in closed form,
and a network with one hidden layer that learns what the linear map leaves over.

Shape suffixes: R pairs that the attacker made, T seen, F features that cross, G numbers of the input behind them.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.random_streams import torch_generator, torch_seeded

RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Ridges that are tried, as shares of the mean variance of a feature."""
HELD_OUT = 0.2
"""Share of the attacker's pairs on which the ridge and the number of steps are chosen."""
LEAST = 10
"""Pairs."""
_BATCH, _RATE, _LOOKS = 256, 1e-3, 10


@dataclasses.dataclass(frozen=True)
class Inverse:
    """A learned map [T, F] -> [T, G] in float32: `linear`, or with a network `rest` for what that leaves over.

    centre, scale: of each feature that crosses [F].
    """

    centre: Tensor
    scale: Tensor
    linear: nn.Linear
    rest: nn.Module | None = None

    @torch.no_grad()
    def __call__(self, seen_TF: Tensor) -> Tensor:
        """The inputs behind what was seen."""
        if seen_TF.dim() != 2 or seen_TF.shape[1] != len(self.centre):
            raise ConfigurationError(f"{tuple(seen_TF.shape)} seen; this map takes [T, {len(self.centre)}]")
        x_TF = (seen_TF - self.centre) / self.scale
        found = self.linear(x_TF)
        return found if self.rest is None else found + self.rest(x_TF)


def learn_linear(seen_RF: Tensor, inputs_RG: Tensor, *, seed: int) -> Inverse:
    """Return the linear map that is best on pairs held out, among ridge regressions.

    seed: of which pairs are held out. Raises ConfigurationError for fewer than 10 pairs or numbers that are not
    finite.
    """
    seen_RF, inputs_RG = _checked(seen_RF, inputs_RG)
    kept, held = _divided(len(seen_RF), seed)
    centre_F, scale_F = seen_RF[kept].mean(0), seen_RF[kept].std(0).clamp(min=1e-6)
    x_RF = ((seen_RF - centre_F) / scale_F).double()
    offset_G = inputs_RG[kept].mean(0).double()
    gram_FF, cross_FG = x_RF[kept].T @ x_RF[kept], x_RF[kept].T @ (inputs_RG[kept].double() - offset_G)
    least, best_FG = float("inf"), torch.zeros_like(cross_FG)
    for ridge in RIDGES:
        lifted = gram_FF + ridge * len(kept) * torch.eye(len(gram_FF), dtype=torch.float64)
        weight_FG = torch.linalg.solve(lifted, cross_FG)
        error = float((x_RF[held] @ weight_FG + offset_G - inputs_RG[held]).square().mean())
        if error < least:
            least, best_FG = error, weight_FG
    linear = nn.utils.skip_init(nn.Linear, len(centre_F), len(offset_G))
    with torch.no_grad():
        linear.weight.copy_(best_FG.T)
        linear.bias.copy_(offset_G)
    return Inverse(centre_F, scale_F, linear)


def learn_network(
    linear: Inverse, seen_RF: Tensor, inputs_RG: Tensor, *, hidden: int, steps: int, seed: int
) -> Inverse:
    """Return a map that adds a network with `hidden` GELUs to a linear one, trained by `steps` of Adam on its error.

    Ten times, it is judged on the pairs held out (those of the same seed), and the best state counts; without a better
    one, that is the linear map. seed: of pairs held out, first weights and batches. Raises as `learn_linear`.
    """
    seen_RF, inputs_RG = _checked(seen_RF, inputs_RG)
    if hidden < 1 or steps < 1:
        raise ConfigurationError(f"{hidden} hidden units and {steps} steps; legal are 1 or more of each")
    x_RF = (seen_RF - linear.centre) / linear.scale
    kept, held = _divided(len(x_RF), seed)
    left_RG = inputs_RG - linear(seen_RF)
    with torch_seeded(seed % 2**63):
        first, last = nn.Linear(x_RF.shape[1], hidden), nn.Linear(hidden, inputs_RG.shape[1])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    rest = nn.Sequential(first, nn.GELU(), last)
    draw = torch_generator(seed + 1)
    optimiser = torch.optim.Adam(rest.parameters(), lr=_RATE)
    least, best = float(left_RG[held].square().mean()), None
    for step in range(1, steps + 1):
        batch = kept[torch.randint(len(kept), (_BATCH,), generator=draw)]
        optimiser.zero_grad()
        nn.functional.mse_loss(rest(x_RF[batch]), left_RG[batch]).backward()
        optimiser.step()
        if step % max(steps // _LOOKS, 1) == 0:
            with torch.no_grad():
                error = float((rest(x_RF[held]) - left_RG[held]).square().mean())
            if error < least:
                least, best = error, {name: value.clone() for name, value in rest.state_dict().items()}
    if best is None:
        return linear
    rest.load_state_dict(best)
    return dataclasses.replace(linear, rest=rest.requires_grad_(False))


def share_explained(found_TG: Tensor, true_TG: Tensor, mean_G: Tensor) -> float:
    """Share of the variance around a mean that the found inputs explain: 1 if all is found, 0 or less for a guess.

    mean: of the attacker's own inputs, the best guess of one who sees nothing.
    """
    around = float((true_TG - mean_G).square().sum())
    if not around > 0:
        raise ConfigurationError("the inputs do not differ from their mean: there is nothing to find")
    return 1 - float((found_TG - true_TG).square().sum()) / around


def _checked(seen_RF: Tensor, inputs_RG: Tensor) -> tuple[Tensor, Tensor]:
    if seen_RF.dim() != 2 or inputs_RG.dim() != 2 or len(seen_RF) != len(inputs_RG) or len(seen_RF) < LEAST:
        raise ConfigurationError(
            f"{tuple(seen_RF.shape)} seen of inputs {tuple(inputs_RG.shape)}: [R, F] and [R, G] are needed, with "
            f"{LEAST} pairs or more"
        )
    seen_RF, inputs_RG = seen_RF.detach().float(), inputs_RG.detach().float()
    if not (bool(seen_RF.isfinite().all()) and bool(inputs_RG.isfinite().all())):
        raise ConfigurationError("the pairs have numbers that are not finite")
    return seen_RF, inputs_RG


def _divided(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the places of pairs to fit, and of those held out."""
    order = torch.randperm(count, generator=torch_generator(seed))
    cut = count - max(int(HELD_OUT * count), 1)
    return order[:cut], order[cut:]
