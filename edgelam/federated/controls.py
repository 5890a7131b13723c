# SPDX-License-Identifier: GPL-2.0-only
"""Controls that a good result must beat: the majority class and a linear classifier, trained without any network.

(The third control, the same backbone with random weights, is a run with `weights = "random"`.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgelam.data import Examples
from edgelam.errors import ConfigurationError
from edgelam.federated.setup import Setup
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.participation import draw


@dataclass(frozen=True)
class ControlRow:
    """A control's accuracy (0..1) and mean cross-entropy (nats) on the test samples.

    num_train_samples: distinct training samples it has seen.
    """

    name: str
    accuracy: float
    loss: float
    num_train_samples: int


def majority(setup: Setup) -> ControlRow:
    """Predict always the most frequent class of the training set; the loss is that of predicting its class shares."""
    counts = np.bincount(setup.task.train.labels, minlength=setup.task.num_classes)
    labels = setup.test.labels.numpy()
    # one count is added to each class, so that a class absent from training costs a finite loss
    shares = (counts + 1) / (counts + 1).sum()
    accuracy = float(np.mean(labels == counts.argmax()))
    return ControlRow("majority class", accuracy, float(-np.log(shares[labels]).mean()), int(counts.sum()))


def linear(setup: Setup) -> list[ControlRow]:
    """Fit a logistic regression on TF-IDF (text) or on the raw tokens: once with the samples that split-fedft processes
    (each sample once), and once with all that the devices have."""
    task = setup.task
    name = "TF-IDF + linear" if task.kind == "text" else "linear"
    seen = task.train.subset(samples_processed(setup))
    rows = []
    held = task.train if not setup.settings.labels_per_device else task.train.subset(np.concatenate(setup.parts))
    for suffix, train in (("same samples", seen), ("all samples", held)):
        rows.append(_fit(f"{name} ({suffix})", train, setup))
    return rows


def samples_processed(setup: Setup) -> NDArray[np.int64]:
    """Return the distinct samples that split-fedft processes without stragglers, as indices of the training set."""
    settings = setup.settings
    seen: set[int] = set()
    for step in range(settings.rounds):
        for device in draw(settings.num_devices, settings.participation, step, setup.seed):
            for part in range(settings.accumulation):
                seen.update(setup.parts[device][setup.shards[device].indices(step, part)].tolist())
    return np.array(sorted(seen), dtype=np.int64)


def _fit(name: str, train: Examples, setup: Setup) -> ControlRow:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    labels = setup.test.labels.numpy()
    present = np.unique(train.labels)
    flatten = FunctionTransformer(lambda x: np.asarray(x).reshape(len(x), -1))
    features = TfidfVectorizer(sublinear_tf=True) if setup.task.kind == "text" else flatten
    model = make_pipeline(features, LogisticRegression(C=10.0, max_iter=1000))
    predicted = np.full((len(labels), setup.task.num_classes), 1e-6)
    if len(present) < 2:
        predicted[:, present] = 1.0  # there are no classes to tell apart
    else:
        try:
            model.fit(train.inputs, train.labels)
            predicted[:, present] = np.maximum(model.predict_proba(setup.test_examples.inputs), 1e-6)
        except ValueError as error:  # texts of single letters have no words, values beyond float64 overflow
            raise ConfigurationError(
                f"control {name!r} cannot be fitted to task {setup.task.name!r}: {str(error).splitlines()[0][:160]}; "
                "leave it out of controls"
            ) from None
    predicted /= predicted.sum(axis=1, keepdims=True)
    loss = -np.log(predicted[np.arange(len(labels)), labels]).mean()
    refuse_divergence(float(loss), f"the test loss of control {name!r}", setup.settings.against_divergence)
    return ControlRow(name, float(np.mean(predicted.argmax(axis=1) == labels)), float(loss), len(train))
