# SPDX-License-Identifier: GPL-2.0-only
"""The tokeniser of sensor series, their encoder and the classifier of activities, trained together on 40 series."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from edgelam.data.fetched import ACTIVITIES, motions
from edgelam.learning.optimisers import make
from edgelam.modalities.bench import Bench
from edgelam.modalities.sensor import SensorModel
from edgelam.random_streams import derive_seed, torch_generator, torch_seeded

STEPS, LEARNING_RATE = 120, 1e-3
_LEAST = 60  # time steps of a training window
_NOISE, _SCALE = 0.1, 0.2  # of the augmentation


def empty() -> SensorModel:
    """Return a model of the right shape."""
    return SensorModel(len(ACTIVITIES))


def control() -> SensorModel:
    """Return a model whose tokeniser and encoder have random weights; only its classifier is fitted to the series."""
    from sklearn.linear_model import LogisticRegression

    series, labels = motions("train")
    model = empty().eval()
    with torch.no_grad():
        features = model.features(torch.from_numpy(series))
        mean, scale = features.mean(dim=0), features.std(dim=0) + 1e-6
        fitted = LogisticRegression(max_iter=1000).fit(((features - mean) / scale).numpy(), labels)
        weight = torch.from_numpy(fitted.coef_).float() / scale
        model.classifier.weight.copy_(weight)
        model.classifier.bias.copy_(torch.from_numpy(fitted.intercept_).float() - weight @ mean)
    return model


def fit(bench: Bench) -> tuple[SensorModel, dict[str, float]]:
    """Train with all series in each step: a random window of them, scaled at random, with noise."""
    series, labels = motions("train")
    series_BTC, label_B = torch.from_numpy(series), torch.from_numpy(labels)
    with torch_seeded(derive_seed(bench.seed, "first weights of the sensor model") % 2**63):
        model = empty()
    optimiser = make("adamw", model.parameters(), LEARNING_RATE)
    for step in range(STEPS):
        generator = torch_generator(derive_seed(bench.seed, f"windows of step {step}"))
        loss = F.cross_entropy(model(_changed(series_BTC, generator)), label_B)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        right = (model(series_BTC).argmax(dim=1) == label_B).float().mean()
    bench.say(f"{STEPS} steps: loss {float(loss.detach()):.3f}")
    return model, {"training samples": len(series), "accuracy in training": float(right)}


def _changed(series_BTC: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    length = int(torch.randint(_LEAST, series_BTC.shape[1] + 1, (1,), generator=generator))
    begin = int(torch.randint(0, series_BTC.shape[1] - length + 1, (1,), generator=generator))
    window = series_BTC[:, begin : begin + length]
    scale = 1.0 + _SCALE * torch.randn(len(window), 1, 1, generator=generator)
    return window * scale + _NOISE * torch.randn(window.shape, generator=generator)
