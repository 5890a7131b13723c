# SPDX-License-Identifier: GPL-2.0-only
"""Accuracy and loss on the test set: of every device's own head, and of the average head.

Own heads are judged on the global test set and on a "local" one: the same samples, weighted so that the classes have
the same shares as on that device. Evaluation is instrumentation: it takes no simulated time, and makes no transfer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgelam.federated.inputs import InputNoise, embed
from edgelam.federated.records import EvaluationRecord, Report
from edgelam.federated.setup import Setup
from edgelam.learning.averaging import weighted_average
from edgelam.learning.divergence import refuse_divergence
from edgelam.models import Encoder, Head, LanguageHead, Unsplit

_BATCH = 64
_LANGUAGE_BATCH = 8  # a row of logits has as many values as the vocabulary
_GLOBAL, _LOCAL, AVERAGE = "global", "local", "average"


@dataclass(frozen=True)
class Outcome:
    """How a method ended. accuracy, loss: the average head on the global test set; own_accuracy and local_accuracy:
    mean over the devices' own heads on the global and on their local test sets; num_samples: training samples that
    counted; time_s: simulated."""

    method: str
    accuracy: float
    loss: float
    own_accuracy: float
    local_accuracy: float
    num_samples: int
    steps: int
    time_s: float

    def counting(self, num_samples: int) -> "Outcome":
        """Return this outcome with the number of training samples that counted."""
        return replace(self, num_samples=num_samples)


@dataclass(frozen=True)
class Scores:
    """Accuracy (0..1) and mean cross-entropy (nats)."""

    accuracy: float
    loss: float


@torch.no_grad()
def pooled_test(setup: Setup, embedding: nn.Module, encoder: Encoder, input_noise: InputNoise | None = None) -> Tensor:
    """Return the pooled representation of every test sample: [num_test, width]. input_noise: on embeddings."""
    was_training = encoder.training
    encoder.eval()
    pooled = torch.zeros(len(setup.test), setup.backbone.hidden_width, dtype=setup.backbone.token_table.dtype)
    for indices, batch in setup.test.batches(_BATCH):
        hidden = encoder.hidden(embed(embedding, batch, input_noise), batch.mask)
        pooled[torch.from_numpy(indices)] = encoder.pool(hidden, batch.mask)
    encoder.train(was_training)
    return pooled


@torch.no_grad()
def score(head: Head, pooled: Tensor, labels: Tensor, weights: NDArray[np.float64] | None = None) -> Scores:
    """Score a head on pooled representations [N, width], labels [N] int64; weights [N] sum to 1 (None: all equal)."""
    logits = head.classify(pooled)
    right = (logits.argmax(dim=1) == labels).double().numpy()
    losses = F.cross_entropy(logits.double(), labels, reduction="none").numpy()
    share = np.full(len(labels), 1.0 / len(labels)) if weights is None else weights
    return Scores(float(right @ share), float(losses @ share))


@torch.no_grad()
def language_score(setup: Setup, model: Unsplit, input_noise: InputNoise | None = None) -> Scores:
    """Score a model on the next tokens of all test samples: the share that is most likely to it, and nats per token,
    whose exponential is the perplexity."""
    encoder = model.encoder
    was_training, right, loss_sum, count = encoder.training, 0, 0.0, 0
    encoder.eval()
    for _, batch in setup.test.batches(_LANGUAGE_BATCH):
        hidden = encoder.hidden(embed(model.embedding, batch, input_noise), batch.mask)
        logits = model.head(hidden, batch.mask)
        seen = batch.mask[:, 1:] & batch.mask[:, :-1]
        told, true = logits[:, :-1][seen], batch.inputs[:, 1:][seen]
        right += int((told.argmax(dim=1) == true).sum())
        loss_sum += float(F.cross_entropy(told.double(), true, reduction="sum"))
        count += len(true)
    encoder.train(was_training)
    return Scores(right / max(count, 1), loss_sum / max(count, 1))


def local_weights(labels: NDArray[np.int64], class_shares: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Weights [N] that give each class of the test labels [N] its share [num_classes]; None if no class is tested."""
    counts = np.bincount(labels, minlength=len(class_shares))
    weights = np.where(counts > 0, class_shares / np.maximum(counts, 1), 0.0)[labels]
    return weights / weights.sum() if weights.sum() > 0 else None


@dataclass
class Evaluator:
    """Evaluates a method's models and reports the scores. names: the devices, in the order of their shards;
    input_noise: on the embeddings of test samples."""

    setup: Setup
    method: str
    report: Report
    names: tuple[str, ...]
    input_noise: InputNoise | None = None

    def __call__(self, step: int, time_s: float, models: Mapping[str, Unsplit], average: Unsplit | None = None, *,
                 mean_of_own: bool = False) -> Outcome:  # fmt: skip
        """models: by device name (they may share parts, which are then run once); average: the model whose score counts
        as the score of the method; None: the heads (and embeddings, if trained) of `models`, averaged by samples.

        mean_of_own: nothing is averaged, and the method's score is the mean of the devices' own (local training)."""
        labels = self.setup.test.labels
        cache: dict[tuple[int, int], Tensor] = {}

        def pooled_by(model: Unsplit) -> Tensor:
            key = (id(model.embedding), id(model.encoder))
            if key not in cache:
                cache[key] = pooled_test(self.setup, model.embedding, model.encoder, self.input_noise)
            return cache[key]

        def scored(model: Unsplit, weights: NDArray[np.float64] | None = None) -> Scores:
            if isinstance(model.head, LanguageHead):
                return language_score(self.setup, model, self.input_noise)
            return score(model.head, pooled_by(model), labels, weights)

        own, local = [], []
        for device, name in enumerate(self.names):
            if name not in models:
                continue
            of_language = isinstance(models[name].head, LanguageHead)
            if of_language and not mean_of_own and self.setup.settings.head_averaging == "server":
                continue  # all heads are the average, and a vocabulary takes long
            weights = None if of_language else local_weights(labels.numpy(), self.setup.class_shares[device])
            own.append(self._emit(step, time_s, name, _GLOBAL, scored(models[name])))
            if weights is not None:
                local.append(self._emit(step, time_s, name, _LOCAL, scored(models[name], weights)))
        if mean_of_own:
            scores = Scores(float(np.mean([s.accuracy for s in own])), float(np.mean([s.loss for s in own])))
        else:
            judged = average if average is not None else self._averaged(models)
            scores = scored(judged)
        final = self._emit(step, time_s, AVERAGE, _GLOBAL, scores)
        return Outcome(
            self.method,
            final.accuracy,
            final.loss,
            float(np.mean([s.accuracy for s in own])) if own else final.accuracy,
            float(np.mean([s.accuracy for s in local])) if local else final.accuracy,
            num_samples=0,
            steps=step,
            time_s=time_s,
        )

    def _averaged(self, models: Mapping[str, Unsplit]) -> Unsplit:
        first = next(iter(models.values()))
        sizes = [len(self.setup.shards[self.names.index(name)]) for name in models]
        head = self.setup.head().to(first.head.dtype)
        head.load_state_dict(weighted_average([dict(model.head.state_dict()) for model in models.values()], sizes))
        embedding = first.embedding
        if self.setup.settings.train_embedding:
            embedding = self.setup.embedding().to(first.head.dtype)
            embedding.load_state_dict(
                weighted_average([dict(m.embedding.state_dict()) for m in models.values()], sizes)
            )
        return Unsplit(embedding, first.encoder, head)

    def _emit(self, step: int, time_s: float, head: str, test_set: str, scores: Scores) -> Scores:
        what = f"the test loss of {self.method} after {step} steps (head: {head})"
        refuse_divergence(scores.loss, what, self.setup.settings.against_divergence)
        self.report(
            EvaluationRecord(
                self.method, step, time_s, head, test_set, scores.accuracy, scores.loss, len(self.setup.test)
            )
        )
        return scores
