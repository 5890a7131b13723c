# SPDX-License-Identifier: GPL-2.0-only
"""Tiny backbones with random weights, one of each kind, saved as transformers saves its own."""

from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    RobertaConfig,
    RobertaModel,
)


def _save(kind: str, folder: Path) -> Path:
    torch.manual_seed(1)
    small = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    wide = {**small, "intermediate_size": 32, "max_position_embeddings": 34}
    if kind == "bert":
        model = BertModel(BertConfig(**wide), add_pooling_layer=False)
    elif kind == "roberta":
        model = RobertaModel(RobertaConfig(**wide, type_vocab_size=1), add_pooling_layer=False)
    elif kind == "llama":
        model = LlamaModel(LlamaConfig(**wide, num_key_value_heads=1))
    else:
        model = GPT2Model(GPT2Config(vocab_size=40, n_positions=34, n_embd=16, n_layer=2, n_head=2))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=["bert", "roberta", "gpt2", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of every kind in turn."""
    return _save(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a GPT-2."""
    return _save("gpt2", tmp_path_factory.mktemp("gpt2"))
