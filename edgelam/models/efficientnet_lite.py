# SPDX-License-Identifier: GPL-2.0-only
"""EfficientNet-Lite, convolutional image classifiers of several sizes, without squeeze-and-excitation and with ReLU6.

Source: M. Tan and Q. Le, EfficientNet, ICML 2019 (arXiv 1905.11946, table 1 and section 3.3), and the variants "Lite"
of its authors: the stem, the head, the first and the last stage are not scaled.

Shape suffixes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.files import read_json

CLASSES = 1000  # of ImageNet
_STEM, _HEAD = 32, 1280
_EPSILON = 1e-3  # of batch normalisation


class Size(NamedTuple):
    """How a variant is scaled relative to lite0."""

    width: float
    depth: float
    pixels: int
    """Height and width of the input image."""


SIZES = {
    "lite0": Size(1.0, 1.0, 224),
    "lite1": Size(1.0, 1.1, 240),
    "lite2": Size(1.1, 1.2, 260),
    "lite3": Size(1.2, 1.4, 280),
    "lite4": Size(1.4, 1.8, 300),
}


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class EfficientNetLite(nn.Module):
    """Images [B, 3, H, W], float32, as `preprocess` makes them -> logits [B, 1000] of the ImageNet classes.

    A cut is after ``stages[i]``; `stem`, `stages` and `head` in this order are the whole model.
    """

    def __init__(self, size: str = "lite0") -> None:
        """Make a model with random weights. size: a key of SIZES. Raises ConfigurationError for another one."""
        super().__init__()
        if size not in SIZES:
            raise ConfigurationError(f"size = {size!r}; legal are {', '.join(SIZES)}")
        self.size = size
        self.repeats: list[int] = []
        """Number of blocks of each stage."""
        width, depth, _ = SIZES[size]
        self.stem = _Convolution(3, _STEM, 3, stride=2)
        stages, channels = [], _STEM
        for i, stage in enumerate(_STAGES):
            fixed = i in (0, len(_STAGES) - 1)
            repeats = stage.repeats if fixed else math.ceil(depth * stage.repeats)
            self.repeats.append(repeats)
            blocks = []
            for repeat in range(repeats):
                out = _scaled(stage.channels, width)
                blocks.append(
                    _InvertedResidual(channels, out, stage.kernel, stage.stride if repeat == 0 else 1, stage.expansion)
                )
                channels = out
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = _Convolution(channels, _HEAD, 1)
        self.classifier = nn.Linear(_HEAD, CLASSES)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the logits; see the class."""
        x_BCHW = self.stem(x_BCHW)
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        return self.classify(x_BCHW)

    def classify(self, x_BCHW: Tensor) -> Tensor:
        """Turn the output of the last stage into logits."""
        logits: Tensor = self.classifier(self.head(x_BCHW).mean((2, 3)))
        return logits


def preprocess(image_BCHW: Tensor, size: str = "lite0") -> Tensor:
    """Turn images [B, 3, H, W] of 0 to 255 into model input: scaled bilinearly to its size, (value - 127) / 128."""
    pixels = SIZES[size].pixels
    image = F.interpolate(image_BCHW.float(), (pixels, pixels), mode="bilinear", antialias=True)
    return (image - 127.0) / 128.0


def save(model: EfficientNetLite, folder: Path, state: dict[str, Tensor]) -> None:
    """Write ``config.json`` and ``model.safetensors`` of `state`, after it was loaded into `model`, strictly."""
    model.load_state_dict(state)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    config = {"model_type": "efficientnet-lite", "size": model.size}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path) -> EfficientNetLite:
    """Read what `save` wrote, in evaluation mode. Raises ConfigurationError if the folder holds something else."""
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or config.get("model_type") != "efficientnet-lite":
        raise ConfigurationError(f"{folder}: config.json does not describe an efficientnet-lite")
    model = EfficientNetLite(str(config.get("size")))
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except Exception as error:  # a damaged file may raise anything
        raise ConfigurationError(f"{folder}: its weights cannot be loaded ({str(error).splitlines()[0]})") from None
    return model.eval()


class _Convolution(nn.Module):
    """Convolution with the padding "same" of TensorFlow, batch normalisation, ReLU6 if `active`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.active = kernel, stride, active
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.normalisation = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.kernel > 1:  # with stride 2, both sides differ, which PyTorch's own padding cannot do
            down, across = (self._padding(length) for length in x_BCHW.shape[2:])
            x_BCHW = F.pad(x_BCHW, (across // 2, across - across // 2, down // 2, down - down // 2))
        x_BCHW = self.normalisation(self.convolution(x_BCHW))
        return F.relu6(x_BCHW) if self.active else x_BCHW

    def _padding(self, length: int) -> int:
        outputs = -(-length // self.stride)
        return max((outputs - 1) * self.stride + self.kernel - length, 0)


class _InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = _Convolution(inputs, inner, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _Convolution(inner, inner, kernel, stride=stride, groups=inner)
        self.project = _Convolution(inner, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.project(self.depthwise(self.expand(x_BCHW)))
        return x_BCHW + y_BCHW if self.residual else y_BCHW


def _scaled(channels: int, width: float) -> int:
    """Scale to a multiple of 8, at most 10 % less than requested."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * width else rounded
