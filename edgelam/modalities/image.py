# SPDX-License-Identifier: GPL-2.0-only
"""Images to features: DINOv2 ViT-S/14 (M. Oquab et al., arXiv 2304.07193)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.modalities import pretrained
from edgelam.modalities.module import Module
from edgelam.models.images import PIXELS, prepared

FEATURES = 768


class ImageEncoder(Module):
    """``image`` uint8 [height, width] or [height, width, 3] -> ``image_features`` float32 [768].

    The image is scaled to 112 x 112 pixels. The features are the class token and the mean of the patches' tokens, 384
    numbers each.
    """

    takes = ("image",)
    gives = ("image_features",)

    def __init__(self, *, random_seed: int | None = None) -> None:
        """Load DINOv2-small. random_seed: with random weights instead, as a control."""
        from transformers import Dinov2Model

        self.name = "dinov2-small"
        self.network = pretrained.load("dinov2-small", Dinov2Model, random_seed=random_seed)

    @property
    def settings(self) -> str:
        """Size of the input."""
        return f"{type(self).__qualname__} {PIXELS}"

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        image = inputs.get("image", torch.empty(0))
        if image.dtype != torch.uint8 or image.dim() not in (2, 3) or image.shape[2:] not in ((), (3,)):
            raise ConfigurationError(
                f"module {self.name!r}: 'image' is {image.dtype} {list(image.shape)}; legal is torch.uint8 "
                "[height, width] or [height, width, 3]"
            )
        if image.numel() == 0:
            raise ConfigurationError(f"module {self.name!r}: 'image' has no pixels")
        return {"image_features": self.encode(image[None])[0]}

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images of one size, uint8 [images, height, width(, 3)] -> features [images, 768]."""
        tokens_BLD = self.network(prepared(images)).last_hidden_state
        return torch.cat([tokens_BLD[:, 0], tokens_BLD[:, 1:].mean(dim=1)], dim=1)
