# SPDX-License-Identifier: GPL-2.0-only
"""Looped tensor parallelism computes what one device computes: losses and all weights after 20 steps in float64."""

from functools import cache, partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from looped_runs import UNEVEN, batches, config, run

from edgelam.errors import ConfigurationError
from edgelam.parallel.looped_device import lost_rows
from edgelam.parallel.looped_model import Batch, LoopedConfig, LoopedModel, train_alone
from edgelam.parallel.looped_split import (
    Split,
    equal_split,
    server_state,
    shard_state,
    weighted_split,
    whole_state,
    without,
)

STEPS = 20


@cache
def alone(**given: Any) -> tuple[LoopedModel, list[float]]:
    wanted = config(**given)
    return train_alone(wanted, partial(batches, pooled=wanted.head == "pooled"), STEPS, seed=1)


def assert_equal(done: Any, tolerance: float = 1e-10, **given: Any) -> None:
    model, losses = alone(**given)
    assert losses[-1] < 0.8 * losses[0], "the task must be learned, or equality says little"
    assert max(abs(a - b) for a, b in zip(losses, done.trained.losses, strict=True)) < tolerance
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(done.trained.weights[name], weight, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("nonlinearity", "inputs", "owner"),
    [("device", "replicated", None), ("server", "encoded", None), ("device", "encoded", "ue1")],
)
def test_without_a_network(nonlinearity: str, inputs: str, owner: str | None) -> None:
    assert_equal(run(config(nonlinearity=nonlinearity, inputs=inputs, owner=owner)))


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"nonlinearity": "server", "inputs": "encoded", "owner": "ue2"}, {}),
        ({"nonlinearity": "device", "inputs": "replicated", "owner": "ue0", "downlink": "multicast"}, {"loss": 0.01}),
    ],
)
def test_over_real_transfers(given: dict[str, Any], options: dict[str, Any]) -> None:
    done = run(config(**given), scenario="wired-star", options={"rate": "100Mbps", **options})
    assert_equal(done)
    if options:
        assert any(record.tag == "missing" for record in done.transfers), "nothing was lost, so nothing was repaired"


def test_a_pooled_head_that_sees_every_token() -> None:
    given = {"head": "pooled", "causal": False, "num_outputs": 4, "loops": 2}
    assert_equal(run(config(**given), batches=partial(batches, pooled=True)), **given)


@pytest.mark.parametrize(
    "split",
    [
        Split(("ue0", "ue1", "ue2"), (0, 6, 0), (191, 0, 1)),
        Split(("ue2", "ue0", "ue1"), (5, 1, 0), (0, 192, 0)),
    ],
)
def test_any_split(split: Split) -> None:
    assert_equal(run(config(loops=2), split=split), loops=2)


@pytest.mark.parametrize("inputs", ["replicated", "encoded"])
def test_the_owner_of_the_data_may_have_no_share(inputs: str) -> None:
    given = {"loops": 2, "inputs": inputs, "owner": "ue0"}
    assert_equal(run(config(**given), split=Split(("ue1", "ue2"), (2, 4), (92, 100))), loops=2)


def test_masked_sums_cost_rounding_only() -> None:
    assert_equal(run(config(secure_aggregation=True, loops=2)), tolerance=1e-9, loops=2)


def test_noise_changes_the_training_and_is_the_same_again() -> None:
    first, again = (run(config(noise=0.05, loops=2), steps=3).trained for _ in range(2))
    assert first.losses == again.losses
    _, losses = alone(loops=2)
    assert all(a != b for a, b in zip(losses, first.losses, strict=False))


def test_the_model_is_one_block_applied_again_and_again() -> None:
    """Against torch's own encoder layer with the same weights, used `loops` times."""
    model = LoopedModel(config(causal=False), seed=5)
    layer = torch.nn.TransformerEncoderLayer(
        48, 6, 192, dropout=0.0, activation=F.gelu, batch_first=True, dtype=torch.float64
    )
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(torch.cat([model.query.weight, model.key.weight, model.value.weight]))
        layer.self_attn.in_proj_bias.copy_(torch.cat([model.query.bias, model.key.bias, model.value.bias]))
        for mine, its in (
            (model.output, layer.self_attn.out_proj), (model.inner, layer.linear1), (model.outer, layer.linear2),
            (model.attention_norm, layer.norm1), (model.feed_forward_norm, layer.norm2),
        ):  # fmt: skip
            its.load_state_dict(mine.state_dict())
        ids = batches(0).inputs
        x = model.embedding_norm(model.tokens(ids) + model.positions.weight[: ids.shape[1]])
        for _ in range(4):
            x = layer(x)
        torch.testing.assert_close(model(ids), model.head(x), rtol=0, atol=1e-12)


def test_shards_put_together_are_the_whole() -> None:
    for inputs in ("replicated", "encoded"):
        wanted = config(inputs=inputs)
        state = LoopedModel(wanted, seed=2).state_dict()
        shards = {name: shard_state(state, wanted, UNEVEN, name) for name in UNEVEN.devices}
        whole = whole_state(server_state(state, wanted), shards, wanted, UNEVEN)
        assert whole.keys() == state.keys()
        assert all(torch.equal(whole[name], state[name]) for name in state)


def test_splits_by_weight() -> None:
    wanted = config()
    assert equal_split(wanted, ["a", "b", "c", "d"]) == Split(("a", "b", "c", "d"), (2, 2, 1, 1), (48,) * 4)
    assert weighted_split(wanted, ["a", "b"], [0, 2]) == Split(("a", "b"), (0, 6), (0, 192))
    assert without(Split(("a", "b", "c"), (3, 3, 0), (96, 96, 0)), wanted, ["b"]).share("a") == (6, 192)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: config(num_heads=5), "width 48 is not divisible by num_heads 5"),
        (lambda: config(loops=0), "loops is 0"),
        (lambda: config(nonlinearity="gpu"), "legal are server, device"),
        (lambda: config(secure_aggregation=True, nonlinearity="server"), "needs nonlinearity 'device'"),
        (lambda: Split(("a",), (-1,), (2,)), "heads of a: -1"),
        (lambda: Split(("a", "a"), (1, 1), (2, 2)), "names a device twice"),
        (
            lambda: Split(("a",), (6,), (100,)).check(config()),
            "the columns of the split are 100 = 100; the model has 192",
        ),
        (lambda: Batch(torch.full((1, 3), 50), torch.zeros(1, 3).long()).check(config()), "inputs hold 50 to 50"),
        (lambda: Batch(torch.zeros(1, 17).long(), torch.zeros(1, 17).long()).check(config()), "max_length is 16"),
    ],
)
def test_what_is_not_legal(wrong: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text.replace("(", r"\(").replace(")", r"\)").replace("+", r"\+")):
        wrong()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_rows_of_lost_bytes(data: st.DataObject) -> None:
    """Against bytes counted one by one."""
    rows, row_bytes = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 12))
    size = 4 + rows * row_bytes
    marks = data.draw(st.lists(st.integers(0, size), max_size=6).map(sorted))
    lost = [(begin, end) for begin, end in zip(marks[::2], marks[1::2], strict=False) if begin < end]
    gone = {byte for begin, end in lost for byte in range(begin, end)}
    expected = [row for row in range(rows) if any(4 + row * row_bytes + k in gone for k in range(row_bytes))]
    assert lost_rows(lost, size, rows).tolist() == expected


def test_weights_to_begin_with() -> None:
    begun = LoopedModel(config(loops=2), seed=9)
    done = run(config(loops=2), 1, weights=begun.state_dict())
    assert done.trained.losses == pytest.approx(train_alone(config(loops=2), batches, 1, model=begun)[1], abs=1e-12)
    wrong = {**begun.state_dict(), "inner.weight": torch.zeros(3)}
    with pytest.raises(ConfigurationError, match=r"'inner.weight' is \(3,\); by the configuration it is \(192, 48\)"):
        run(config(loops=2), 1, weights=wrong)


def test_configurations_have_defaults_that_are_legal() -> None:
    LoopedConfig()
