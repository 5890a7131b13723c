# SPDX-License-Identifier: GPL-2.0-only
"""Backbones that read images: DINOv2 (M. Oquab et al., arXiv 2304.07193), cut after the embedding of its patches.

    pixels --patches--> [B, 1 + N, F] --ImageEmbedding--> tokens --[up]--> PatchTransformer + LoRA --[down]--> ...

The device holds what the model calls its embeddings: the linear map of patches, the class token and the positions. The
server holds the layers. The first of an image's tokens is the class token, so its row of pixels is empty. Images of a
task have one size, so nothing is ever padded; a mask is followed nevertheless.

Shape suffixes: B batch, N patches, L = 1 + N tokens, F values of a patch (3 channels), D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput

from edgelam.errors import ConfigurationError
from edgelam.models.backbone import Backbone
from edgelam.models.entry import TOLERANCE, TRIAL_SEED, Entry
from edgelam.random_streams import torch_generator

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHANNELS = 3
PIXELS = 112
"""Height and width to which images are scaled, unless something else is said: 8 x 8 patches of 14 x 14 pixels."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as DINOv2 was trained
_TRIAL_SIDE = 2  # patches in a row of a trial


class PatchTransformer(nn.Module):
    """The layers of a Dinov2Model, run on embedded patches as language models are on embedded tokens."""

    def __init__(self, model: Any) -> None:
        """model: a transformers.Dinov2Model, whose parts it takes over."""
        super().__init__()
        self.config = model.config
        self.embeddings: Any = model.embeddings
        self.encoder, self.layernorm = model.encoder, model.layernorm

    def get_input_embeddings(self) -> nn.Module:
        """Return what the devices hold."""
        embeddings: nn.Module = self.embeddings
        return embeddings

    def set_input_embeddings(self, module: nn.Module) -> None:
        """Replace what the devices hold."""
        self.embeddings = module

    def forward(self, inputs_embeds: Tensor, attention_mask: Tensor) -> BaseModelOutput:
        """Embedded patches [B, L, D] with positions, and mask [B, L] -> hidden states [B, L, D], normalised."""
        mask = create_bidirectional_mask(
            config=self.config, inputs_embeds=inputs_embeds, attention_mask=attention_mask
        )  # fmt: skip
        hidden_BLD = self.encoder(inputs_embeds, attention_mask=mask).last_hidden_state
        return BaseModelOutput(last_hidden_state=self.layernorm(hidden_BLD))


@dataclass
class ImageBackbone(Backbone):
    """An image transformer; `model` is a `PatchTransformer`. It has no tokeniser and no table of tokens."""

    @property
    def token_table(self) -> Tensor:
        """The one token that it has beside patches, the class token: [1, D]."""
        model: Any = self.model
        token: Tensor = model.embeddings.cls_token
        return token[0]

    @property
    def max_length(self) -> int | None:
        """Positions are interpolated, so there is no limit."""
        return None

    @property
    def patch(self) -> int:
        """Height and width of a patch in pixels."""
        config: Any = self.model.config
        return int(config.patch_size)

    @cached_property
    def entry(self) -> Entry:
        """How the model runs on embedded patches, after a comparison with the whole model.

        Raises ConfigurationError if the cut model gives other results.
        """
        return _compared(self)

    def side(self, max_tokens: int) -> int:
        """Return how many patches in a row make at most `max_tokens` tokens, with the class token."""
        return max(1, int((max_tokens - 1) ** 0.5))

    def tokens(self, images: Tensor, side: int) -> Tensor:
        """Scale images uint8 [B, height, width(, 3)] to side x side patches and return these, [B, 1 + N, F] float32.

        The first row, of the class token, is zeros.
        """
        pixels_BCHW = prepared(images, side * self.patch)
        patches_BFN = F.unfold(pixels_BCHW, self.patch, stride=self.patch)
        return F.pad(patches_BFN.transpose(1, 2), (0, 0, 1, 0))


class ImageEmbedding(nn.Module):
    """The device's part for images: patches [B, 1 + N, F] -> tokens [B, 1 + N, D] with positions."""

    def __init__(self, backbone: ImageBackbone, side: int) -> None:
        """side: patches in a row; positions are interpolated for them."""
        super().__init__()
        embeddings: Any = backbone.model.get_input_embeddings()
        kernel = embeddings.patch_embeddings.projection
        pixels = side * backbone.patch
        with torch.no_grad():
            empty = kernel.weight.new_zeros(1, 1 + side * side, backbone.width)
            self.positions = nn.Parameter(embeddings.interpolate_pos_encoding(empty, pixels, pixels)[0].clone())
            self.class_token = nn.Parameter(backbone.token_table[0].clone())
            self.linear = nn.Linear(kernel.weight[0].numel(), backbone.width, dtype=kernel.weight.dtype)
            self.linear.weight.copy_(kernel.weight.flatten(1))
            self.linear.bias.copy_(kernel.bias)

    def forward(self, x_BLF: Tensor) -> Tensor:
        """See the class."""
        patches_BND = self.linear(x_BLF[:, 1:].to(self.linear.weight.dtype))
        first_B1D = self.class_token.expand(len(x_BLF), 1, -1)
        return torch.cat([first_B1D, patches_BND], dim=1) + self.positions


def image_backbone(name: str, model: PreTrainedModel, *, pretrained: bool) -> ImageBackbone:
    """Make a backbone of a loaded Dinov2Model."""
    transformer: Any = PatchTransformer(model)
    return ImageBackbone(name, transformer.eval(), None, False, pretrained, "it reads images")


def prepared(images: Tensor, pixels: int = PIXELS) -> Tensor:
    """Images of one size, uint8 [B, height, width(, 3)] -> what DINOv2 takes, float32 [B, 3, pixels, pixels]."""
    colour = images[..., None].expand(*images.shape, CHANNELS) if images.dim() == 3 else images
    x_BCHW = colour.permute(0, 3, 1, 2).float() / 255.0
    x_BCHW = F.interpolate(x_BCHW, (pixels, pixels), mode="bilinear", antialias=True, align_corners=False)
    return (x_BCHW - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_STD)[:, None, None]


@torch.no_grad()
def _compared(backbone: ImageBackbone) -> Entry:
    """Compare the cut model with the model's own way from pixels to hidden states, on random images."""
    model: Any = backbone.model
    generator = torch_generator(TRIAL_SEED)
    pixels = _TRIAL_SIDE * backbone.patch
    images = torch.randint(256, (2, pixels, pixels, CHANNELS), generator=generator, dtype=torch.uint8)
    whole = model.layernorm(model.encoder(model.embeddings(prepared(images, pixels))).last_hidden_state)
    entry = Entry(False, 0, False, hidden_width=backbone.width)
    embedded = ImageEmbedding(backbone, _TRIAL_SIDE)(backbone.tokens(images, _TRIAL_SIDE))
    found = entry.hidden(model, embedded, torch.ones(embedded.shape[:2], dtype=torch.bool))
    error = float((found - whole).abs().max() / whole.square().mean().sqrt())
    if not error <= TOLERANCE:
        raise ConfigurationError(
            f"backbone {backbone.name!r} cut after its patch embedding differs from the whole model by {error:.2g} of "
            "the RMS of its hidden states; legal is a Dinov2Model as transformers saves it"
        )
    return entry
