# SPDX-License-Identifier: GPL-2.0-only
"""What is recovered from an encoding: known values, and what a real transformer's columns give away."""

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.learning.secure_sum import FixedPoint, Masker, unmasked_sum
from edgelam.models import Backbone, load_backbone
from edgelam.privacy.least_squares import learn_map, recover, relative_error
from edgelam.privacy.token_lookup import identify, nearest, share_identified

D = 384


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("columns", [0, 64, 192, 300, 383])
def test_least_squares_leaves_what_the_columns_do_not_see(columns: int) -> None:
    x, weight = gaussian(200, D), gaussian(D, D, seed=1)[:columns]
    error = relative_error(recover(x @ weight.T, weight), x)
    assert error == pytest.approx(math.sqrt(1 - columns / D), abs=0.01)


def test_as_many_columns_as_features_leave_nothing() -> None:
    x, weight, bias = gaussian(50, D), gaussian(D, D, seed=1), gaussian(D, seed=2)
    assert relative_error(recover(x @ weight.T + bias, weight, bias), x) < 1e-9


def test_three_shards_put_together_by_the_server() -> None:
    """100 + 150 + 170 columns of a width of 384: each alone leaves more than 0.7, all together nothing."""
    x = gaussian(100, D)
    shards = [gaussian(columns, D, seed=columns) / math.sqrt(D) for columns in (100, 150, 170)]
    for shard in shards:
        assert relative_error(recover(x @ shard.T, shard), x) == pytest.approx(math.sqrt(1 - len(shard) / D), abs=0.02)
    two = torch.cat(shards[:2])
    assert relative_error(recover(x @ two.T, two), x) == pytest.approx(math.sqrt(1 - 250 / D), abs=0.02)
    merged = torch.cat(shards)
    assert relative_error(recover(x @ merged.T, merged), x) < 1e-13


def test_unknown_weights_are_learnt_from_known_inputs() -> None:
    weight, bias = gaussian(20, 48, seed=1), gaussian(20, seed=2)
    known = gaussian(49, 48, seed=3)
    found, constant = learn_map(known, known @ weight.T + bias)
    torch.testing.assert_close(found, weight, rtol=0, atol=1e-10)
    torch.testing.assert_close(constant, bias, rtol=0, atol=1e-10)
    with pytest.raises(ConfigurationError, match=r"48 known inputs of rank 48 .* 49 independent ones are needed"):
        learn_map(known[:48], known[:48] @ weight.T + bias)


def test_the_nearest_candidate() -> None:
    candidates = torch.tensor([[0.0], [1.0], [1.0], [5.0]])
    assert nearest(torch.tensor([[0.9], [3.1], [-7.0]]), candidates).tolist() == [1, 3, 0]
    with pytest.raises(ConfigurationError, match=r"\[T, N\] and \[V, N\] are needed"):
        nearest(torch.zeros(2, 3), candidates)
    with pytest.raises(ConfigurationError, match="no tokens"):
        share_identified(torch.empty(0), torch.empty(0))


# ---- a real transformer --------------------------------------------------------------------------------------------


@cache
def minilm() -> Backbone:
    return load_backbone()


@cache
def embedded(position: int) -> Tensor:
    """All tokens of MiniLM at a position, as its first block sees them: [V, D]."""
    parts = minilm().model.embeddings
    with torch.no_grad():
        whole = parts.word_embeddings.weight + parts.position_embeddings.weight[position]
        return parts.LayerNorm(whole + parts.token_type_embeddings.weight[0])


@cache
def encoder(columns: int) -> Callable[[int], Tensor]:
    """The first columns of the first block's queries, of all tokens at a position."""
    query = minilm().model.encoder.layer[0].attention.self.query

    @cache
    def encode(position: int) -> Tensor:
        with torch.no_grad():
            return torch.nn.functional.linear(embedded(position), query.weight[:columns], query.bias[:columns])

    return encode


@cache
def text() -> tuple[Tensor, Tensor]:
    """Tokens and their positions: every 197th token, at one of two positions."""
    tokens = torch.arange(1000, 30_000, 197)
    return tokens, torch.arange(len(tokens)) % 2


def seen(columns: int, noise: float = 0.0) -> Tensor:
    tokens, positions = text()
    encode = encoder(columns)
    values = torch.stack([encode(int(p))[t] for t, p in zip(tokens, positions, strict=True)]).double()
    return values + noise * values.std() * gaussian(*values.shape, seed=4)


@pytest.mark.parametrize(("columns", "noise", "least"), [(1, 0.0, 1.0), (8, 0.05, 0.99), (384, 0.5, 0.99)])
def test_columns_of_minilms_queries_tell_the_tokens(columns: int, noise: float, least: float) -> None:
    tokens, positions = text()
    found = identify(seen(columns, noise), positions, encoder(columns))
    assert share_identified(found, tokens) >= least


def test_noise_helps_where_few_columns_are_seen() -> None:
    tokens, positions = text()
    assert share_identified(identify(seen(1, 0.05), positions, encoder(1)), tokens) < 0.02
    assert share_identified(identify(seen(8, 1.0), positions, encoder(8)), tokens) < 0.2


def test_masks_hide_each_message_and_not_their_sum() -> None:
    """Two devices with half of the columns each, side by side under masks: one message tells nothing, the sum all."""
    tokens, positions = text()
    values = seen(64).float()
    fixed, names = FixedPoint(44), ("ue0", "ue1")
    maskers = {name: Masker(name, seed=3) for name in names}
    for masker in maskers.values():
        masker.meet({name: other.public_key for name, other in maskers.items()})
    padded = {"ue0": values.clone(), "ue1": values.clone()}
    padded["ue0"][:, 32:] = 0
    padded["ue1"][:, :32] = 0
    sent = {name: maskers[name].masked(padded[name], "m", names, fixed) for name in names}
    alone = identify(fixed.decode(sent["ue0"])[:, :32], positions, encoder(32))
    assert share_identified(alone, tokens) < 0.02
    whole = unmasked_sum(sent.values(), fixed)
    assert share_identified(identify(whole, positions, encoder(64)), tokens) == 1.0
