# SPDX-License-Identifier: GPL-2.0-only
"""A small language model with random weights and SmolLM2's architecture, for tests without a download."""

import functools

import torch

from edgelam.random_streams import torch_seeded


@functools.cache
def small_llama(*, vocab_size=500, layers=2, spread=0.2):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocab_size, hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, initializer_range=spread,
    )  # fmt: skip
    with torch_seeded(11):
        model = LlamaForCausalLM(config).float().eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert next(model.parameters()).dtype == torch.float32
    return model
