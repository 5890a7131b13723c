# SPDX-License-Identifier: GPL-2.0-only
"""The rows of a run's tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One model that is trained, or a predictor that is not: a unit of work, and the first columns of every table."""

    method: str
    """The name as in the configuration."""
    servers: int
    """Edge servers whose samples count; 0 for predictors that do not learn."""
    server: int
    """Local training: which one; otherwise -1."""
    seed: int

    @property
    def model(self) -> str:
        """The model that is trained."""
        return self.method.rpartition("-")[0]

    @property
    def key(self) -> str:
        """The name in file names."""
        where = f"-{self.server}" if self.server >= 0 else ""
        return f"{self.method}-{self.servers}{where}-seed{self.seed}"

    @property
    def label(self) -> str:
        """The name for people."""
        where = f", server {self.server}" if self.server >= 0 else f", {self.servers} servers" if self.servers else ""
        return f"{self.method}{where} (seed {self.seed})"


@dataclass(frozen=True)
class Epoch:
    """Table `epochs`: training after a number of epochs."""

    epoch: int
    """Passes over the samples so far, from 1."""
    time_s: float
    """Simulated time, of earlier slices too."""
    loss: float
    """Training NMSE: mean over the samples, noise on past and target as trained."""
    up_bytes: int
    """Bytes from the servers so far."""
    down_bytes: int


@dataclass(frozen=True)
class Score:
    """Table `scores`: a test."""

    epoch: int
    time_s: float
    test_set: str
    nmse: float
    """Mean over samples of error over power, linear."""
    nmse_se: float
    """Standard error of that mean."""
    spectral_efficiency: float
    """bit/s/Hz when precoding on the prediction, mean over samples."""
    samples: int


@dataclass(frozen=True)
class Model:
    """Table `models`: how large and how trained, for a fair comparison."""

    parameters: int
    trained_parameters: int
    learning_rate: float
    tries: int
    """Learning rates searched."""
    steps: int
    """Optimiser steps of each server (pooled: of the aggregator) in all epochs."""
    samples: int
    """Samples on which a server (pooled: the aggregator) trains."""


@dataclass(frozen=True)
class Cost:
    """Table `costs`: what crossed the network."""

    what: str
    """`one sample`: the past of one sample of each server; `all samples`: all that the servers train on."""
    servers: int
    up_bytes: int
    down_bytes: int
    transfer_s: float
    """Simulated seconds in which something was on its way."""


@dataclass(frozen=True)
class Stale:
    """Table `stale`: the error of CSI that is as old as something takes, held, without noise, in closed form."""

    what: str
    servers: int
    age_s: float
    speed_kmh: float
    nmse: float


Row = Epoch | Score | Model
"""The records that a job reports and its checkpoints keep."""
NAMES: dict[type, str] = {Epoch: "epochs", Score: "scores", Model: "models", Cost: "costs", Stale: "stale"}
