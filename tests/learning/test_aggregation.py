# SPDX-License-Identifier: GPL-2.0-only
"""Rules for aggregating adapters: the effective weight after a round, by hand, and what crosses the network."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgelam.errors import ConfigurationError
from edgelam.learning.aggregation import RULES, FedAvg
from edgelam.models.lora import LoraSettings, inject_lora, keep_rank, lora_layers

IN, OUT = 5, 3


class Model(nn.Module):
    """One linear layer, which gets an adapter."""

    def __init__(self, rank, alpha, *, in_features=IN, out_features=OUT):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(in_features, out_features, bias=False)
        inject_lora(self, LoraSettings(rank=rank, alpha=alpha, targets=("linear",)), seed=1)

    def effective(self):
        """The weight that the layer applies, read off its outputs."""
        with torch.no_grad():
            return self.linear(torch.eye(self.linear.in_features)).T.clone()


def trained(model, rule, seed):
    """As if trained: random values for whatever requires a gradient."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def clients_of(rule, ranks, alpha, **sizes):
    clients = [Model(rank, alpha, **sizes) for rank in ranks]
    for client in clients:
        rule.prepare(client)
        rule.install(client, rule.first(clients[0]))
    return clients


def round_of(rule, clients, samples, seed=0):
    """One round; returns the ideal weight and what went up and down."""
    before = clients[0].effective()
    layers = [next(iter(lora_layers(client).values())) for client in clients]
    ideal = before - (layers[0].scale * layers[0].b @ layers[0].a).detach()
    for index, (client, layer, count) in enumerate(zip(clients, layers, samples, strict=True)):
        trained(client, rule, seed=100 * seed + index)
        ideal = ideal + (count / sum(samples)) * (layer.scale * layer.b @ layer.a).detach()
    uploads = [rule.upload(client) for client in clients]
    download = rule.merge(uploads, samples)
    for client in clients:
        rule.install(client, download)
    return ideal, uploads, download


def size(tensors):
    return sum(tensor.numel() for tensor in tensors.values())


def test_before_training_nothing_changes():
    plain = Model(2, 4.0).effective()
    for rule in RULES.values():
        for client in clients_of(rule, [2, 2], 4.0):
            torch.testing.assert_close(client.effective(), plain)


@pytest.mark.parametrize("name", ["ffa-lora", "fedex-lora", "flora"])
@settings(deadline=None, max_examples=25)
@given(
    rank=st.integers(1, 4), alpha=st.sampled_from([1.0, 3.0, 16.0]),
    samples=st.lists(st.integers(1, 50), min_size=1, max_size=4), wide=st.booleans(),
)  # fmt: skip
def test_exact_rules_apply_the_mean_update(name, rank, alpha, samples, wide):
    """alpha != rank, unequal sample counts, two rounds; small weights and wide ones (FedEx sends either way)."""
    rule = RULES[name]
    sizes = {"in_features": 40, "out_features": 30} if wide else {}
    clients = clients_of(rule, [rank] * len(samples), alpha, **sizes)
    for number in range(2):
        ideal, _, _ = round_of(rule, clients, samples, seed=number)
        for client in clients:
            torch.testing.assert_close(client.effective(), ideal, rtol=1e-4, atol=1e-4 * float(ideal.abs().max()))


def by_hand():
    """Two clients of one weight, rank 1, alpha 2: B, A = 1, 2 and 3, 4."""
    models = [Model(1, 2.0, in_features=1, out_features=1) for _ in range(2)]
    for model, a, b in zip(models, (2.0, 4.0), (1.0, 3.0), strict=True):
        (layer,) = lora_layers(model).values()
        with torch.no_grad():
            layer.a.fill_(a)
            layer.b.fill_(b)
    return models


@pytest.mark.parametrize(
    ("name", "update"), [("fedit", 2 * (1 + 3 * 3) / 4 * (2 + 3 * 4) / 4), ("fedex-lora", 2 * (1 * 2 + 3 * 3 * 4) / 4)]
)
def test_a_round_by_hand(name, update):
    """Samples 1 and 3. FedIT multiplies the means, 2.5 * 3.5; FedEx has the mean of the products, 38 / 4."""
    rule = RULES[name]
    clients = by_hand()
    base = Model(1, 2.0, in_features=1, out_features=1).effective().item()
    for client in clients:
        rule.prepare(client)
    download = rule.merge([rule.upload(client) for client in clients], [1, 3])
    for client in clients:
        rule.install(client, download)
        assert client.effective().item() == pytest.approx(base + update, rel=1e-6)


def test_flora_takes_mixed_ranks():
    rule = RULES["flora"]
    clients = clients_of(rule, [1, 2, 4], 6.0)
    for number in range(2):
        ideal, uploads, download = round_of(rule, clients, [10, 1, 5], seed=number)
        assert [size(upload) for upload in uploads] == [rank * (IN + OUT) for rank in (1, 2, 4)]
        assert size(download) == (1 + 2 + 4) * (IN + OUT)
        for client in clients:
            torch.testing.assert_close(client.effective(), ideal, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["fedit", "ffa-lora", "fedex-lora"])
def test_mixed_ranks_are_refused_by_the_others(name):
    rule = RULES[name]
    uploads = [rule.upload(Model(rank, 1.0)) for rank in (1, 2)]
    with pytest.raises(ConfigurationError, match="one rank"):
        rule.merge(uploads, [1, 1])
    with pytest.raises(ConfigurationError, match="rank"):
        rule.install(Model(1, 1.0), uploads[1])


def test_what_crosses_the_network():
    """Elements up and down of a layer [30, 40], rank 2, three clients."""
    wide = {"in_features": 40, "out_features": 30}
    pair = 2 * (40 + 30)
    expected = {
        "fedit": (pair, pair),
        "ffa-lora": (2 * 30, 2 * 30),
        "fedex-lora": (pair, 3 * pair + 3),  # three clients' factors and their shares: less than 30 * 40 + pair
        "flora": (pair, 3 * pair),
        "hetlora": (pair, pair),
        "fedsa-lora": (2 * 40, 2 * 40),
    }
    for name, (up, down) in expected.items():
        rule = RULES[name]
        _, uploads, download = round_of(rule, clients_of(rule, [2] * 3, 4.0, **wide), [1, 2, 3])
        assert ([size(upload) for upload in uploads], size(download)) == ([up] * 3, down), name
    many = RULES["fedex-lora"]
    _, _, download = round_of(many, clients_of(many, [4] * 8, 4.0), [1] * 8)
    assert size(download) == IN * OUT + 4 * (IN + OUT)  # the dense residual is less than eight pairs of factors


def test_hetlora_pads_with_zeros_by_hand():
    """Two clients of one weight, ranks 1 and 2, samples 1 and 3: A = [2], [4, 8]; B = [1], [3, 5]."""
    rule = RULES["hetlora"]
    models = []
    for a, b in (([[2.0]], [[1.0]]), ([[4.0], [8.0]], [[3.0, 5.0]])):
        model = Model(2, 2.0, in_features=1, out_features=1)
        keep_rank(model, len(a))
        (layer,) = lora_layers(model).values()
        with torch.no_grad():
            layer.a.copy_(torch.tensor(a))
            layer.b.copy_(torch.tensor(b))
        models.append(model)
    down = rule.merge([rule.upload(model) for model in models], [1, 3])
    (name,) = {key.rsplit(".", 1)[0] for key in down}
    assert down[f"{name}.A"].tolist() == [[(2 + 3 * 4) / 4], [3 * 8 / 4]]
    assert down[f"{name}.B"].tolist() == [[(1 + 3 * 3) / 4, 3 * 5 / 4]]
    small = rule.part_for(down, 1)
    assert [small[f"{name}.{part}"].tolist() for part in "AB"] == [[[3.5]], [[2.5]]]
    rule.install(models[0], small)
    (layer,) = lora_layers(models[0]).values()
    assert (layer.a.tolist(), layer.b.tolist()) == ([[3.5]], [[2.5]])
    rule.install(models[1], rule.part_for(down, 2))
    base = Model(2, 2.0, in_features=1, out_features=1).effective().item()
    assert models[1].effective().item() == pytest.approx(base + 3.5 * 2.5 + 6 * 3.75)
    # nobody had the second row: what came down before is gone
    rule.install(models[1], small)
    assert models[1].effective().item() == pytest.approx(base + 3.5 * 2.5)


def test_hetlora_with_one_rank_is_fedit():
    padded, plain = RULES["hetlora"], RULES["fedit"]
    uploads = [plain.upload(trained(Model(2, 4.0), plain, seed)) for seed in (1, 2, 3)]
    for name, weight in plain.merge(uploads, [1, 2, 3]).items():
        torch.testing.assert_close(padded.merge(uploads, [1, 2, 3])[name], weight)


def test_fedsa_shares_a_and_leaves_b_alone():
    rule = RULES["fedsa-lora"]
    clients = clients_of(rule, [2, 2], 4.0)
    for number, client in enumerate(clients):
        for layer in lora_layers(client).values():
            with torch.no_grad():
                layer.a.fill_(1.0 + 2 * number)
                layer.b.fill_(5.0 + number)
    download = rule.merge([rule.upload(client) for client in clients], [1, 3])
    for number, client in enumerate(clients):
        rule.install(client, download)
        for layer in lora_layers(client).values():
            assert (layer.a == 2.5).all()
            assert (layer.b == 5.0 + number).all()
    assert rule.personal


def test_fedavg_averages_all_that_is_trained():
    rule = FedAvg()
    models = [trained(Model(2, 4.0), rule, seed) for seed in (1, 2)]
    uploads = [rule.upload(model) for model in models]
    assert set(uploads[0]) == {name for name, p in models[0].named_parameters() if p.requires_grad}
    rule.install(models[0], rule.merge(uploads, [1, 3]))
    for name, weight in rule.upload(models[0]).items():
        torch.testing.assert_close(weight, (uploads[0][name] + 3 * uploads[1][name]) / 4)


def test_ffa_never_moves_a():
    rule = RULES["ffa-lora"]
    clients = clients_of(rule, [2, 2], 4.0)
    (layer,) = lora_layers(clients[0]).values()
    before = layer.a.clone()
    round_of(rule, clients, [1, 1])
    assert torch.equal(layer.a, before)
    assert not layer.a.requires_grad


@pytest.mark.parametrize("name", ["fedex-lora", "flora"])
def test_frozen_weights_shared_with_others_are_left_alone(name):
    rule = RULES[name]
    first = Model(2, 4.0)
    shared = [p for p in first.parameters() if not p.requires_grad]
    second = copy.deepcopy(first, {id(p): p for p in shared})
    for model in (first, second):
        rule.prepare(model)
    untouched = second.effective()
    round_of(rule, [first], [1])
    torch.testing.assert_close(second.effective(), untouched)


@pytest.mark.parametrize("name", RULES)
def test_uploads_that_do_not_fit_are_refused(name):
    rule = RULES[name]
    upload = rule.upload(Model(2, 1.0))
    for uploads, samples in (([], []), ([upload], [1, 2]), ([upload, {}], [1, 1]), ([upload], [0]), ([upload], [-1])):
        with pytest.raises(ConfigurationError):
            rule.merge(uploads, samples)
