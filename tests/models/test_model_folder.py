# SPDX-License-Identifier: GPL-2.0-only
"""What a model folder may do: bring weights and a tokeniser. What else it asks for is refused, and nothing is run."""

import json
import pickle
import resource
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertModel

from edgelam.errors import ConfigurationError
from edgelam.models import Encoder, LoraSettings, backbone_size, check_backbone, load_backbone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a small BERT."""
    return tiny_models.save("Bert", tiny_models.TEXT, tmp_path / "bert")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here may look up or connect to anything."""

    def refuse(*arguments: object, **more: object) -> None:
        pytest.fail(f"network access: {arguments}")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def edit(folder: Path, **settings: Any) -> None:
    """Change the folder's config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


REFUSED: dict[str, dict[str, Any]] = {
    "gives num_hidden_layers 1000000; legal is at most 1000": {"num_hidden_layers": 10**6},
    "gives vocab_size 100000000000": {"vocab_size": 10**11},
    "gives vocab_size a number of": {"vocab_size": 10**1000},
    "this machine has": {"hidden_size": 2**24},
    "(2000000000, 32); this machine has": {"vocab_size": 2 * 10**9},
    "cannot be built": {"num_attention_heads": 5},
    "quantization_config ; quantised weights": {"quantization_config": {"quant_method": "bitsandbytes"}},
    "attn_implementation 'kernels-community/flash-attn2'": {"attn_implementation": "kernels-community/flash-attn2"},
    "_attn_implementation 'someone/kernel'": {"_attn_implementation": "someone/kernel"},
    "text_config.attn_implementation 'flash_attention_2'": {
        "text_config": {"attn_implementation": "flash_attention_2"}
    },
    "use_kernels 'True'": {"use_kernels": True},
    "transformers_weights '../other.safetensors'": {"transformers_weights": "../other.safetensors"},
    "holds no model transformers can read": {"model_type": "no-such-kind"},
    "holds no model transformers can read (": {"model_type": 3},
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("pretrained", [True, False])
def test_configurations_are_refused_before_anything_is_built(folder: Path, message: str, pretrained: bool) -> None:
    edit(folder, **REFUSED[message])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConfigurationError) as error:
        load_backbone(folder, pretrained=pretrained)
    assert message in str(error.value)
    assert str(folder) in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB: far from what was asked for


def test_a_model_of_too_many_parts_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_size, "MOST_MODULES", 30)
    with pytest.raises(ConfigurationError, match="more than 30 layers and parts of layers"):
        load_backbone(folder)


DAMAGED_JSON = {
    "deep nesting": '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    "5,000 digits": '{"model_type": "bert", "hidden_size": ' + "9" * 5000 + "}",
    "no table": "[1, 2]",
    "cut off": '{"model_type": "be',
    "no text": "\0\0\0\0",
}


@pytest.mark.parametrize("case", DAMAGED_JSON)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_damaged_json_is_named(folder: Path, case: str, name: str) -> None:
    (folder / name).write_text(DAMAGED_JSON[case])
    for look in (check_backbone, load_backbone):
        with pytest.raises(ConfigurationError, match=r"config\.json|index\.json"):
            look(str(folder))


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    "place", ["weights.bin", "../weights.bin", "/ABSOLUTE", "sub/model.safetensors", "pytorch_model.pt", 3]
)
def test_an_index_does_not_lead_to_a_pickle(folder: Path, tmp_path: Path, place: Any) -> None:
    trap = tmp_path / "exploded"
    target = {"/ABSOLUTE": str(tmp_path / "weights.bin")}.get(place, place)
    for path in (folder / "weights.bin", tmp_path / "weights.bin", folder / "pytorch_model.pt"):
        path.write_bytes(pickle.dumps(Bomb(trap)))
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, target)})
    )
    with pytest.raises(ConfigurationError, match=r"legal are \.safetensors files in the same folder"):
        load_backbone(folder)
    assert not trap.exists()


def test_several_files_of_weights_are_read(folder: Path) -> None:
    plain = load_backbone(folder).token_table.clone()
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, keys in parts.items():
        save_file({key: weights[key] for key in keys}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {key: file for file, keys in parts.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert torch.equal(load_backbone(folder).token_table, plain)


def _lying(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + size :]

    return damage


def _first(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(value for key, value in sorted(header.items()) if key.endswith("query.weight"))
    return found


LYING: dict[str, Callable[[bytes], bytes]] = {
    "header longer than the file": lambda data: struct.pack("<Q", 2**60) + data[8:],
    "shape of 2**60": _lying(lambda header: _first(header).update(shape=[2**30, 2**30])),
    "another shape": _lying(lambda header: _first(header).update(shape=[16, 64])),
    "offsets beyond the end": _lying(lambda header: _first(header).update(data_offsets=[0, 2**40])),
    "whole numbers": _lying(lambda header: _first(header).update(dtype="I32")),
    "no such type": _lying(lambda header: _first(header).update(dtype="Q7")),
    "deep nesting": lambda data: struct.pack("<Q", 200_000) + b"[" * 200_000,
    "a Git LFS pointer": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 99\n",
}


@pytest.mark.parametrize("case", LYING)
def test_weights_with_a_lying_header_are_refused(folder: Path, case: str) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(LYING[case](file.read_bytes()))
    with pytest.raises(
        ConfigurationError, match="Git LFS pointer" if "LFS" in case else "cannot be loaded|lack 1 weight"
    ):
        load_backbone(folder)


def test_a_pointer_of_git_lfs_is_told_before_a_run(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 99\n")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json is a Git LFS pointer: .* 99 bytes .*git lfs pull"):
        check_backbone(str(folder))


def test_an_adapter_in_the_folder_is_not_put_into_the_model_unseen(folder: Path, tmp_path: Path) -> None:
    model = get_peft_model(BertModel.from_pretrained(folder), LoraConfig(target_modules=["query"]))
    model.save_pretrained(folder)
    assert (folder / "adapter_config.json").exists()
    for pretrained in (True, False):
        with pytest.raises(ConfigurationError, match=r"adapter_config\.json would put an adapter into the model"):
            load_backbone(folder, pretrained=pretrained)
    (folder / "config.json").rename(tmp_path / "config.json")  # alone, it names a model of the hub
    with pytest.raises(ConfigurationError, match="holds no model"):
        load_backbone(folder)


def test_weights_of_an_adapter_are_not_left_out_unseen(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.0.attention.self.query.lora_A.default.weight"] = torch.ones(2, 32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match="hold 1 weights of an adapter"):
        load_backbone(folder)


@pytest.mark.parametrize(
    ("targets", "fault"),
    [
        (("query", "vlaue"), "LoRA target 'vlaue' names no layer"),
        (("word_embeddings",), "'word_embeddings' is no linear layer but the token table, which the devices hold"),
        (("position_embeddings",), "'position_embeddings' is no linear layer but Embedding"),
        (("attention",), "'attention' is no linear layer but BertAttention"),
        (("all-linear", "query"), "all-linear is one of"),
        (("",), "LoRA target '' names no layer"),
        (("uery",), "LoRA target 'uery' names no layer"),
    ],
)
def test_every_target_of_lora_is_a_linear_layer(folder: Path, targets: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as error:
        Encoder(load_backbone(folder), LoraSettings(targets=targets))
    assert fault.startswith("all-linear") or "dense, key, query, value" in str(error.value)


def test_all_linear_layers_get_an_adapter(folder: Path) -> None:
    backbone = load_backbone(folder)
    encoder = Encoder(backbone, LoraSettings(targets=("all-linear",)))
    linear = {name for name, module in backbone.model.named_modules() if isinstance(module, torch.nn.Linear)}
    assert {name.partition(".lora_")[0] for name in encoder.lora} == linear
    assert len(linear) == 2 * 6


def test_a_folder_with_code_and_files_of_generation_is_the_plain_model(folder: Path, tmp_path: Path) -> None:
    plain = load_backbone(folder).token_table
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "generation_config.json").write_text('{"max_length": 5, "custom_generate": "someone/code"}')
    (other / "own.py").write_text("raise SystemExit('run')\n")
    edit(other, auto_map={"AutoModel": "own.Model", "AutoConfig": "someone/repository--own.Config"})
    edit(other, _name_or_path="someone/model", base_model_name_or_path="someone/base")
    assert torch.equal(load_backbone(other).token_table, plain)
