# SPDX-License-Identifier: GPL-2.0-only
"""The cut model against the whole one, under padding on either side, for encoders and decoder-only backbones."""

from pathlib import Path

import pytest
import torch

from edgelam.models import Encoder, Head, LoraSettings, Unsplit, load_backbone
from edgelam.models.backbone import Backbone
from edgelam.models.padding import last_pool, mask_of, mean_pool, pack, positions, unpack

LENGTHS = [5, 2, 7]


def _ids(lengths: list[int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(2, 40, (n,), generator=generator) for n in lengths]


def _padded(rows: list[torch.Tensor], side: str, extra: int) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(len(row) for row in rows) + extra
    mask = mask_of(torch.tensor([len(row) for row in rows]), length=length, side=side)  # type: ignore[arg-type]
    ids = torch.ones(mask.shape, dtype=torch.int64)
    ids[mask] = torch.cat(rows)
    return ids, mask


def _parts(backbone: Backbone, cut: str) -> Unsplit:
    table = torch.nn.Embedding.from_pretrained(backbone.token_table.clone())
    encoder = Encoder(backbone, LoraSettings(rank=2), cut=cut)  # type: ignore[arg-type]
    return Unsplit(table, encoder.eval(), Head(backbone, 3, cut=cut))  # type: ignore[arg-type]


@pytest.fixture
def backbone(folder: Path) -> Backbone:
    backbone = load_backbone(folder)
    backbone.model.double()
    return backbone


def test_kind_is_recognised(backbone: Backbone) -> None:
    assert backbone.causal == (backbone.model.config.model_type in ("gpt2", "llama"))
    assert (backbone.width, backbone.pretrained) == (16, True)
    assert backbone.max_length == (32 if backbone.model.config.model_type == "roberta" else 34)
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())


def test_encoder_equals_the_uncut_model(backbone: Backbone) -> None:
    """Fresh adapters change nothing, so cut and uncut agree on every sample, alone and without padding."""
    model = _parts(backbone, "tokens")
    ids, mask = _padded(_ids(LENGTHS), "right", 0)
    hidden = model.encoder(model.embedding(ids), mask)
    for row, tokens in enumerate(_ids(LENGTHS)):
        whole = backbone.model(input_ids=tokens[None]).last_hidden_state[0]
        torch.testing.assert_close(hidden[row, : len(tokens)], whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cut", ["tokens", "pooled"])
@pytest.mark.parametrize(("side", "extra"), [("right", 4), ("left", 0), ("left", 3)])
def test_padding_changes_nothing(backbone: Backbone, cut: str, side: str, extra: int) -> None:
    model = _parts(backbone, cut)
    torch.nn.init.normal_(model.head.linear.weight)
    torch.manual_seed(0)
    for name, parameter in model.encoder.lora.items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    reference = model(*_padded(_ids(LENGTHS), "right", 0))
    torch.testing.assert_close(model(*_padded(_ids(LENGTHS), side, extra)), reference, rtol=0, atol=1e-11)


def test_gradients_reach_the_adapters_and_nothing_else(backbone: Backbone) -> None:
    model = _parts(backbone, "pooled")
    torch.nn.init.normal_(model.head.linear.weight)
    model(*_padded(_ids(LENGTHS), "right", 1)).pow(2).sum().backward()
    assert model.encoder.lora
    for name, parameter in model.encoder.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        # B is zero at first, so A's gradient is zero; B's is not
        assert "lora_B" not in name or float(parameter.grad.abs().max()) > 0.0


def test_the_encoder_holds_no_token_table(backbone: Backbone) -> None:
    encoder = Encoder(backbone, LoraSettings(rank=2))
    shapes = {tuple(parameter.shape) for parameter in encoder.parameters()}
    assert tuple(backbone.token_table.shape) not in shapes
    downloaded = sum(weight.numel() for weight in encoder.base().values())
    everything = sum(parameter.numel() for parameter in backbone.model.parameters())
    assert downloaded == everything - backbone.token_table.numel()


def test_twins_share_the_frozen_weights_only(backbone: Backbone) -> None:
    encoder = Encoder(backbone, LoraSettings(rank=2))
    twin = encoder.twin()
    own = {id(parameter) for parameter in encoder.parameters()}
    for name, parameter in twin.named_parameters():
        assert (id(parameter) in own) == ("lora_" not in name)
    assert list(twin.lora.values()) == [p for n, p in sorted(twin.model.named_parameters()) if "lora_" in n]
    with torch.no_grad():
        next(iter(twin.lora.values())).add_(1.0)
    assert not torch.equal(next(iter(twin.lora.values())), next(iter(encoder.lora.values())))
    encoder.load_lora({name: weight.detach() for name, weight in twin.lora.items()})
    assert torch.equal(next(iter(twin.lora.values())), next(iter(encoder.lora.values())))


def test_same_seed_same_adapters(gpt2: Path) -> None:
    backbone = load_backbone(gpt2)
    one, same, other = (Encoder(backbone, LoraSettings(rank=2), seed=seed) for seed in (1, 1, 2))
    name = next(name for name in one.lora if "lora_A" in name)
    assert torch.equal(one.lora[name], same.lora[name])
    assert not torch.equal(one.lora[name], other.lora[name])


def test_dropout_of_the_adapters_only(gpt2: Path) -> None:
    encoder = Encoder(load_backbone(gpt2), LoraSettings(rank=2, dropout=0.5)).train()
    training = {name for name, module in encoder.model.named_modules() if module.training}
    assert training
    assert all("lora_dropout" in name for name in training)
    assert not any(module.training for module in encoder.eval().model.modules())


def test_pack_and_unpack() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    x = torch.arange(6.0).reshape(2, 3, 1)
    assert pack(x, mask).flatten().tolist() == [0.0, 1.0, 3.0]
    back = unpack(torch.tensor([[7.0], [8.0], [9.0]], requires_grad=True), mask)
    assert back.flatten().tolist() == [7.0, 8.0, 0.0, 9.0, 0.0, 0.0]
    assert torch.autograd.gradcheck(
        lambda t: unpack(t, mask), torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    )


def test_positions_and_pools_by_hand() -> None:
    left = torch.tensor([[False, True, True], [True, True, True]])
    assert positions(left).tolist() == [[0, 0, 1], [0, 1, 2]]
    assert mask_of(torch.tensor([2, 3]), side="left").tolist() == left.tolist()
    assert mask_of(torch.tensor([2, 3])).tolist() == [[True, True, False], [True, True, True]]
    x = torch.tensor([[[9.0], [1.0], [3.0]], [[1.0], [2.0], [6.0]]])
    assert mean_pool(x, left).tolist() == [[2.0], [3.0]]
    assert last_pool(x, left).tolist() == [[3.0], [6.0]]
    assert last_pool(x, torch.tensor([[True, True, False], [True, False, False]])).tolist() == [[1.0], [1.0]]
