# SPDX-License-Identifier: GPL-2.0-only
"""Small backbones and tasks, so that every test of the learning takes a second or two."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

from edgelam.models import load_backbone


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT: 2 layers, width 16."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_text_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT of width 16 and the tokeniser of the offline backbone."""
    folder = tmp_path_factory.mktemp("text-bert")
    offline = load_backbone()
    assert offline.tokenizer is not None
    offline.tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(offline.tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random GPT-2: 2 layers, width 16."""
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(2)
    GPT2Model(GPT2Config(vocab_size=64, n_positions=40, n_embd=16, n_layer=2, n_head=2)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_text_gpt2(tiny_text_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random GPT-2 of width 16 and the tokeniser of the offline backbone."""
    folder = tmp_path_factory.mktemp("text-gpt2")
    tokenizer = load_backbone().tokenizer
    assert tokenizer is not None
    tokenizer.save_pretrained(folder)
    torch.manual_seed(4)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=40, n_embd=16, n_layer=2, n_head=2)
    GPT2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NPZ task of continuous tokens: 90 samples, 5 tokens of 3 features, 3 classes that can be told apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    tokens = rng.normal(size=(90, 5, 3)) + 2.0 * np.eye(3)[labels][:, None, :]
    path = tmp_path_factory.mktemp("task") / "tokens.npz"
    np.savez(path, tokens=tokens, labels=labels)
    return path
