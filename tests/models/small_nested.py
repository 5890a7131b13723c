# SPDX-License-Identifier: GPL-2.0-only
"""Small nested models of random weights, with exits that give answers."""

import torch
from transformers import BertConfig, BertModel, Dinov2Config, Dinov2Model

from edgelam.models.nested import of_bert, of_dinov2

VOCABULARY, CLASSES, TOKENS = 90, 5, 12


def bert(layers=4):
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=32,
    )  # fmt: skip
    return BertModel(config, add_pooling_layer=False).eval()


def dinov2(layers=2):
    torch.manual_seed(4)
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, mlp_ratio=2, image_size=56, patch_size=14,
        layerscale_value=0.7,
    )  # fmt: skip
    return Dinov2Model(config).eval()


def with_answers(nested):
    """Draw the exits' heads, so that logits differ."""
    torch.manual_seed(5)
    for depth in nested.shape.exits:
        nested.parts[f"exit {depth}"]["head"].data.normal_()
    return nested.eval()


def text(layers=4, exits=(2, 4), shares=((1, 16), (3, 40), (4, 48))):
    return with_answers(of_bert(bert(layers), CLASSES, exits, shares, TOKENS))


def images():
    return with_answers(of_dinov2(dinov2(), CLASSES, (1, 2), ((2, 32), (4, 64)), 28))


def ids(count=3, length=TOKENS):
    torch.manual_seed(6)
    mask = torch.ones(count, length, dtype=torch.bool)
    mask[0, length - 4 :] = False
    return torch.randint(VOCABULARY, (count, length)), mask
