# SPDX-License-Identifier: GPL-2.0-only
"""Differential privacy in split fine-tuning: what a device releases about its samples, and the rounds of a budget.

A device releases, in every batch, each sample's clipped and noisy Jacobian, and the noisy sum of the clipped gradients
of the task head: the head is averaged, and later Jacobians depend on it. The loss stays on the device. Two data sets
are neighbours if one sample has another label. Its input is not protected: embeddings are sent as they are, and they
tell the tokens (edgelam/privacy/token_lookup.py). All else that is sent follows from the inputs and from what was
released before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.federated.samples import Shard
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.learning.privacy import accounting
from edgelam.learning.privacy.gaussian import add_noise, clip_samples, scale_to
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.random_streams import torch_generator


class Releases:
    """What one device has released about each of its samples."""

    def __init__(self, settings: PrivacySettings, num_samples: int, seed: int) -> None:
        """Nothing yet. seed: of the noise. `settings` have a clip; a noise_multiplier of None is none."""
        assert settings.clip is not None
        self.settings = settings
        self.noise_multiplier = settings.noise_multiplier or 0.0
        self.per_sample = np.zeros(num_samples, dtype=np.int64)
        self._clip = settings.clip
        self._generator = torch_generator(seed)

    def jacobian(self, rows_TD: Tensor, sample_T: Tensor) -> Tensor:
        """Clip each sample's rows, and add noise: [T, D] -> [T, D]. sample_T: int64, the sample of each row."""
        clipped = clip_samples(rows_TD, sample_T, self._clip)
        return add_noise(clipped, 2 * self._clip * self.noise_multiplier, self._generator)

    def head_gradient(self, per_sample: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        """Return the noisy sum of clipped gradients. per_sample: for each sample, a gradient of each parameter."""
        bound = self.settings.head_clip
        total = [torch.zeros_like(part) for part in per_sample[0]]
        for gradient in per_sample:
            norm = torch.stack([part.square().sum() for part in gradient]).sum().sqrt()
            for so_far, part in zip(total, gradient, strict=True):
                so_far.add_(part * scale_to(norm, bound))
        return [add_noise(part, 2 * bound * self.noise_multiplier, self._generator) for part in total]

    def state(self) -> dict[str, Tensor]:
        """Return what was released, and where the noise is, for a checkpoint."""
        return {"per sample": torch.from_numpy(self.per_sample), "generator": self._generator.get_state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take a state back."""
        self.per_sample = state["per sample"].numpy().copy()
        self._generator.set_state(state["generator"])

    def note(self, indices: NDArray[np.int64]) -> None:
        """Count what a batch of these samples releases."""
        self.per_sample += released(indices, len(self.per_sample))

    def most(self) -> int:
        """Return the releases about the sample of which most was released."""
        return int(self.per_sample.max(initial=0))


def released(indices: NDArray[np.int64], num_samples: int) -> NDArray[np.int64]:
    """Return the releases about each sample in a batch of `indices`: [num_samples] int64.

    A sample that is in it m times has m rows with noise of their own, and m shares of one noisy sum, whose sensitivity
    is m times as large: that costs as much as m^2 sums.
    """
    times = np.bincount(indices, minlength=num_samples)
    return times + times**2


def within_budget(settings: SplitFedFTSettings, shards: Sequence[Shard]) -> SplitFedFTSettings:
    """Return settings whose noise is known and whose rounds the budget allows; unchanged without a budget.

    Raises ConfigurationError if not even one round is within the budget.
    """
    privacy = settings.privacy
    if privacy.clip is None or privacy.epsilon is None:
        return settings
    spent = np.max([_spent(shard, settings) for shard in shards], axis=0)
    target, delta, accountant = privacy.epsilon, privacy.delta, privacy.accountant
    if privacy.noise_multiplier is None:
        noise = accounting.noise_for(target, int(spent[-1]), delta, accountant)
        return replace(settings, privacy=replace(privacy, noise_multiplier=noise))
    allowed = accounting.most_releases(privacy.noise_multiplier, target, delta, accountant)
    rounds = int(np.searchsorted(spent, allowed, side="right"))
    if rounds == 0:
        least = accounting.noise_for(target, int(spent[0]), delta, accountant)
        raise ConfigurationError(
            f"privacy epsilon is {target:g} at delta {delta:g} with noise_multiplier {privacy.noise_multiplier:g}: the "
            f"first round would spend more; legal for one round are noise multipliers from {least:.4g}"
        )
    return replace(settings, rounds=rounds, evaluations=min(settings.evaluations, rounds))


def _spent(shard: Shard, settings: SplitFedFTSettings) -> NDArray[np.int64]:
    """Return the releases about the sample of which most is released, after each round: [rounds] int64."""
    so_far = np.zeros(len(shard), dtype=np.int64)
    most = np.empty(settings.rounds, dtype=np.int64)
    for step in range(settings.rounds):
        for part in range(settings.accumulation):
            so_far += released(shard.indices(step, part), len(shard))
        most[step] = so_far.max()
    return most
