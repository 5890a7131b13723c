# SPDX-License-Identifier: GPL-2.0-only
"""Part cnn: EfficientNet-Lite0 in bit planes, which has no trained depths and widths.

Its ImageNet accuracy cannot be measured without ImageNet. So the quality is how often its answer to crops of photos is
that of the model in float32, and the accuracy of a linear probe: logistic regression from its features to digits.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from edgelam.data.fetched import mnist
from edgelam.downloading.lattice import BITS, GROUP
from edgelam.modalities.trained import one_thread
from edgelam.models.efficientnet_lite import EfficientNetLite, load, preprocess
from edgelam.models.fetch import model_folder
from edgelam.models.nested.bit_planes import plane_bytes, rounded
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.runs import RunFolder

from .config import Config

MODEL = "efficientnet-lite0"
CNN = {"bits": int, "megabytes": float, "samples": int, "agreement": float, "probe_accuracy": float}
"""One row a number of bits; 32: float32, as it was fetched."""
PIXELS, TRAINING, TEST, CROPS, BATCH = 112, 400, 300, 60, 20


def check() -> None:
    """Raise ConfigurationError, with the command that helps, if the model or the digits were not fetched."""
    for name in (MODEL, "mnist-5000"):
        model_folder(name)


@torch.no_grad()
def run(config: Config, folder: RunFolder) -> None:
    """Measure all numbers of bits."""
    whole = load(model_folder(MODEL))
    photos = _crops(config.seed)
    train, test = (mnist(part, count, seed=config.seed) for part, count in (("train", TRAINING), ("test", TEST)))  # type: ignore[arg-type]
    with one_thread():
        expected = _answers(whole, photos)
        for bits in (*BITS, 32):
            model, size = in_bits(whole, bits)
            folder.table("cnn", CNN).append(
                {"bits": bits, "megabytes": size / 1e6, "samples": len(photos),
                 "agreement": float((_answers(model, photos) == expected).float().mean()),
                 "probe_accuracy": _probe(model, train, test)}
            )  # fmt: skip


def in_bits(whole: EfficientNetLite, bits: int) -> tuple[EfficientNetLite, int]:
    """Return the model with the first planes of its kernels, and the bytes of these and of everything else (16-bit
    floats); 32: as it is."""
    if bits == 32:
        return whole, sum(4 * p.numel() for p in whole.parameters())
    model, size = copy.deepcopy(whole), 0
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data = rounded(parameter.data, bits, GROUP)
            rows, columns = len(parameter), parameter[0].numel()
            size += bits * plane_bytes(parameter.numel()) + 2 * rows * -(-columns // GROUP)
        else:
            parameter.data = parameter.data.half().float()
            size += 2 * parameter.numel()
    return model, size


def _answers(model: EfficientNetLite, images: Tensor) -> Tensor:
    return torch.cat([model(images[i : i + BATCH]).argmax(dim=1) for i in range(0, len(images), BATCH)])


def _features(model: EfficientNetLite, images: np.ndarray) -> np.ndarray:
    """Images uint8 [images, 28, 28] -> features [images, width of the last stage]."""
    found = []
    for i in range(0, len(images), BATCH):
        x_BCHW = torch.from_numpy(images[i : i + BATCH])[:, None].expand(-1, 3, -1, -1).float()
        x_BCHW = torch.nn.functional.interpolate(x_BCHW, (PIXELS, PIXELS), mode="bilinear", antialias=True)
        x_BCHW = model.stem((x_BCHW - 127.0) / 128.0)
        for stage in model.stages:
            x_BCHW = stage(x_BCHW)
        found.append(model.head(x_BCHW).mean((2, 3)))
    return torch.cat(found).numpy()


def _probe(model: EfficientNetLite, train: tuple, test: tuple) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1))
    probe.fit(_features(model, train[0]), train[1])
    return float((probe.predict(_features(model, test[0])) == test[1]).mean())


def _crops(seed: int) -> Tensor:
    """Return crops of scikit-learn's two photos, as the model takes them."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    draw = from_numbers(derive_seed(seed, "photos of model_downloading"))
    found = []
    for _ in range(CROPS):
        photo = torch.from_numpy(photos[draw.integers(len(photos))].copy())
        side = int(draw.integers(100, 224))
        top, left = (int(draw.integers(length - side)) for length in photo.shape[:2])
        found.append(preprocess(photo[top : top + side, left : left + side].permute(2, 0, 1)[None]))
    return torch.cat(found)
