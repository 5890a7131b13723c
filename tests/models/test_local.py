# SPDX-License-Identifier: GPL-2.0-only
"""A model of the catalogue from a folder of the user's: what is kept, and what is refused."""

import dataclasses
import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from edgelam.errors import ConfigurationError
from edgelam.modalities import pretrained
from edgelam.models import fetch, local
from edgelam.models.catalogue import MODELS, Published

SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A folder with a small DINOv2 as transformers writes it, which is what the catalogue's dinov2-small is here."""
    published = Published("Dinov2Model", {"model_type": "dinov2", "hidden_size": 24}, ("preprocessor_config.json",))
    monkeypatch.setitem(MODELS, "dinov2-small", dataclasses.replace(MODELS["dinov2-small"], published=published))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(1)
    folder = tmp_path / "mine"
    transformers.Dinov2Model(transformers.Dinov2Config(**SIZES)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text("{}")
    return folder


def kept(folder) -> list[str]:
    models = folder.parent / "cache" / "edgelam" / "models"
    return sorted(path.name for path in models.iterdir() if path.name != ".lock") if models.is_dir() else []


def test_a_folder_stands_for_the_model_of_this_name(given):
    (given / "pytorch_model.bin").write_bytes(b"a pickle")
    folder = local.keep("dinov2-small", str(given))
    assert fetch.model_folder("dinov2-small") == folder
    assert fetch.fetch("dinov2-small") == folder  # there is nothing left to fetch
    assert not (folder / "pytorch_model.bin").exists()
    assert json.loads((folder / fetch.RECORD).read_text())["source"]["folder"] == str(given)
    network = pretrained.load("dinov2-small", transformers.Dinov2Model)
    own = transformers.Dinov2Model.from_pretrained(given).state_dict()
    assert all(torch.equal(value, own[name]) for name, value in network.state_dict().items())
    with pytest.raises(ConfigurationError, match="is there already; to replace it, remove"):
        local.keep("dinov2-small", str(given))
    (folder / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(ConfigurationError, match="damaged"):
        fetch.model_folder("dinov2-small")


def other_size(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 48}))


def without_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    weights.pop("layernorm.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def with_a_weight(folder):
    weights = load_file(folder / "model.safetensors") | {"surplus": torch.zeros(1)}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def cut_short(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def only_a_pickle(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")


def without_a_file(folder):
    (folder / "preprocessor_config.json").unlink()


def gone(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_size, r"is not dinov2-small: its config.json gives hidden_size 48; dinov2-small has 24"),
        (without_a_weight, "1 weights are missing.*layernorm.weight"),
        (with_a_weight, "1 weights are missing, unknown.*surplus"),
        (cut_short, "cannot be loaded"),
        (only_a_pickle, "cannot be loaded"),
        (without_a_file, "is not complete: dinov2-small needs preprocessor_config.json"),
        (gone, "neither a folder with config.json nor a model in the hub cache"),
    ],
)
def test_a_folder_that_is_not_the_model_is_refused_and_nothing_kept(given, spoil, message):
    spoil(given)
    with pytest.raises(ConfigurationError, match=message):
        local.keep("dinov2-small", str(given))
    assert kept(given) == []


def test_what_has_no_published_folder_is_refused(given):
    with pytest.raises(ConfigurationError, match="piper-joe comes from its package only; from folders come: dinov2-"):
        local.keep("piper-joe", str(given))
    with pytest.raises(ConfigurationError, match="no model is called 'dinov2-smal'"):
        local.keep("dinov2-smal", str(given))
