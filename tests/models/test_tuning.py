# SPDX-License-Identifier: GPL-2.0-only
"""What is trained of a backbone, and frozen weights in few bits: outputs, gradients, bytes."""

import pytest
import torch

from edgelam.models import Encoder, LoraSettings, load_backbone
from edgelam.models.frozen import num_bytes, packed, restored, round_backbone
from edgelam.models.quantisation import Format, rounded


@pytest.fixture
def backbone(folder):
    return load_backbone(folder)


def inputs(backbone):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 5, backbone.width, generator=generator), torch.ones(3, 5, dtype=torch.bool)


@pytest.mark.parametrize("tuning", ["lora", "ia3", "full"])
def test_output_is_unchanged_at_first_and_only_what_is_trained_has_gradients(tuning, backbone):
    x, mask = inputs(backbone)
    plain = Encoder(backbone, LoraSettings(rank=2)).eval()
    encoder = Encoder(backbone, LoraSettings(rank=2), tuning=tuning).eval()
    out = encoder(x, mask)
    torch.testing.assert_close(out, plain(x, mask))
    out.square().sum().backward()
    wanted = dict(encoder.lora)
    for name, parameter in encoder.model.named_parameters():
        assert parameter.requires_grad == (name in wanted), name
        if name not in wanted:
            assert parameter.grad is None, name
    stand_in = encoder.model.get_input_embeddings().weight
    assert set(encoder.base()) | set(wanted) == {n for n, p in encoder.model.named_parameters() if p is not stand_in}
    assert not set(encoder.base()) & set(wanted)
    counts = {"lora": 4 * 2 * 16 * 2, "full": sum(p.numel() for p in plain.base().values())}
    trained = sum(p.numel() for p in wanted.values())
    if tuning == "full":
        assert trained == counts["full"]
    elif tuning == "ia3":
        assert 0 < trained < sum(p.numel() for p in plain.lora.values())
        assert all((p == 1.0).all() for p in wanted.values())


def test_twins_train_weights_of_their_own(backbone):
    first = Encoder(backbone, LoraSettings(rank=2), tuning="full")
    second = first.twin()
    with torch.no_grad():
        for parameter in second.lora.values():
            parameter.add_(1.0)
    for name, parameter in first.lora.items():
        assert not torch.equal(parameter, second.lora[name])


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_frozen_weights_are_what_arrives_and_bytes_are_counted(kind, backbone):
    round_backbone(backbone, kind)
    base = Encoder(backbone, LoraSettings(rank=2)).base()
    on_the_way = packed(base, kind)
    got = restored(on_the_way, base, kind)
    for name, weight in base.items():
        torch.testing.assert_close(got[name], weight, rtol=0, atol=0)
        if weight.dim() > 1:
            matrix = weight.reshape(len(weight), -1)
            torch.testing.assert_close(rounded(matrix, Format.parse(kind)), matrix, rtol=0, atol=0)
    sent = sum(part.numel() * part.element_size() for parts in on_the_way.values() for part in parts)
    assert sent == num_bytes(base, kind)
    assert num_bytes(base, "plain") == 4 * sum(w.numel() for w in base.values())
    assert sent < num_bytes(base, "plain") * (0.35 if kind == "int8" else 0.25)


def test_the_token_table_is_left_alone(folder):
    plain, rough = load_backbone(folder), load_backbone(folder)
    round_backbone(rough, "int4")
    assert torch.equal(plain.token_table, rough.token_table)
    x, mask = inputs(plain)
    far = Encoder(plain, LoraSettings())(x, mask) - Encoder(rough, LoraSettings())(x, mask)
    assert 0.0 < float(far.detach().norm()) < 0.5 * float(Encoder(plain, LoraSettings())(x, mask).detach().norm())
