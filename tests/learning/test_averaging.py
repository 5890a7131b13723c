# SPDX-License-Identifier: GPL-2.0-only
"""Aggregation worked out by hand."""

import pytest
import torch

from edgelam.cosim.devices import MemoryPool
from edgelam.errors import ConfigurationError, OutOfDeviceMemory
from edgelam.federated.evaluation import local_weights
from edgelam.learning.averaging import weighted_average
from edgelam.learning.memory import borrowed, saved_for_backward, training_bytes


def test_weighted_average_by_hand() -> None:
    parts = [{"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([5.0, -2.0])}, {"a": torch.tensor([0.0, 8.0])}]
    # (1*1 + 3*5 + 4*0)/8 and (1*2 - 3*2 + 4*8)/8
    assert weighted_average(parts, [1, 3, 4])["a"].tolist() == [2.0, 3.5]
    assert weighted_average(parts, [0, 2, 0])["a"].tolist() == [5.0, -2.0]
    assert weighted_average(parts[:1], [7])["a"].tolist() == [1.0, 2.0]
    assert weighted_average([{"a": torch.ones(1, dtype=torch.float64)}], [1])["a"].dtype == torch.float64


def test_what_cannot_be_averaged_is_refused() -> None:
    part = {"a": torch.ones(1)}
    for parts, weights in (
        ([], []),
        ([part], [1, 2]),
        ([part], [0]),
        ([part, part], [2, -1]),
        ([part, {"b": part["a"]}], [1, 1]),
    ):
        with pytest.raises(ConfigurationError):
            weighted_average(parts, weights)


def test_local_weights_by_hand() -> None:
    labels = torch.tensor([0, 0, 1, 2]).numpy()
    assert local_weights(labels, torch.tensor([0.5, 0.5, 0.0]).numpy()).tolist() == [0.25, 0.25, 0.5, 0.0]  # type: ignore[union-attr]
    assert local_weights(labels, torch.tensor([0.0, 0.0, 0.0, 1.0]).numpy()) is None


def test_memory_by_hand() -> None:
    linear = torch.nn.Linear(4, 3)
    assert training_bytes([linear], 2) == (15 * 4, 15 * 4 * 3)
    linear.bias.requires_grad_(False)
    assert training_bytes([linear], 0) == (15 * 4, 12 * 4)
    x = torch.randn(5, 4)
    with saved_for_backward(linear) as saved:
        y = linear(x)
        z = torch.exp(y)
    # the input of the linear layer (its weight is no activation) and the result of exp
    assert saved.num_bytes == (5 * 4 + 5 * 3) * 4
    z.sum().backward()


def test_borrowed_memory_is_given_back_however_the_block_is_left() -> None:
    pool = MemoryPool("ue0", 100)
    pool.allocate("model", 40)
    with borrowed(pool) as take:
        take("activations", 20)
        take("activations", 50)  # replaces the 20
        take("received", 10)
        assert pool.used_bytes == 100
    assert (pool.held(), pool.peak_bytes) == ({"model": 40}, 100)
    with borrowed(pool) as take:
        take("activations", 10)
        with pytest.raises(OutOfDeviceMemory, match="61"):
            take("received", 61)
    assert pool.held() == {"model": 40}
