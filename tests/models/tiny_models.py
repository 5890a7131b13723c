# SPDX-License-Identifier: GPL-2.0-only
"""Small models of many architectures at random weights, by the names transformers gives them."""

from pathlib import Path
from typing import Any

import torch
import transformers

VOCABULARY = 96
CORE = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = {**CORE, "intermediate_size": 64, "max_position_embeddings": 64}
LLAMA = {**TEXT, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DECODER = {**LLAMA, "sliding_window": 16}

# model -> configuration
SAME: dict[str, dict[str, Any]] = {
    # number positions from 0, behind a padding index, by none
    "Bert": TEXT,
    "DistilBert": {"vocab_size": 96, "max_position_embeddings": 64, "dim": 32, "n_layers": 2, "n_heads": 4},
    "Roberta": {**TEXT, "pad_token_id": 1}, "MPNet": {**TEXT, "pad_token_id": 1}, "Camembert": TEXT,
    "DebertaV2": {**TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, "ModernBert": {**LLAMA},
    "RoFormer": TEXT, "BigBird": TEXT, "Longformer": {**TEXT, "pad_token_id": 1, "attention_window": [8, 8]},
    # embeddings narrower than hidden states
    "Albert": {**TEXT, "embedding_size": 16}, "Electra": {**TEXT, "embedding_size": 16},
    "RemBert": {**TEXT, "input_embedding_size": 16},
    "OPT": {**CORE, "ffn_dim": 64, "word_embed_proj_dim": 16, "max_position_embeddings": 64},
    # decoder-only
    "GPT2": {"vocab_size": 96, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4},
    "GPTNeoX": TEXT, "Bloom": {"vocab_size": 96, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "Phi": LLAMA,
    "Llama": LLAMA, "Mistral": DECODER, "Qwen2": DECODER, "Gemma": LLAMA, "Gemma2": DECODER, "Gemma3Text": DECODER,
    "Mamba": {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    # the encoder of an encoder-decoder
    "T5Encoder": {"vocab_size": 96, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
}  # fmt: skip
OTHER: dict[str, tuple[dict[str, Any], str]] = {
    # padding reaches the tokens beside it
    "FNet": (TEXT, "padding or neighbours"),
    "ConvBert": ({**TEXT, "embedding_size": 32}, "padding or neighbours"),
    "Nystromformer": ({**TEXT, "num_landmarks": 8, "segment_means_seq_len": 8, "conv_kernel_size": 3}, "padding or"),
    "Yoso": ({**TEXT, "use_expectation": True}, "padding or neighbours"),
    # embeddings that are given are taken for embeddings with positions
    "Esm": ({**TEXT, "pad_token_id": 1, "mask_token_id": 4}, "without padding"),
    # zeros where its CUDA kernels are not there
    "Mra": ({**TEXT, "max_position_embeddings": 256}, "it has no attention"),
    "T5": ({"vocab_size": 96, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}, "encoder-decod"),
    "Canine": ({**CORE, "intermediate_size": 64}, "cannot be cut"),
}


def save(name: str, settings: dict[str, Any], folder: Path) -> Path:
    """Make the folder of a model: NAMEModel of a NAMEConfig with these settings, weights of a fixed seed."""
    torch.manual_seed(3)
    config = getattr(transformers, f"{name.removesuffix('Encoder')}Config")(**settings)
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
    return folder


CAUSAL = {"OPT", "GPT2", "GPTNeoX", "Bloom", "Phi", "Llama", "Mistral", "Qwen2", "Gemma", "Gemma2", "Gemma3Text",
          "Mamba"}  # fmt: skip
UNBOUNDED = {"Bloom", "Mamba", "T5Encoder"}
FROM_TWO = {"Roberta", "MPNet", "Camembert", "Longformer"}
