# SPDX-License-Identifier: GPL-2.0-only
"""Members of an overfitted head are told; samples that a head has not seen are told apart by chance only."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from edgelam.errors import ConfigurationError
from edgelam.privacy.membership import attack

WIDTH, CLASSES = 30, 3


def head_of(strength):
    """Training of a head; strength: of its regularisation."""

    def train(inputs, labels, seed):
        return LogisticRegression(C=1 / strength, max_iter=2000, random_state=seed).fit(inputs, labels).predict_proba

    return train


@pytest.fixture
def data():
    rng = np.random.default_rng(4)
    inputs = rng.standard_normal((240, WIDTH))
    labels = rng.integers(0, CLASSES, 240)  # nothing to learn but the samples themselves
    return inputs, labels


def told(data, *, trained_on):
    inputs, labels = data
    parts = [(inputs[begin:end], labels[begin:end]) for begin, end in ((0, 60), (60, 120), (120, 240))]
    train = head_of(0.01)
    return attack(train(*parts[trained_on], 1), parts[0], parts[1], parts[2], train, shadows=3, seed=5)


def test_an_overfitted_head_tells_its_members(data):
    overfitted, strange = told(data, trained_on=0), told(data, trained_on=2)
    assert overfitted.auc > 0.85
    assert overfitted.advantage > 0.4
    assert abs(strange.auc - 0.5) < 0.16  # three standard errors
    assert abs(strange.advantage) < 0.27
    assert told(data, trained_on=0) == overfitted


def test_too_little_is_refused(data):
    inputs, labels = data
    few = (inputs[:2], labels[:2])
    with pytest.raises(ConfigurationError, match="own data"):
        attack(lambda x: x, data, data, few, head_of(1.0), shadows=1, seed=1)
    with pytest.raises(ConfigurationError, match="0 shadows"):
        attack(lambda x: x, data, data, data, head_of(1.0), shadows=0, seed=1)
