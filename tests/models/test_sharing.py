# SPDX-License-Identifier: GPL-2.0-only
"""Models of several tasks that hold one frozen backbone."""

import torch
from torch import nn

from edgelam.models import load_backbone
from edgelam.models.first_layers import first_layers
from edgelam.models.lora import LoraSettings, inject_lora
from edgelam.models.sharing import held_bytes, share_frozen, tie_adapters, trained_bytes


def adapted(backbone, seed):
    model = first_layers(backbone, 2)
    inject_lora(model, LoraSettings(rank=2), seed=seed)
    return model.eval()


def test_a_shared_backbone_is_held_once_and_computes_the_same():
    backbone = load_backbone()
    models = [adapted(backbone, 1), adapted(backbone, 2)]
    alone = held_bytes(models[:1])
    x = torch.randn(2, 5, 384, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = [model(inputs_embeds=x).last_hidden_state for model in models]
        share_frozen(models)
        after = [model(inputs_embeds=x).last_hidden_state for model in models]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    adapters = 2 * 4 * 384 * 2 * 4  # layers; A and B of query and value; width; rank; bytes
    assert trained_bytes(models[:1]) == adapters
    assert held_bytes(models) - alone == adapters + sum(b.nbytes for b in models[1].buffers())
    loss = models[0](inputs_embeds=x).last_hidden_state.square().sum()
    loss.backward()
    assert all(p.grad is None for p in models[1].parameters())


def test_tied_adapters_are_one():
    backbone = load_backbone()
    one, other = adapted(backbone, 1), adapted(backbone, 2)
    tie_adapters(one, other)
    assert trained_bytes([one, other]) == trained_bytes([one])
    x = torch.randn(2, 5, 384, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.SGD([p for p in other.parameters() if p.requires_grad], lr=1.0)
    other(inputs_embeds=x).last_hidden_state.sum().backward()
    optimiser.step()
    with torch.no_grad():
        assert torch.equal(one(inputs_embeds=x).last_hidden_state, other(inputs_embeds=x).last_hidden_state)


def test_what_differs_or_is_trained_is_not_shared():
    one, other, trained = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
    trained.load_state_dict(one.state_dict())
    for module in (one, other):
        module.requires_grad_(False)
    before = other.weight.clone()
    share_frozen([one, other, trained])
    assert torch.equal(other.weight, before)
    assert held_bytes([one, other, trained]) == 3 * 4 * 12
