# SPDX-License-Identifier: GPL-2.0-only
"""The common part of all jobs of one seed: configuration, samples, and how predictors are made and tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from edgelam.air import prediction
from edgelam.air.prediction import Continued, Predictor, Windows, WindowSettings, methods
from edgelam.air.prediction.prony import Prony
from edgelam.cosim import derive_seed
from edgelam.errors import ConfigurationError
from edgelam.models import Backbone, load_backbone
from edgelam.output.progress import Progress

from . import records
from .config import EQUAL, Config
from .data import Data
from .storing import Store
from .tables import Tables


class Models:
    """Makes predictors: the backbones are loaded once."""

    def __init__(self, config: Config, prony: Callable[[WindowSettings], Prony] = Prony) -> None:
        """Load what the configured methods need. Raises ConfigurationError, before anything is computed.

        prony: makes Prony's method for a window.
        """
        self._config, self._prony = config, prony
        wanted = {method.rpartition("-")[0] for method in config.methods}
        self._backbones: dict[str, Backbone] = {}
        for name, users, pretrained in (
            ("lam", {"lam", "lam-full", EQUAL}, True),
            ("lam-random", {"lam-random"}, False),
        ):
            if users & wanted:
                self._backbones[name] = load_backbone(config.backbone, pretrained=pretrained, seed=config.seed)
        self._equal_channels = self._channels_of_equal() if EQUAL in wanted else 0
        try:
            self._device = torch.empty(0, device=config.device).device
        except (RuntimeError, AssertionError) as error:
            text = str(error).splitlines()[0]
            raise ConfigurationError(f"device {config.device!r} cannot be used ({text}); cpu always can") from error

    def make(self, model: str, seed: int) -> Predictor:
        """A predictor at its first weights, on the configured device."""
        weights = derive_seed(seed, f"weights of {model}") % 2**63
        if not model.startswith("lam") and model != EQUAL:
            if model == "prony":
                return self._prony(self._config.window).to(self._device)
            return methods.make(model, self._config.window, seed=weights).to(self._device)
        if self._config.lam.residual == "prony":
            inner = partial(self._inner, model, weights)
            return Continued(self._config.window, inner, self._prony(self._config.window)).to(self._device)
        return self._inner(model, weights, self._config.window).to(self._device)

    def _inner(self, model: str, weights: int, window: WindowSettings) -> Predictor:
        """The LAM, one of its controls, or the CNN with as many trained parameters."""
        if model == EQUAL:
            return methods.make("cnn", window, seed=weights, channels=self._equal_channels)
        full = model == "lam-full"
        backbone = self._backbones["lam" if full else model]
        return prediction.Lam(window, backbone, self._config.lam, seed=weights, full=full)

    def _channels_of_equal(self) -> int:
        """The channels with which a CNN has as nearly as possible the trained parameters of the LAM."""
        wanted = _size(self._inner("lam", 0, self._config.window))
        layers = 8
        fixed = _size(methods.make("cnn", self._config.window, channels=1, layers=2)) - 19 - 20  # the map along time
        # convolutions of 3 x 3 with biases from 2 to c channels, (layers - 2) times from c to c, and to 2
        sizes = [19 * c + (layers - 2) * (9 * c + 1) * c + 18 * c + 2 + fixed for c in range(1, 1025)]
        return 1 + int(np.argmin(np.abs(np.array(sizes) - wanted)))


def _size(predictor: Predictor) -> int:
    return sum(parameter.numel() for parameter in predictor.trained().values())


@dataclass(frozen=True)
class Context:
    """The context of one seed."""

    config: Config
    seed: int
    data: Data
    models: Models
    store: Store
    tables: Tables
    progress: Progress
    until: float | None
    """Reading of the monotonic clock at which training stops; None: never."""

    @property
    def networked(self) -> bool:
        """Whether what this seed sends crosses a simulated network."""
        first = self.config.network_repeats or self.config.repeats
        return not self.config.network.is_ideal and self.seed < self.config.seed + first

    def make(self, model: str) -> Predictor:
        """A predictor at its first weights, the same for all servers."""
        return self.models.make(model, self.seed)

    def score(
        self, predictor: Predictor, windows: Windows, test_set: str, *, epoch: int, time_s: float
    ) -> records.Score:
        """Test a predictor; the noise is the same for all."""
        noise = derive_seed(self.seed, f"noise of test set {test_set}") % 2**63
        result = prediction.evaluate(predictor, windows, self.config.test_snr_db, seed=noise)
        error = float(result.nmse.std(ddof=1) / np.sqrt(len(windows))) if len(windows) > 1 else 0.0
        efficiency = float(result.spectral_efficiency.mean())
        return records.Score(epoch, time_s, test_set, result.mean_nmse, error, efficiency, len(windows))
