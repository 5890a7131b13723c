# SPDX-License-Identifier: GPL-2.0-only
"""Libraries: sizes of unions, and the declared families."""

import numpy as np
import pytest

from edgelam.caching.families import frozen_bottoms, layer_parameters
from edgelam.caching.library import Library
from edgelam.errors import ConfigurationError


@pytest.mark.parametrize(
    ("root", "parameters"), [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_resnets_have_their_published_sizes(root, parameters):
    assert sum(layer_parameters(root)) == parameters


@pytest.mark.parametrize("size", ["lite0", "lite2"])
def test_efficientnets_have_the_sizes_of_the_model(size):
    from edgelam.models.efficientnet_lite import EfficientNetLite

    model = EfficientNetLite(size)
    found = layer_parameters(f"efficientnet-{size}")
    assert len(found) == 10  # stem, seven stages, head, classifier
    assert sum(found) == sum(parameter.numel() for parameter in model.parameters())
    assert found[0] == sum(parameter.numel() for parameter in model.stem.parameters())
    assert found[-1] == 1280 * 1000 + 1000
    assert layer_parameters(f"efficientnet-{size}", 10) == [*found[:-1], 12_810]


def test_models_of_a_root_share_their_frozen_bottom_and_nothing_else():
    library = frozen_bottoms(12, np.random.default_rng(3), bytes_per_parameter=1)
    assert library.declared
    for i in range(12):
        own = library.needs[i] & ~library.shared
        assert library.block_bytes[own].sum() >= 512 * 100  # the classifier at least
        for k in range(i):
            common = [library.blocks[j] for j in np.flatnonzero(library.needs[i] & library.needs[k])]
            roots = [library.models[m].split("-")[0] for m in (i, k)]
            assert common == ([f"{roots[0]}/{layer}" for layer in range(len(common))] if roots[0] == roots[1] else [])
            assert bool(common) == (roots[0] == roots[1])
    alone = frozen_bottoms(12, np.random.default_rng(3), bytes_per_parameter=1, share=False)
    assert (alone.model_bytes == library.model_bytes).all()
    assert not alone.shared.any()
    every = np.ones(12, dtype=bool)
    assert library.union_bytes(every) < 0.75 * alone.union_bytes(every)
    assert library.unshared().union_bytes(every) == alone.union_bytes(every) == library.model_bytes.sum()


def test_what_is_not_legal_is_refused():
    with pytest.raises(ConfigurationError, match="has 2 bytes, elsewhere 1"):
        Library.of_lists([("a", [("x", 1)]), ("b", [("x", 2)])])
    with pytest.raises(ConfigurationError, match="of one name"):
        Library.of_lists([("a", [("x", 1)]), ("a", [("y", 2)])])
    with pytest.raises(ConfigurationError, match="model 'a' has no blocks"):
        Library.of_lists([("a", []), ("b", [("y", 2)])])
    with pytest.raises(ConfigurationError, match="it has at least 1"):
        Library.of_lists([("a", [("x", 0)])])
    with pytest.raises(ConfigurationError, match="legal are resnet18, resnet34, resnet50, efficientnet-lite0"):
        layer_parameters("vgg")
    with pytest.raises(ConfigurationError, match="a family of 0 tasks"):
        frozen_bottoms(0, np.random.default_rng(1))
    with pytest.raises(ConfigurationError, match="least_frozen = 2"):
        frozen_bottoms(3, np.random.default_rng(1), least_frozen=2)
