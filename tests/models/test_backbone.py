# SPDX-License-Identifier: GPL-2.0-only
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, T5Config, T5Model, ViTConfig, ViTModel

from edgelam.errors import ConfigurationError
from edgelam.models import Encoder, LoraSettings, check_backbone, embedding_module, load_backbone


def test_the_offline_backbone_is_pretrained() -> None:
    backbone = load_backbone()
    assert (backbone.width, backbone.max_length, backbone.causal, backbone.pretrained) == (384, 512, False, True)
    assert backbone.tokenizer is not None

    def similarity(one: str, other: str) -> float:
        batch = backbone.tokenizer([one, other], padding=True, return_tensors="pt")  # type: ignore[misc]
        mask = batch["attention_mask"][..., None]
        pooled = (backbone.model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
        return float(torch.cosine_similarity(pooled[0], pooled[1], dim=0))

    # what sentence embeddings are trained for: only right weights do this
    assert similarity("A dog barks.", "A puppy is barking.") > similarity("A dog barks.", "Interest rates fell.") + 0.3


def test_random_weights_are_seeded_and_asked_for() -> None:
    one, same, other = (load_backbone(pretrained=False, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.token_table, same.token_table)
    assert not torch.equal(one.token_table, other.token_table)
    assert not torch.equal(one.token_table, load_backbone().token_table)
    assert not one.pretrained
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    load_backbone(pretrained=False, seed=1)
    assert torch.equal(torch.rand(1), before), "loading draws nothing from the global generator"


def test_absent_backbone_names_the_offline_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, fault in (
        ("nobody/has-this-model", "neither a local model folder nor in the hub cache"),
        ("./no-such-folder", "neither a local model folder nor in the hub cache"),
        (str(tmp_path), "is a folder that holds no model"),
        (str(tmp_path / "file"), "is a file"),
    ):
        with pytest.raises(ConfigurationError, match=f"{fault}.*minilm"):
            load_backbone(name)
        with pytest.raises(ConfigurationError, match=f"{fault}.*minilm"):
            check_backbone(name)


def test_what_can_be_loaded_is_not_refused_before(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    for name in ("minilm", str(tmp_path)):
        check_backbone(name)


def test_missing_weights_are_never_filled_at_random(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    weights.pop(next(name for name in weights if "attention" in name))
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match="lack 1 weights"):
        load_backbone(tmp_path)
    for damaged in (file.read_bytes()[:900], b""):
        file.write_bytes(damaged)
        with pytest.raises(ConfigurationError, match="cannot be loaded"):
            load_backbone(tmp_path)
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load_backbone(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"hi")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load_backbone(tmp_path)
    assert load_backbone(tmp_path, pretrained=False).width == 8


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    T5Model(T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)).save_pretrained(
        tmp_path / "t5"
    )
    with pytest.raises(ConfigurationError, match="encoder-decoder"):
        load_backbone(tmp_path / "t5")
    vit = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=8, patch_size=4
    )
    ViTModel(vit).save_pretrained(tmp_path / "vit")
    with pytest.raises(ConfigurationError, match="inputs_embeds"):
        load_backbone(tmp_path / "vit")


def test_a_text_task_needs_a_tokeniser(gpt2: Path) -> None:
    backbone = load_backbone(gpt2)
    assert backbone.tokenizer is None
    with pytest.raises(ConfigurationError, match="no tokeniser"):
        embedding_module(backbone, None, trainable=False)


def test_a_tokeniser_of_another_model_is_refused(gpt2: Path, tmp_path: Path) -> None:
    shutil.copytree(gpt2, tmp_path / "mixed")
    load_backbone().tokenizer.save_pretrained(tmp_path / "mixed")  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError, match="30522 tokens but the model embeds only 40"):
        embedding_module(load_backbone(tmp_path / "mixed"), None, trainable=False)


def test_lora_settings_are_checked(gpt2: Path) -> None:
    for values, message in (
        ({"rank": 0}, "rank is 0"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"dropout": 1.0}, "dropout is 1"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            LoraSettings(**values)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="c_attn"):
        Encoder(load_backbone(gpt2), LoraSettings(targets=("query",)))
    chosen = Encoder(load_backbone(gpt2), LoraSettings(targets=("c_proj",)))
    assert all("c_proj" in name for name in chosen.lora)


def test_a_damaged_config_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-architecture"}))
    with pytest.raises(ConfigurationError, match="minilm"):
        load_backbone(tmp_path)
