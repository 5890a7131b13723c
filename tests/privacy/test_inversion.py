# SPDX-License-Identifier: GPL-2.0-only
import pytest
import torch

from edgelam.errors import ConfigurationError
from edgelam.privacy import inversion
from edgelam.random_streams import torch_generator


def pairs(count, noise, *, bend=False, seed=1):
    """Inputs [count, 4], and 6 numbers of each: a linear map of them, or its square as well, with noise."""
    draw = torch_generator(seed)
    mixing = torch.randn(4, 6, generator=torch_generator(99))
    inputs = torch.randn(count, 4, generator=draw)
    seen = inputs @ mixing
    if bend:
        seen = torch.cat([seen[:, :2], (inputs @ mixing[:, 2:]).relu(), (-inputs @ mixing[:, 2:]).relu().sqrt()], dim=1)
    return seen + noise * torch.randn(seen.shape, generator=draw), inputs


def test_a_linear_map_is_inverted():
    inverse = inversion.learn_linear(*pairs(300, 0), seed=1)
    seen, inputs = pairs(50, 0, seed=2)
    assert inversion.share_explained(inverse(seen), inputs, torch.zeros(4)) > 0.9999


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_of_a_scalar_with_noise_what_theory_says_is_explained(noise):
    """y = x + n with unit variance of x: the best linear map explains 1 / (1 + noise^2) of the variance."""
    draw = torch_generator(3)
    inputs = torch.randn(40_000, 1, generator=draw)
    seen = inputs + noise * torch.randn(inputs.shape, generator=draw)
    inverse = inversion.learn_linear(seen[:20_000], inputs[:20_000], seed=1)
    share = inversion.share_explained(inverse(seen[20_000:]), inputs[20_000:], torch.zeros(1))
    assert share == pytest.approx(1 / (1 + noise**2), abs=0.015)


def test_a_network_learns_what_a_linear_map_cannot_and_is_never_worse_on_held_out_pairs():
    draw = torch_generator(5)
    angle = 6.28 * torch.rand(3000, 1, generator=draw)
    seen, inputs = torch.cat([angle.sin(), angle.cos()], dim=1), (2 * angle).sin()
    linear = inversion.learn_linear(seen[:2000], inputs[:2000], seed=1)
    both = inversion.learn_network(linear, seen[:2000], inputs[:2000], hidden=64, steps=300, seed=1)
    shares = [inversion.share_explained(each(seen[2000:]), inputs[2000:], torch.zeros(1)) for each in (linear, both)]
    assert shares[0] < 0.05
    assert shares[1] > 0.95
    noise = torch.randn(200, 2, generator=draw), torch.randn(200, 1, generator=draw)
    nothing = inversion.learn_linear(*noise, seed=1)
    assert inversion.learn_network(nothing, *noise, hidden=8, steps=10, seed=1)(seen).shape == (3000, 1)


def test_the_same_seed_gives_the_same_map():
    seen, inputs = pairs(100, 0.1, bend=True)
    found = []
    for _ in range(2):
        linear = inversion.learn_linear(seen, inputs, seed=7)
        found.append(inversion.learn_network(linear, seen, inputs, hidden=8, steps=20, seed=7)(seen))
    assert torch.equal(*found)


def test_what_cannot_be_learned_from_is_refused():
    seen, inputs = pairs(20, 0)
    with pytest.raises(ConfigurationError, match=r"\(9, 6\) seen of inputs \(9, 4\): .* 10 pairs or more"):
        inversion.learn_linear(seen[:9], inputs[:9], seed=1)
    with pytest.raises(ConfigurationError, match="not finite"):
        inversion.learn_linear(seen / 0, inputs, seed=1)
    linear = inversion.learn_linear(seen, inputs, seed=1)
    with pytest.raises(ConfigurationError, match="0 hidden units"):
        inversion.learn_network(linear, seen, inputs, hidden=0, steps=1, seed=1)
    with pytest.raises(ConfigurationError, match=r"this map takes \[T, 6\]"):
        linear(inputs)
    with pytest.raises(ConfigurationError, match="nothing to find"):
        inversion.share_explained(inputs[:1], inputs[:1], inputs[0])
