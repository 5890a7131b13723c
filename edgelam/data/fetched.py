# SPDX-License-Identifier: GPL-2.0-only
"""Data that `edgelam models fetch` brings: images of digits, and series of sensors."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from edgelam.errors import ConfigurationError
from edgelam.models.fetch import model_folder
from edgelam.random_streams import derive_seed, from_numbers

Part = Literal["train", "test"]

ACTIVITIES = ("standing", "running", "walking", "playing badminton")
"""Of BasicMotions, in the order of their numbers."""
_TRAINING_IMAGES = 4000


def mnist(part: Part, count: int, *, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images of MNIST [count, 28, 28] and their digits [count], drawn from the training or the test part.

    Which images are in which part is fixed: 4,000 and 1,000. seed: which of them, and in which order.
    """
    data = load_file(model_folder("mnist-5000") / "data.safetensors")
    order = from_numbers(derive_seed(0, "training and test images of mnist-5000")).permutation(len(data["labels"]))
    mine = order[:_TRAINING_IMAGES] if part == "train" else order[_TRAINING_IMAGES:]
    if not 1 <= count <= len(mine):
        raise ConfigurationError(f"{count} images; legal are 1 to {len(mine)} of the {part} part")
    chosen = mine[from_numbers(derive_seed(seed, f"images of the {part} part")).permutation(len(mine))[:count]]
    return data["images"][chosen], data["labels"][chosen]


def motions(part: Part) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return BasicMotions' series [40, 100, 6], ten samples per second, and the numbers of their activities [40].

    The channels are a smart watch's accelerometer (3) and gyroscope (3).
    """
    data = load_file(model_folder("basic-motions") / "data.safetensors")
    return data[f"{part} series"], data[f"{part} labels"]
