# SPDX-License-Identifier: GPL-2.0-only
"""What modules cost: counted work against hand-computed numbers, and batches against real ones."""

import pytest
import torch
from small_services import Talker, linear
from torch import nn

from edgelam.cosim.work import count
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.inference import Computing, TorchModule
from edgelam.inference.computing import batched
from edgelam.inference.module import values_hash, weights_hash


def run(module, **inputs):
    return Computing().run(module, inputs)


def test_a_linear_layer_costs_what_one_works_out():
    module = TorchModule("one", nn.Linear(100, 40, bias=False), ("x",), ("y",))
    (step,) = run(module, x=torch.ones(3, 100)).steps
    assert step.work.flops == 2 * 3 * 100 * 40
    assert step.weight_traffic == module.weight_bytes == 4 * 100 * 40
    assert step.work.bytes == 4 * (3 * 100 + 100 * 40 + 3 * 40)


def test_memory_is_the_most_that_is_held_at_a_time():
    """Input 3 x 100; three intermediate tensors of 3 x 1000, of which at most two are held; output 3 x 10."""
    network = nn.Sequential(nn.Linear(100, 1000), nn.ReLU(), nn.ReLU(), nn.Linear(1000, 10))
    result = run(TorchModule("net", network, ("x",), ("y",)), x=torch.ones(3, 100))
    assert result.memory_bytes == 4 * (300 + 2 * 3000)


@pytest.mark.parametrize("size", [2, 5])
def test_a_batch_costs_what_a_real_batch_costs(size):
    module = linear("deep", ("x",), "y", depth=4)
    computing = Computing()
    xs = [torch.randn(1, 64, generator=torch.Generator().manual_seed(i)) for i in range(size)]
    steps = [computing.run(module, {"x": x}).steps[0] for x in xs]
    with torch.no_grad():
        joined = torch.cat(xs)
        real = count(module.network, joined)
    work = batched(steps)
    assert work.flops == real.flops
    # the function of the module copies its input once more
    assert work.bytes == pytest.approx(real.bytes, rel=0.01)
    assert batched(steps[:1]) == steps[0].work


def test_a_look_up_reads_no_whole_table():
    table = TorchModule("table", nn.Embedding(50_000, 64), ("ids",), ("rows",))
    (step,) = run(table, ids=torch.tensor([1, 2, 3])).steps
    assert step.weight_traffic == 0
    assert step.work.bytes < 5000


def test_a_module_that_generates_has_a_step_for_each_token():
    talker = Talker(tokens=5)
    result = run(talker, joint=torch.zeros(1, 64))
    assert len(result.steps) == 5
    assert torch.equal(torch.cat([step.gives["tokens"] for step in result.steps]), result.outputs["tokens"])
    works = [step.work.flops for step in result.steps]
    assert len(set(works)) == 1
    assert works[0] >= 2 * (2 * 64 * 192 + 64 * 500)


def test_equal_inputs_are_computed_once():
    computing, module = Computing(), linear("deep", ("x",), "y")
    first = computing.run(module, {"x": torch.ones(1, 64)})
    assert computing.run(module, {"x": torch.ones(1, 64)}) is first
    computing.run(module, {"x": torch.zeros(1, 64)})
    computing.run(linear("deep", ("x",), "y", seed=9), {"x": torch.ones(1, 64)})
    assert computing.computed == 3


def test_hashes_depend_on_values_names_shapes_and_types():
    a = torch.arange(6.0)
    variants = [{"a": a}, {"b": a}, {"a": a.reshape(2, 3)}, {"a": a.double()}, {"a": a + 1e-6}]
    assert len({values_hash(values) for values in variants}) == len(variants)
    assert values_hash({"a": a, "b": a}) == values_hash({"b": a, "a": a})
    one, other = nn.Linear(3, 3), nn.Linear(3, 3)
    assert weights_hash(one) != weights_hash(other)
    other.load_state_dict(one.state_dict())
    assert weights_hash(one) == weights_hash(other)


def test_outputs_that_were_not_promised_are_refused():
    module = TorchModule("odd", nn.Identity(), ("x",), ("y",), lambda net, values: {"z": net(values["x"])})
    with pytest.raises(ConfigurationError, match="module 'odd' gives z, and says that it gives y"):
        run(module, x=torch.ones(1))


@pytest.mark.parametrize("given", [[1, 2], {"y": 3.0}, None, {"y": None}])
def test_outputs_that_are_no_tensors_are_refused(given):
    module = TorchModule("odd", nn.Identity(), ("x",), ("y",), lambda net, values: given)
    with pytest.raises(ConfigurationError, match=r"module 'odd' gives (y|its output) as \w+; legal is"):
        run(module, x=torch.ones(1))


def test_a_generator_that_returns_nothing_is_refused():
    class Forgetful(Talker):
        def generate(self, inputs):
            yield {"tokens": inputs["joint"]}

    with pytest.raises(ConfigurationError, match="module 'talker' gives its output as NoneType"):
        run(Forgetful(), joint=torch.ones(1, 64))


def test_what_a_module_raises_is_said_with_its_place():
    module = TorchModule("odd", nn.Linear(3, 3), ("x",), ("y",))
    with pytest.raises(EdgelamError, match=r"module 'odd' fails: RuntimeError: .*\.py:\d+\)$"):
        run(module, x=torch.ones(2))
