# SPDX-License-Identifier: GPL-2.0-only
"""Training a predictor in one place, and measuring it.

A batch is a number of samples with all their antennas; the loss is the mean of the samples' NMSE, or the batch's. The
order of the samples, their noise, and what the dropout of adapters leaves out depend only on the seed and the epoch. So
training that is resumed continues as if it had not been interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgelam.air.prediction.error import batch_nmse, nmse, spectral_efficiency
from edgelam.air.prediction.predictor import Predictor
from edgelam.air.prediction.settings import TrainingSettings
from edgelam.air.prediction.windows import Array, Windows, add_noise
from edgelam.learning import optimisers
from edgelam.learning.divergence import refuse_divergence
from edgelam.random_streams import dropout_seed, from_numbers, torch_seeded


class Trainer:
    """A predictor, its optimiser and the samples it learns from."""

    def __init__(self, predictor: Predictor, windows: Windows, settings: TrainingSettings, *, seed: int) -> None:
        """windows: samples without noise; seed: for the order and the noise. The predictor stays on its device."""
        self.predictor, self.windows, self.settings, self._seed = predictor, windows, settings, seed
        self.optimiser = make_optimiser(predictor, settings)
        self.num_steps = 0
        self._batch = 0  # the number of the latest batch, counted over all epochs

    def restart(self) -> None:
        """Begin with a new optimiser for what is trained now."""
        self.optimiser = make_optimiser(self.predictor, self.settings)

    def restart_adapters(self) -> None:
        """Forget the optimiser's state of the adapters: they begin anew."""
        for name, parameter in self.predictor.trained().items():
            if "lora_" in name:
                self.optimiser.state.pop(parameter, None)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Past and future of each batch of an epoch, with noise, on the predictor's device."""
        rng = from_numbers(self._seed, epoch)
        order = rng.permutation(len(self.windows))
        device = next(self.predictor.parameters()).device
        starts = range(0, len(order), self.settings.batch_size)
        for index, begin in enumerate(starts):
            self._batch = epoch * len(starts) + index
            batch = self.windows.take(order[begin : begin + self.settings.batch_size])
            batch = add_noise(batch, self.settings.snr_db, rng, future=self.settings.noisy_target)
            yield torch.from_numpy(batch.past).to(device), torch.from_numpy(batch.future).to(device)

    def step(self, past: Tensor, future: Tensor) -> float:
        """Do one optimiser step; return the batch's loss before it. Raises Diverged if it is not finite."""
        self.predictor.train()
        self.optimiser.zero_grad()
        dropout = torch_seeded(dropout_seed(self._seed, self._batch) % 2**63)
        with dropout, torch.autocast(past.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            prediction = self.predictor(past)
        loss = nmse(prediction, future).mean() if self.settings.loss == "sample" else batch_nmse(prediction, future)
        loss.backward()
        value = loss.item()
        what = f"the training loss after {self.num_steps} steps"
        refuse_divergence(value, what, f"A smaller learning rate than {self.settings.learning_rate} may help")
        self.optimiser.step()
        self.num_steps += 1
        return value

    def epoch(self, epoch: int) -> float:
        """Do all steps of an epoch; return the mean loss of its samples."""
        total = 0.0
        for past, future in self.batches(epoch):
            total += self.step(past, future) * len(past)
        return total / len(self.windows)


@dataclass(frozen=True)
class Score:
    """The errors of a predictor on unseen samples; each array is [sample]."""

    nmse: Array
    """Error against the future without noise."""
    spectral_efficiency: Array
    """Bit/s/Hz of precoding with the prediction."""

    @property
    def mean_nmse(self) -> float:
        """Mean over samples, linear."""
        return float(self.nmse.mean())


@torch.no_grad()
def evaluate(predictor: Predictor, windows: Windows, snr_db: float, *, seed: int, batch_size: int = 64) -> Score:
    """Predict from a noisy past (`snr_db`), and compare with the future without noise.

    The noise depends only on `seed`: it is the same for every predictor.
    """
    predictor.eval()
    device = next((p.device for p in predictor.parameters()), torch.device("cpu"))
    noisy = add_noise(windows, (snr_db, snr_db), from_numbers(seed), future=False)
    errors, rates = [], []
    for begin in range(0, len(windows), batch_size):
        part = slice(begin, begin + batch_size)
        prediction = predictor(torch.from_numpy(noisy.past[part]).to(device)).cpu()
        future = torch.from_numpy(windows.future[part])
        errors.append(nmse(prediction, future).double().numpy())
        rates.append(spectral_efficiency(prediction, future, snr_db).double().numpy())
    return Score(np.concatenate(errors), np.concatenate(rates))


def make_optimiser(predictor: Predictor, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Make the optimiser of all trained parameters, ordered by name so that its state can be stored by number."""
    return optimisers.make(settings.optimiser, predictor.trained().values(), settings.learning_rate, fused=True)
