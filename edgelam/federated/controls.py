# SPDX-License-Identifier: GPL-2.0-only
"""Controls that a good result must beat: the majority class and classical classifiers, trained without any network.

(The third control, the same backbone with random weights, is a run with `weights = "random"`.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgelam.data import Examples
from edgelam.errors import ConfigurationError
from edgelam.federated.setup import Setup
from edgelam.learning.divergence import refuse_divergence
from edgelam.learning.hog import describe as hog_features
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
    for suffix, train in (("same samples", seen), ("all samples", _held(setup))):
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


def hog(setup: Setup) -> ControlRow:
    """Fit a logistic regression on histograms of oriented gradients with all that the devices have.

    Raises ConfigurationError for a task without images.
    """
    if setup.task.kind != "images":
        raise ConfigurationError(
            f"control 'hog' with task {setup.task.name!r} and backbone {setup.backbone.name!r}, which have no images; "
            "legal are tasks of images with a backbone that reads them, such as dinov2-small"
        )
    return _fit("HOG + linear", _held(setup), setup, hog_features)


def support_vectors(setup: Setup) -> ControlRow:
    """Fit a support vector machine (RBF kernel) on TF-IDF, raw tokens or pixels with all that the devices have.

    It gives no probabilities, so its loss is NaN.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    held, labels = _held(setup), setup.test.labels.numpy()
    predicted = np.full(len(labels), held.labels[0])
    if len(np.unique(held.labels)) > 1:
        machine = make_pipeline(_features(setup), SVC(C=10.0)).fit(held.inputs, held.labels)
        predicted = machine.predict(setup.test_examples.inputs)
    return ControlRow("SVM", float(np.mean(predicted == labels)), float("nan"), len(held))


def _held(setup: Setup) -> Examples:
    """Return what the devices have, in one place."""
    if not setup.settings.labels_per_device:
        return setup.task.train
    return setup.task.train.subset(np.concatenate(setup.parts))


def _features(setup: Setup, describe: Callable[[Any], Any] | None = None) -> Any:
    """Return what makes numbers of inputs: TF-IDF of texts, or the raw tokens or pixels; describe: another one."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import FunctionTransformer

    if setup.task.kind == "text":
        return TfidfVectorizer(sublinear_tf=True)
    return FunctionTransformer(describe or _flat)


def _fit(name: str, train: Examples, setup: Setup, describe: Callable[[Any], Any] | None = None) -> ControlRow:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    labels = setup.test.labels.numpy()
    present = np.unique(train.labels)
    model = make_pipeline(_features(setup, describe), LogisticRegression(C=10.0, max_iter=1000))
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


def _flat(inputs: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return one row for each sample; the pixels of images in -1..1."""
    rows: NDArray[Any] = np.asarray(inputs).reshape(len(inputs), -1)
    return (rows / 127.5 - 1.0).astype(np.float32) if rows.dtype == np.uint8 else rows
