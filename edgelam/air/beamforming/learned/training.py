# SPDX-License-Identifier: GPL-2.0-only
"""Policies are made, and trained on the weighted sum rate of channels that are drawn anew in every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgelam.air.beamforming.channels.iid import complex_normal
from edgelam.air.beamforming.learned.ascent import Keeper, ascend
from edgelam.air.beamforming.learned.gnn import of_size
from edgelam.air.beamforming.learned.graph_lam import GraphLam
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import KINDS, Kind, PolicySettings, TrainingSettings
from edgelam.air.beamforming.learned.unrolled import UnrolledWmmse
from edgelam.air.beamforming.problem import Downlink
from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed, torch_generator
from edgelam.text import suggest

BACKBONE_SHARE = 0.1


def make(kind: Kind, settings: PolicySettings, *, seed: int = 0) -> Policy:
    """Make a policy; seed: of its weights, and of the random backbone. Raises ConfigurationError for another kind."""
    from edgelam.models import load_backbone

    if kind not in KINDS:
        raise ConfigurationError(f"no policy is called {kind!r}; {suggest(kind, KINDS)}")
    if kind == "unrolled-wmmse":
        return UnrolledWmmse(settings)
    if kind == "no-backbone":
        return GraphLam(None, settings, seed=seed)
    backbone = load_backbone(settings.backbone, pretrained=kind != "graph-lam-random", seed=seed)
    lam = GraphLam(backbone, settings, full=kind == "graph-lam-full", seed=seed)
    return lam if kind != "gnn" else of_size(settings, lam.trained(), seed=seed)


def problems(settings: TrainingSettings, seed: int, device: torch.device | str = "cpu") -> Iterator[Downlink]:
    """Yield the problems of all steps: a number of users and of antennas for each, an SNR for each sample.

    They are the same on every device.
    """
    generator = torch_generator(derive_seed(seed, "channels of training"))

    def between(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    for _ in range(settings.steps):
        users = between(*settings.users)
        antennas = users + between(*settings.extra_antennas)
        channel = complex_normal((settings.batch_size, users, antennas), generator).to(torch.complex64)
        low, high = settings.snr_db
        snr_db = low + (high - low) * torch.rand(settings.batch_size, generator=generator)
        if settings.gain_range_db:
            gain_db = settings.gain_range_db * (torch.rand(settings.batch_size, users, 1, generator=generator) - 0.5)
            channel = channel * 10 ** (gain_db / 20)
        weights = None
        if settings.weight_range > 1:
            exponent = 2 * torch.rand(settings.batch_size, users, generator=generator) - 1
            weights = settings.weight_range**exponent
        power = 10 ** (snr_db / 10)
        yield Downlink(channel.to(device), power.to(device), weights=None if weights is None else weights.to(device))


def objective(problem: Downlink, precoder: Tensor, settings: TrainingSettings) -> Tensor:
    """Return what training makes large, real [...]; precoder [..., antenna, user]."""
    rates = problem.rates(precoder)
    weighted = problem.user_weights * rates
    value = weighted.sum(-1) if settings.objective == "sum-rate" else weighted.amin(-1)
    return value - settings.penalty * (settings.minimum_rate - rates).clamp_min(0).sum(-1)


def train(
    policy: Policy,
    settings: TrainingSettings,
    *,
    seed: int,
    told: Callable[[int, float], None] | None = None,
    keeper: Keeper | None = None,
) -> None:
    """Train a policy in place. told: called after each step with its number, from 1, and the batch's mean objective.

    Weights of a pre-trained backbone itself, where they are trained, have BACKBONE_SHARE of the learning rate.
    """
    named = {name: parameter for name, parameter in policy.named_parameters() if parameter.requires_grad}
    own = [name for name in named if "backbone." in name and "lora_" not in name]
    optimiser = torch.optim.Adam(
        [
            {"params": [named[name] for name in named if name not in own], "lr": settings.learning_rate},
            {"params": [named[name] for name in own], "lr": BACKBONE_SHARE * settings.learning_rate},
        ]
    )
    draws = enumerate(problems(settings, seed, next(iter(named.values())).device), 1)

    def value(step: int) -> Tensor:
        problem = next(each for number, each in draws if number == step)  # those of steps that are done are drawn again
        return objective(problem, policy(problem), settings).mean()

    ascend(policy, optimiser, value, steps=settings.steps, seed=seed, told=told, keeper=keeper)


def save(policy: nn.Module, path: Path) -> None:
    """Write what is trained; the frozen backbone is not in the file."""
    trained = {name: value for name, value in policy.named_parameters() if value.requires_grad}
    save_file({name: value.detach().contiguous() for name, value in trained.items()}, path)


def load(policy: nn.Module, path: Path) -> None:
    """Read what `save` wrote of a policy of the same kind and size. Raises ConfigurationError for another file."""
    wanted = {name: value for name, value in policy.named_parameters() if value.requires_grad}
    try:
        found = load_file(path)
    except Exception as error:  # safetensors has errors of its own
        raise ConfigurationError(f"{path} is no checkpoint of a policy: {error}") from None
    differ = [
        name for name in sorted(wanted.keys() | found.keys())
        if name not in found or name not in wanted or found[name].shape != wanted[name].shape
        or found[name].dtype != wanted[name].dtype or not torch.isfinite(found[name]).all()
    ]  # fmt: skip
    if differ:
        raise ConfigurationError(
            f"{path} is of another policy, or damaged: {', '.join(differ[:3])} do not fit this one"
        )
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(found[name])
