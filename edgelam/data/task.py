# SPDX-License-Identifier: GPL-2.0-only
"""The class of all learning tasks, and `load_task`, which finds a task by name or reads it from a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgelam.errors import ConfigurationError
from edgelam.random_streams import from_numbers

Kind = Literal["text", "tokens", "images"]
FETCHED = {"mnist-5000": "mnist-5000", "basic-motions": "basic-motions", "accelerometer": "basic-motions",
           "gyroscope": "basic-motions"}  # fmt: skip
"""Tasks whose data `edgelam models fetch` brings, by this name."""
BUILT_IN = ("ns3-comments", "digits", *FETCHED)


@dataclass(frozen=True)
class Examples:
    """Samples and their labels.

    inputs: a list of strings (kind "text"), an array [num_samples, num_tokens, num_features] float32 (kind "tokens") or
    [num_samples, height, width] uint8 (kind "images"); labels: [num_samples] int64, each in [0, num_classes).
    """

    inputs: Sequence[str] | NDArray[np.float32] | NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Refuse inputs and labels of different number."""
        if len(self.inputs) != len(self.labels):
            raise ConfigurationError(f"{len(self.inputs)} inputs but {len(self.labels)} labels")

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def subset(self, indices: NDArray[np.int64] | Sequence[int]) -> "Examples":
        """Return the samples at `indices` ([num_chosen] int), in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        if isinstance(self.inputs, np.ndarray):
            return Examples(self.inputs[chosen], self.labels[chosen])
        return Examples([self.inputs[i] for i in chosen], self.labels[chosen])


@dataclass(frozen=True)
class Task:
    """A classification task with a fixed training and test set.

    kind "text": inputs are strings, tokenised by the backbone's own tokeniser; kind "tokens": inputs are continuous
    tokens [num_tokens, num_features], brought to the backbone's width by a linear embedding on the device; kind
    "images": inputs are images of one size, cut into patches as the backbone embeds them.
    """

    name: str
    kind: Kind
    train: Examples
    test: Examples
    label_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.label_names)

    @property
    def token_shape(self) -> tuple[int, int] | None:
        """(num_tokens, num_features) of a continuous-token task; None for text and images."""
        if self.kind == "tokens" and isinstance(self.train.inputs, np.ndarray):
            return int(self.train.inputs.shape[1]), int(self.train.inputs.shape[2])
        return None

    def __post_init__(self) -> None:
        """Refuse an empty part, labels out of range, and a training set of one class."""
        for part, examples in (("training", self.train), ("test", self.test)):
            if len(examples) == 0:
                raise ConfigurationError(f"task {self.name!r}: the {part} set is empty")
            low, high = int(examples.labels.min()), int(examples.labels.max())
            if low < 0 or high >= self.num_classes:
                raise ConfigurationError(
                    f"task {self.name!r}: {part} labels span {low}..{high}, legal is 0..{self.num_classes - 1}"
                )
        if len(np.unique(self.train.labels)) < 2:
            raise ConfigurationError(
                f"task {self.name!r}: the training set has only one class; at least two are needed"
            )


def load_task(name_or_path: str | Path, *, test_fraction: float = 0.2, seed: int = 0, as_images: bool = False) -> Task:
    """Load one of BUILT_IN, or a user's .csv, .parquet or .npz file.

    test_fraction in (0, 1) and seed decide the split of "digits" and of user files without a `split` column; the
    split of "ns3-comments" is fixed by a hash of each text, and those of fetched tasks are fixed. as_images: for a
    backbone that reads images. Raises ConfigurationError, which says what is wrong with a file, or that a task has no
    images or was not fetched.
    """
    from edgelam.data import images, motions, ns3_comments, user_files

    check_task(name_or_path)
    if not 0.0 < test_fraction < 1.0:
        raise ConfigurationError(f"test_fraction is {test_fraction}; it must be between 0 and 1 (exclusive)")
    if name_or_path in images.NAMES:
        return images.load(str(name_or_path), as_images=as_images, test_fraction=test_fraction, seed=seed)
    if as_images:
        raise ConfigurationError(
            f"task {str(name_or_path)!r} has no images, and the backbone reads nothing else; legal are "
            f"{', '.join(images.NAMES)}, or a backbone of text"
        )
    if name_or_path == "ns3-comments":
        return ns3_comments.load()
    if name_or_path in motions.CHANNELS:
        return motions.load(str(name_or_path))
    return user_files.load(Path(name_or_path), test_fraction=test_fraction, seed=seed)


def check_task(name_or_path: str | Path) -> None:
    """Raise ConfigurationError if this is neither a built-in task that is there nor a file that could hold one."""
    from edgelam.data import user_files
    from edgelam.models.fetch import model_folder

    if name_or_path in FETCHED:
        model_folder(FETCHED[str(name_or_path)])
    if name_or_path in BUILT_IN:
        return
    path = Path(name_or_path)
    if path.suffix.lower() not in user_files.SUFFIXES:
        raise ConfigurationError(
            f"no task {str(name_or_path)!r}: built in are {', '.join(BUILT_IN)}; "
            f"a file of your own must end in {', '.join(user_files.SUFFIXES)}"
        )
    if not path.is_file():
        raise ConfigurationError(f"{path}: {'this is a folder' if path.is_dir() else 'no such file'}")


def split_train_test(
    labels: NDArray[np.int64], test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices (train, test), stratified: every class with two or more samples appears in both.

    labels: [num_samples] int64. A class with a single sample stays in the training set.
    """
    rng = from_numbers(seed)
    train: list[int] = []
    test: list[int] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        num_test = 0 if len(members) < 2 else min(max(1, round(test_fraction * len(members))), len(members) - 1)
        test.extend(members[:num_test].tolist())
        train.extend(members[num_test:].tolist())
    return np.sort(np.array(train, dtype=np.int64)), np.sort(np.array(test, dtype=np.int64))
