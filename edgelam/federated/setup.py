# SPDX-License-Identifier: GPL-2.0-only
"""Makes tensors from settings: the task, the backbone, and each device's shard. All methods of a run share them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from edgelam.data import Examples, Task, load_task, split_dirichlet, split_iid
from edgelam.errors import ConfigurationError
from edgelam.federated.private import within_budget
from edgelam.federated.samples import Samples, Shard
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.learning.course import Course
from edgelam.learning.rounds import Rounds
from edgelam.models import Backbone, Encoder, Head, LanguageHead, Unsplit, embedding_module, load_backbone
from edgelam.models.frozen import round_backbone
from edgelam.models.images import ImageBackbone, ImageEmbedding
from edgelam.random_streams import Stream, derive_seed, from_numbers, numbered


@dataclass(frozen=True)
class Setup:
    """What all methods of one run share.

    shards: one for each device; class_shares: [num_devices, num_classes] float64, the class shares of each shard;
    parts: the samples of each device as indices of the training set; test_examples, test: the samples evaluated on,
    raw and tokenised.
    """

    settings: SplitFedFTSettings
    seed: int
    task: Task
    backbone: Backbone
    parts: tuple[NDArray[np.int64], ...]
    shards: tuple[Shard, ...]
    class_shares: NDArray[np.float64]
    test_examples: Examples
    test: Samples
    course: Course = field(default_factory=Course)
    """Where a run begins, and where it is put aside; by default at round 0, and nowhere."""

    def encoder(self) -> Encoder:
        """Return a new encoder with new adapters; the values are the same in every call."""
        settings = self.settings
        return Encoder(
            self.backbone, settings.lora, cut=settings.cut, pooling=settings.pooling, seed=self.seed,
            tuning=settings.tuning,
        )  # fmt: skip

    def head(self) -> Head | LanguageHead:
        """Return a new task head; the values are the same in every call.

        Raises ConfigurationError if the backbone cannot do the objective.
        """
        if self.settings.objective == "contrastive":
            raise ConfigurationError("objective contrastive is known to method split-fedft alone; legal is that method")
        if self.settings.objective == "next-token":
            return LanguageHead(self.backbone)
        return Head(self.backbone, self.task.num_classes, cut=self.settings.cut, pooling=self.settings.pooling)

    def embedding(self) -> torch.nn.Module:
        """Return a new embedding module; the values are the same in every call."""
        settings, shape = self.settings, self.task.token_shape
        if isinstance(self.backbone, ImageBackbone):
            module = ImageEmbedding(self.backbone, self.backbone.side(settings.max_tokens))
            return module.requires_grad_(settings.train_embedding)
        return embedding_module(
            self.backbone,
            shape[1] if shape else None,
            trainable=settings.train_embedding,
            seed=self.seed,
        )

    def rounds(self, count: int) -> Rounds:
        """Return the first `count` rounds, without those of an earlier run that goes on here; the settings decide who
        takes part and how long the server waits."""
        settings, numbers = self.settings, range(self.course.first, count)
        return Rounds(
            numbers, settings.participation, settings.round_deadline_s, settings.stragglers, seed=self.seed
        )  # fmt: skip

    def unsplit(self) -> Unsplit:
        """Return the three parts in one model."""
        return Unsplit(self.embedding(), self.encoder(), self.head())


def prepare(settings: SplitFedFTSettings, seed: int) -> Setup:
    """Load the task and the backbone, divide the training set among the devices, tokenise. This takes only wall time.

    A privacy budget decides the noise, or the number of rounds, of the returned settings.

    Raises ConfigurationError if the task or the backbone is missing or does not fit, or if nothing meets the budget.
    """
    backbone = load_backbone(settings.backbone, pretrained=settings.weights == "pretrained", seed=seed)
    task = load_task(
        settings.task, test_fraction=settings.test_fraction, seed=seed, as_images=isinstance(backbone, ImageBackbone)
    )
    round_backbone(backbone, settings.frozen_weights)
    if settings.objective == "next-token":
        if task.kind != "text":
            raise ConfigurationError(
                f"objective next-token with task {task.name!r}, which has no tokens of a vocabulary; legal are texts"
            )
        LanguageHead(backbone)
    rng = numbered(Stream.PARTITION, seed)
    if settings.partition == "iid":
        parts = split_iid(len(task.train), settings.num_devices, rng)
    else:
        parts = split_dirichlet(task.train.labels, settings.num_devices, settings.alpha, rng)
    if settings.labels_per_device:
        parts = [_few(part, settings.labels_per_device, seed, device) for device, part in enumerate(parts)]
    return assembled(settings, seed, task, backbone, parts)


def assembled(
    settings: SplitFedFTSettings, seed: int, task: Task, backbone: Backbone, parts: Sequence[NDArray[np.int64]]
) -> Setup:
    """Return the setup of a task whose training samples are divided like this. The order of a device's samples, and
    which test samples are used, depend on the seed and the numbers of samples alone."""
    shards = tuple(
        Shard(
            Samples(task.train.subset(part), backbone, settings.max_tokens),
            batch_size=settings.batch_size,
            accumulation=settings.accumulation,
            seed=(Stream.SAMPLE_ORDER, seed, device),
        )
        for device, part in enumerate(parts)
    )
    test = task.test
    if 0 < settings.test_samples < len(test):
        chosen = numbered(Stream.TEST_SAMPLES, seed).choice(len(test), settings.test_samples, replace=False)
        test = test.subset(np.sort(chosen))
    counts = np.stack([np.bincount(task.train.labels[part], minlength=task.num_classes) for part in parts])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return Setup(
        within_budget(settings, shards),
        seed,
        task,
        backbone,
        tuple(parts),
        shards,
        shares,
        test,
        Samples(test, backbone, settings.max_tokens),
    )


def _few(part: NDArray[np.int64], count: int, seed: int, device: int) -> NDArray[np.int64]:
    """Return so many samples of a device's part, or all of them if it has fewer."""
    if count >= len(part):
        return part
    return np.sort(from_numbers(derive_seed(seed, f"labelled samples of device {device}")).choice(part, count, False))
