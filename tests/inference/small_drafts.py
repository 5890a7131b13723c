# SPDX-License-Identifier: GPL-2.0-only
"""A small language model with random weights, and a draft that is the same with noise in its weights."""

import copy
import functools

import torch
import transformers

from edgelam.inference.speculative import CachedModel
from edgelam.random_streams import torch_generator, torch_seeded

PROMPT = [5, 9, 3, 7]


@functools.cache
def networks():
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.3,
    )  # fmt: skip
    with torch_seeded(1):
        target = transformers.LlamaModel(config).double().eval()
    draft = copy.deepcopy(target)
    generator = torch_generator(7)
    with torch.no_grad():
        for weight in draft.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator, dtype=torch.float64), alpha=0.03)
    return draft, target


def pair(kind=CachedModel):
    """Draft and target."""
    return tuple(kind(model, lambda hidden, model=model: 2 * hidden @ model.embed_tokens.weight.T)
                 for model in networks())  # fmt: skip
