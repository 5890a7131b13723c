# SPDX-License-Identifier: GPL-2.0-only
"""Projectors between modalities and the backbone, of low rank; what is learned of an input projector has a closed form.

An input projector turns an encoder's features into soft tokens of the backbone. It is a product of two matrices: the
first gives a score for each class of the training set (ridge regression, its strength chosen by leave-one-out error);
the second adds up, weighted with a softmax of the scores, the backbone's own embeddings of the words that describe a
class. So a soft token of a picture of a seven is near the embedding of the word "seven".

An output projector turns a hidden state of the backbone into what a decoder is told: the softmax of such scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.modalities.module import Module, taken

SHARPNESS = 12.0
"""Of the softmax of an input projector's scores, which are near 1 for the right class and near 0 for the others."""
STRENGTHS = tuple(10.0**k for k in range(-1, 6))
"""Strengths of ridge regression that are tried."""


class InputProjector(nn.Module):
    """Features [..., F] -> soft tokens [..., tokens, width]: ``up(softmax(12 down(features)))``.

    The softmax keeps a soft token near the embedding of one word: the backbone does not read a mixture of all.
    """

    def __init__(self, features: int, classes: int, tokens: int, width: int) -> None:
        """Make one with random weights."""
        super().__init__()
        self.down = nn.Linear(features, classes)
        self.up = nn.Linear(classes, tokens * width, bias=False)
        self.tokens = tokens

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return self.up(torch.softmax(SHARPNESS * self.down(features), dim=-1)).unflatten(-1, (self.tokens, -1))


class OutputProjector(nn.Module):
    """Hidden states [..., width] -> the share of each class [..., classes], which add up to 1."""

    def __init__(self, width: int, classes: int) -> None:
        """Make one with random weights."""
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, state: Tensor) -> Tensor:
        """See the class."""
        return torch.softmax(self.linear(state), dim=-1)


class ProjectorModule(Module):
    """A projector as a module: ``takes`` float32 [features] -> ``gives`` float32."""

    def __init__(self, name: str, network: InputProjector | OutputProjector, takes: str, gives: str) -> None:
        """network: the projector."""
        self.name, self.network = name, network.eval()
        self.takes, self.gives = (takes,), (gives,)
        first = network.down if isinstance(network, InputProjector) else network.linear
        self.features = first.in_features

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        return {self.gives[0]: self.network(taken(self, inputs, self.takes[0], torch.float32, self.features))}


class PooledProjectorModule(ProjectorModule):
    """An input projector of a sequence, such as states of speech: of the mean over the sequence."""

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``takes`` float32 [length, features] -> ``gives`` float32 [tokens, width]."""
        states = taken(self, inputs, self.takes[0], torch.float32, None, self.features)
        return {self.gives[0]: self.network(states.mean(dim=0))}


def fit_input_projector(
    features: NDArray[np.float32], labels: NDArray[np.int64], words: Tensor
) -> tuple[InputProjector, float]:
    """Fit an input projector; return it with its accuracy on the training samples, each left out once.

    features: [samples, F]; labels: [samples], from 0 to classes - 1; words: [classes, tokens, width], embeddings of
    the words that describe each class.
    """
    from sklearn.linear_model import RidgeCV

    classes, tokens, width = words.shape
    _check(features, labels, classes)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    ridge = RidgeCV(STRENGTHS, scoring="neg_mean_squared_error", store_cv_results=True).fit(
        (features - mean).astype(np.float64) / scale, np.eye(classes)[labels]
    )
    projector = InputProjector(features.shape[1], classes, tokens, width)
    weight = ridge.coef_ / scale
    with torch.no_grad():
        projector.down.weight.copy_(torch.from_numpy(weight))
        projector.down.bias.copy_(torch.from_numpy(ridge.intercept_ - weight @ mean))
        projector.up.weight.copy_(words.reshape(classes, -1).T)
    left_out = ridge.cv_results_[:, :, list(STRENGTHS).index(float(ridge.alpha_))]
    return projector, float((left_out.argmax(axis=1) == labels).mean())


def fit_output_projector(states: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> OutputProjector:
    """Fit an output projector by logistic regression. states: [samples, width]; labels: [samples]."""
    from sklearn.linear_model import LogisticRegression

    _check(states, labels, classes)
    mean, scale = states.mean(axis=0), states.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=0.1, max_iter=1000, tol=1e-6).fit((states - mean).astype(np.float64) / scale, labels)
    projector = OutputProjector(states.shape[1], classes)
    weight = fitted.coef_ / scale
    with torch.no_grad():
        projector.linear.weight.copy_(torch.from_numpy(weight))
        projector.linear.bias.copy_(torch.from_numpy(fitted.intercept_ - weight @ mean))
    return projector


def word_embeddings(table: Tensor, token_ids: Sequence[Sequence[int]]) -> Tensor:
    """Return the rows of a table for each class: [classes, tokens, width]. token_ids: one id for each soft token."""
    return torch.stack([table[torch.tensor(list(ids))] for ids in token_ids])


def _check(features: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
    if len(features) != len(labels) or set(np.unique(labels)) != set(range(classes)):
        raise ConfigurationError(
            f"{len(features)} samples, {len(labels)} labels of {len(np.unique(labels))} classes; every one of the "
            f"{classes} classes needs samples, and every sample a label"
        )
