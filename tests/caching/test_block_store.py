# SPDX-License-Identifier: GPL-2.0-only
"""The block store: what is kept once, what is refused, and real adapters over one real backbone."""

import copy
import hashlib

import numpy as np
import pytest
import torch

from edgelam.caching import Block, BlockStore, Library, Manifest, Part
from edgelam.caching.adapters import AdapterBank
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError
from edgelam.models import efficientnet_lite, load_backbone
from edgelam.models.fetch import is_fetched, model_folder
from edgelam.models.lora import LoraSettings, inject_lora, lora_layers, lora_parameters
from edgelam.random_streams import torch_generator


def state(seed, layers=3, own=1):
    """Tensors of a model whose last layers are its own."""
    found = {}
    for layer in range(layers):
        random = torch_generator(1000 + layer if layer < layers - own else 10 * seed + layer)
        found[f"layers.{layer}.weight"] = torch.randn(4, 4, generator=random)
        found[f"layers.{layer}.bias"] = torch.randn(4, generator=random)
    return found


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_equal_groups_are_kept_once_and_models_come_back_bit_for_bit(tmp_path):
    store = BlockStore(tmp_path)
    first, second = store.add("one", state(1)), store.add("two", state(2))
    assert [a.block == b.block for a, b in zip(first.parts, second.parts, strict=True)] == [True, True, False]
    assert len(list((tmp_path / "blocks").iterdir())) == 4
    assert store.models() == ["one", "two"]
    assert same(store.load("one"), state(1))
    assert same(BlockStore(tmp_path).load("two"), state(2))
    assert store.manifest("one") == first
    for path in (tmp_path / "blocks").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    library = Library.of_manifests([first, second])
    assert library.union_bytes(np.array([True, True])) == sum(p.stat().st_size for p in (tmp_path / "blocks").iterdir())


def test_names_do_not_change_a_block_and_values_shapes_and_dtypes_do(tmp_path):
    store = BlockStore(tmp_path)
    x = torch.arange(6.0)
    blocks = {
        what: store.add(f"m{i}", {name: value}).blocks[0].digest
        for i, (what, name, value) in enumerate((
            ("first", "a", x), ("name", "b", x), ("view", "a", torch.arange(12.0)[:6]), ("shape", "a", x.reshape(2, 3)),
            ("dtype", "a", x.double()), ("value", "a", x + 1),
        ))
    }  # fmt: skip
    assert blocks["first"] == blocks["name"] == blocks["view"]
    assert len(set(blocks.values())) == 4


def test_tied_weights_are_one_block(tmp_path):
    table = torch.randn(5, 3)
    manifest = BlockStore(tmp_path).add("tied", {"embed.weight": table, "head.weight": table})
    assert len(manifest.parts) == 2
    assert len(manifest.blocks) == 1


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "swap"])
def test_a_model_is_never_half_served(tmp_path, harm):
    store = BlockStore(tmp_path)
    manifest = store.add("one", state(1))
    store.add("two", state(2))
    path = tmp_path / "blocks" / manifest.parts[-1].block.digest
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[-1] ^= 1
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(content[:-1])
    elif harm == "swap":
        path.write_bytes((tmp_path / "blocks" / manifest.parts[0].block.digest).read_bytes())
    else:
        path.unlink()
    held = {}
    with pytest.raises(
        StorageError, match="SHA-256 is not the one" if harm in ("flip", "swap") else "lacks 1 of 3 blocks"
    ):
        store.load("one", held)
    assert held == {}
    assert same(store.load("two"), state(2))  # others are whole
    store.add("one", state(1)) if harm in ("cut", "remove") else path.unlink()
    store.add("one", state(1))
    assert same(store.load("one"), state(1))


def test_what_is_received_is_checked_and_a_manifest_waits_for_its_blocks(tmp_path):
    origin, user = BlockStore(tmp_path / "origin"), BlockStore(tmp_path / "user")
    manifest = origin.add("one", state(1))
    contents = {block.digest: origin.content(block.digest) for block in manifest.blocks}
    first = manifest.blocks[0].digest
    with pytest.raises(StorageError, match=f"block {first[:12]}: the SHA-256 of the .* nothing was kept"):
        user.receive(contents[first][:-1] + b"x", first)
    assert user.missing(manifest) == list(manifest.blocks)
    for digest, content in list(contents.items())[:-1]:
        user.receive(content, digest)
    with pytest.raises(StorageError, match="lacks 1 of 3 blocks"):
        user.publish(manifest)
    assert user.models() == []
    with pytest.raises(ConfigurationError, match="no model is called 'one'"):
        user.load("one")
    user.receive(contents[manifest.blocks[-1].digest])
    user.publish(manifest)
    assert same(user.load("one"), state(1))


def test_dropping_a_model_frees_only_what_no_other_has(tmp_path):
    store = BlockStore(tmp_path)
    first, second = store.add("one", state(1)), store.add("two", state(2))
    assert store.drop("one") == first.parts[-1].block.size_bytes
    assert same(store.load("two"), state(2))
    assert store.drop("two") == second.size_bytes
    assert list((tmp_path / "blocks").iterdir()) == []
    with pytest.raises(ConfigurationError, match="no model is called 'two'; there are none"):
        store.drop("two")


@pytest.mark.parametrize("damage", ["edited", "json", "unsealed", "other", "empty"])
def test_a_manifest_that_is_damaged_is_refused(tmp_path, damage):
    store = BlockStore(tmp_path)
    store.add("one", state(1))
    path = tmp_path / "models" / "one.json"
    text = path.read_text()
    if damage == "other":
        store.add("two", state(2))
        text = (tmp_path / "models" / "two.json").read_text()
    else:
        text = {"edited": text.replace("layers.0.bias", "layers.9.bias"), "json": text[:-5],
                "unsealed": '{"format": 1, "model": "one", "parts": []}', "empty": ""}[damage]  # fmt: skip
    path.write_text(text)
    with pytest.raises(StorageError, match=r"one\.json"):
        store.load("one")


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x" * 101, None])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(ConfigurationError, match="a model is called"):
        BlockStore(tmp_path).add(name, state(1))
    assert list((tmp_path / "models").iterdir()) == []


def test_manifests_that_are_not_legal_are_refused():
    block = Block("a" * 64, 3)
    for parts, text in (
        ((), "has no blocks"),
        ((Part(block, ("x",)), Part(Block("b" * 64, 1), ("x",))), "two tensors named 'x'"),
        ((Part(block, ("x",)), Part(Block("a" * 64, 4), ("y",))), "two sizes"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            Manifest("m", parts)
    for digest, size in (("../etc", 1), ("A" * 64, 1), ("a" * 64, 0), ("a" * 64, 1.5)):
        with pytest.raises(ConfigurationError, match="block"):
            Block(digest, size)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone()


SETTINGS = LoraSettings(rank=4)


def adapter(backbone, seed):
    """A MiniLM with an adapter that changes its output (B is not zero)."""
    own = [*backbone.model.parameters(), *backbone.model.buffers()]
    model = copy.deepcopy(backbone.model, {id(tensor): tensor for tensor in own})
    inject_lora(model, SETTINGS, seed=seed)
    random = torch_generator(seed)
    for layer in lora_layers(model).values():
        layer.b.data.copy_(0.2 * torch.randn(layer.b.shape, generator=random))
    return model


def test_adapters_over_one_backbone_are_kept_as_one_backbone(tmp_path, backbone):
    store, count = BlockStore(tmp_path), 3
    plain = store.add("minilm", backbone.model.state_dict())
    models = [adapter(backbone, seed) for seed in range(count)]
    manifests = [store.add(f"task{i}", model.state_dict()) for i, model in enumerate(models)]
    for manifest in manifests:  # with adapters inside, the frozen layers are the blocks of the plain backbone
        assert set(plain.blocks) < set(manifest.blocks)
        assert len(manifest.blocks) == len(plain.blocks) + 1
    own = [manifest.size_bytes - plain.size_bytes for manifest in manifests]
    kept = sum(path.stat().st_size for path in (tmp_path / "blocks").iterdir())
    assert kept == plain.size_bytes + sum(own)
    assert max(own) < 0.01 * plain.size_bytes
    held = {}
    loaded = [store.load(f"task{i}", held) for i in range(count)]
    assert all(same(mine, model.state_dict()) for mine, model in zip(loaded, models, strict=True))
    name = "encoder.layer.0.attention.self.query.base_layer.weight"
    assert len({mine[name].data_ptr() for mine in loaded}) == 1  # in memory once, too


def test_many_adapters_on_one_backbone_equal_as_many_merged_models(backbone):
    bank, merged = AdapterBank(backbone, SETTINGS), []
    for seed in range(5):
        model = adapter(backbone, seed)
        bank.add(f"task{seed}", lora_parameters(model))
        for layer in lora_layers(model).values():
            layer.own_base()
            layer.add_to_base(layer.scale * layer.b.data @ layer.a.data)
            layer.b.data.zero_()
        merged.append(model)
    random = torch_generator(7)
    ids = torch.randint(1000, 20000, (12, 9), generator=random)
    mask = torch.arange(9) < torch.randint(3, 10, (12, 1), generator=random)
    tasks = [i * 7 % 5 for i in range(12)]
    mixed = bank.hidden(ids, mask, [f"task{task}" for task in tasks])
    scale = 0.0
    for row, task in enumerate(tasks):
        with torch.no_grad():
            alone = merged[task](ids[row : row + 1], attention_mask=mask[row : row + 1].long()).last_hidden_state
            bare = backbone.model(ids[row : row + 1], attention_mask=mask[row : row + 1].long()).last_hidden_state
        torch.testing.assert_close(mixed[row][mask[row]], alone[0][mask[row]], rtol=1e-4, atol=2e-5)
        scale = max(scale, float((alone - bare).abs().max()))
    assert scale > 0.05  # the adapters do something
    backbone_bytes = sum(
        t.numel() * t.element_size() for t in (*backbone.model.parameters(), *backbone.model.buffers())
    )
    assert bank.memory_bytes == backbone_bytes + bank.adapter_bytes
    assert bank.adapter_bytes < 0.01 * 5 * backbone_bytes


def test_an_adapter_can_be_replaced_and_what_does_not_fit_is_refused(backbone):
    bank = AdapterBank(backbone, SETTINGS)
    ids, mask = torch.tensor([[101, 2023, 102]]), torch.ones(1, 3, dtype=torch.bool)
    bank.add("a", lora_parameters(adapter(backbone, 1)))
    before = bank.hidden(ids, mask, ["a"])
    bank.add("b", lora_parameters(adapter(backbone, 2)))
    assert torch.equal(bank.hidden(ids, mask, ["a"]), before)
    other = bank.hidden(ids, mask, ["b"])
    bank.add("a", lora_parameters(adapter(backbone, 2)))
    torch.testing.assert_close(bank.hidden(ids, mask, ["a"]), other)
    weights = dict(lora_parameters(adapter(backbone, 3)))
    name = next(iter(weights))
    with pytest.raises(ConfigurationError, match="is missing"):
        bank.add("c", {key: value for key, value in weights.items() if key != name})
    with pytest.raises(ConfigurationError, match="legal are"):
        bank.add("c", weights | {name: torch.zeros(1, 1)})
    assert bank.tasks == ["a", "b"]
    with pytest.raises(ConfigurationError, match="no task is called 'c'"):
        bank.hidden(ids, mask, ["c"])
    with pytest.raises(ConfigurationError, match="2 tasks for 1 requests"):
        bank.hidden(ids, mask, ["a", "b"])


@pytest.mark.skipif(not is_fetched("efficientnet-lite0"), reason="edgelam models fetch efficientnet-lite0")
def test_classifiers_over_a_frozen_pretrained_cnn_share_all_its_other_blocks(tmp_path):
    store, model = BlockStore(tmp_path), efficientnet_lite.load(model_folder("efficientnet-lite0"))
    manifests = []
    for task in range(3):
        model.classifier = torch.nn.Linear(1280, 10 + task)
        manifests.append(store.add(f"task{task}", model.state_dict()))
    common = set.intersection(*(set(manifest.blocks) for manifest in manifests))
    assert len(common) == 9  # stem, seven stages, head
    kept = sum(path.stat().st_size for path in (tmp_path / "blocks").iterdir())
    assert kept < 1.02 * manifests[0].size_bytes
    fresh = efficientnet_lite.EfficientNetLite("lite0")
    fresh.classifier = torch.nn.Linear(1280, 12)
    fresh.load_state_dict(store.load("task2"))
    image = torch.rand(1, 3, 64, 64, generator=torch_generator(1))
    with torch.no_grad():
        torch.testing.assert_close(fresh.eval()(image), model(image), rtol=0, atol=0)
