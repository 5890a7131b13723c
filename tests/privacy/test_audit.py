# SPDX-License-Identifier: GPL-2.0-only
"""What an attacker tells from Jacobians: labels by clusters, and canaries against the accounted epsilon."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgelam.errors import ConfigurationError
from edgelam.federated.private import Releases
from edgelam.learning.privacy import accounting
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.privacy.canary_audit import epsilon_lower_bound
from edgelam.privacy.label_clusters import clusters, share_recovered

DELTA = 1e-5
CANARIES = 5000
PRIVATE = PrivacySettings(clip=0.1, noise_multiplier=1.0)


def audited(private: PrivacySettings, size: float = 2.0, width: int = 32) -> float:
    """The bound for samples behind a linear head of two classes with equal odds: J = W^T (p - y) of norm `size`."""
    direction = torch.nn.functional.normalize(torch.ones(width), dim=0)
    weights = torch.stack([size * direction, -size * direction])
    odds = torch.full((2,), 0.5)
    scores = []
    for label in (1, 0):
        jacobian = weights.T @ (odds - torch.eye(2)[label])
        releases = Releases(private, CANARIES, seed=label)
        released = releases.jacobian(jacobian.expand(CANARIES, width), torch.arange(CANARIES))
        scores.append((released @ direction).numpy())
    return epsilon_lower_bound(*scores, DELTA)


def test_canaries_stay_below_the_accounted_epsilon_and_come_near_it():
    accounted = accounting.epsilon(1.0, 1, DELTA)
    assert 0.3 * accounted <= audited(PRIVATE) <= accounting.epsilon(1.0, 1, DELTA, "pld") < accounted


def test_canaries_find_noise_that_is_a_tenth():
    assert audited(replace(PRIVATE, noise_multiplier=0.1)) > accounting.epsilon(1.0, 1, DELTA)


def test_canaries_find_that_clipping_is_off():
    unclipped = PrivacySettings(clip=2.0, noise_multiplier=0.05)  # the noise of PRIVATE, and a bound that does nothing
    assert audited(unclipped) > accounting.epsilon(1.0, 1, DELTA)


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_the_bound_is_above_the_truth_as_rarely_as_the_confidence_says(epsilon):
    """Randomised response, whose epsilon is known."""
    rng = np.random.default_rng(1)
    honest = np.exp(epsilon) / (1 + np.exp(epsilon))
    bounds = np.array(
        [
            epsilon_lower_bound((rng.random(200) < honest) * 1.0, (rng.random(200) >= honest) * 1.0, 0.0)
            for _ in range(200)
        ]
    )
    assert (bounds > epsilon).mean() <= 0.05
    assert np.median(bounds) >= 0.5 * epsilon


def test_too_few_canaries_are_refused():
    with pytest.raises(ConfigurationError, match="19 and 30 canaries"):
        epsilon_lower_bound(np.zeros(19), np.zeros(30), DELTA)
    with pytest.raises(ConfigurationError, match="delta 1"):
        epsilon_lower_bound(np.zeros(30), np.zeros(30), 1.0)


def jacobians(labels: np.ndarray, noise_multiplier: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(10, 64)).astype(np.float32)
    odds = rng.dirichlet(np.full(10, 30.0), len(labels)).astype(np.float32)
    exact = torch.from_numpy((odds - np.eye(10, dtype=np.float32)[labels]) @ weights)
    private = PrivacySettings(clip=1.0, noise_multiplier=noise_multiplier)
    return Releases(private, len(labels), seed=1).jacobian(exact, torch.arange(len(labels))).numpy()


def test_clusters_tell_labels_and_noise_hides_them():
    labels = np.random.default_rng(2).integers(0, 10, 400)
    assert share_recovered(clusters(jacobians(labels, 0.0), 10, seed=1), labels) > 0.99
    assert share_recovered(clusters(jacobians(labels, 2.0), 10, seed=1), labels) < 0.3


def test_groups_are_named_as_well_as_can_be():
    assert share_recovered(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1])) == 1.0
    assert share_recovered(np.array([1, 1, 1, 0]), np.array([0, 0, 1, 1])) == 0.75
    with pytest.raises(ConfigurationError, match="5 groups"):
        clusters(np.zeros((4, 2)), 5, seed=1)
