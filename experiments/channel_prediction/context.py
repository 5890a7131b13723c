# SPDX-License-Identifier: GPL-2.0-only
"""The common part of all jobs of one seed: configuration, samples, and how predictors are made and tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from edgelam.air import prediction
from edgelam.air.prediction import Predictor, Windows, methods
from edgelam.cosim import derive_seed
from edgelam.errors import ConfigurationError
from edgelam.models import Backbone, load_backbone
from edgelam.output.progress import Progress

from . import records
from .config import Config
from .data import Data
from .storing import Store
from .tables import Tables


class Models:
    """Makes predictors: the backbones are loaded once."""

    def __init__(self, config: Config) -> None:
        """Load what the configured methods need. Raises ConfigurationError, before anything is computed."""
        self._config = config
        wanted = {method.rpartition("-")[0] for method in config.methods}
        self._backbones: dict[str, Backbone] = {}
        for name, pretrained in (("lam", True), ("lam-random", False)):
            if name in wanted:
                self._backbones[name] = load_backbone(config.backbone, pretrained=pretrained, seed=config.seed)
        try:
            self._device = torch.empty(0, device=config.device).device
        except (RuntimeError, AssertionError) as error:
            text = str(error).splitlines()[0]
            raise ConfigurationError(f"device {config.device!r} cannot be used ({text}); cpu always can") from error

    def make(self, model: str, seed: int) -> Predictor:
        """A predictor at its first weights, on the configured device."""
        weights = derive_seed(seed, f"weights of {model}") % 2**63
        if model in self._backbones:
            made: Predictor = prediction.Lam(
                self._config.window, self._backbones[model], self._config.lam, seed=weights
            )
        else:
            made = methods.make(model, self._config.window, seed=weights)
        return made.to(self._device)


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
