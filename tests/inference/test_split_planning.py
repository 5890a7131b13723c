# SPDX-License-Identifier: GPL-2.0-only
"""Split inference: plans against exhaustive search, and the planned cut against every cut run over the network."""

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam import cosim
from edgelam.cosim.devices import profile
from edgelam.cosim.transport import Transport
from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.inference.calibration import Line, fit, probed
from edgelam.inference.split import (
    Chain,
    Choice,
    Neurosurgeon,
    Planner,
    Route,
    Side,
    Stage,
    answer,
    best,
    choices_of,
    edge_shard,
    measured,
    predicted_s,
)
from edgelam.inference.split.wire import packed, unpacked
from edgelam.models.cuts import EfficientNetCuts
from edgelam.models.efficientnet_lite import EfficientNetLite
from edgelam.random_streams import torch_generator

FORMATS = ("fp32", "int8")


def side(flops_per_s, *, waiting_s=0.0, memory_bytes=10**9):
    device = dataclasses.replace(
        profile("phone"), flops_per_s=flops_per_s, memory_bandwidth_bytes_per_s=1e30, memory_bytes=memory_bytes
    )
    return Side(device, waiting_s)


def chain_of(flops, sizes, *, weights=None):
    stages = tuple(Stage(f"s{i}", Work(f, 0), (weights or [1] * len(flops))[i]) for i, f in enumerate(flops))
    none = (Work(),) * (len(flops) + 1)
    return Chain("toy", stages, {"fp32": (*sizes, 0)}, {"fp32": none}, {"fp32": none})


def test_a_plan_by_hand():
    # 1, 2, 3 s on the device; 0.1, 0.2, 0.3 s on the server; 10 B/s up
    chain = chain_of([10, 20, 30], [50, 5, 40])
    route = Route(side(10), side(100), Line(0.5, 0.1), Line(0.25, 0.0))
    seconds = [predicted_s(chain, Choice(cut, "fp32"), route) for cut in range(4)]
    assert seconds == pytest.approx([5.5 + 0.6 + 0.25, 1 + 1 + 0.5 + 0.25, 3 + 4.5 + 0.3 + 0.25, 6])
    every = choices_of(chain, ["fp32"])
    assert best(chain, route, every) == (Choice(1, "fp32"), pytest.approx(2.75))
    waiting = dataclasses.replace(route, far=side(100, waiting_s=10))
    assert best(chain, waiting, every)[0].cut == 3
    assert best(chain, route, choices_of(chain, ["fp32"], [0, 3]))[0].cut == 3
    full = dataclasses.replace(route, near=side(10, memory_bytes=1), far=side(100, memory_bytes=1))
    with pytest.raises(ConfigurationError, match="no cut of toy fits: its weights are 3 bytes, the device has 1"):
        best(chain, full, every)


def test_a_planner_changes_its_mind_only_for_a_gain():
    chain = chain_of([10, 10], [20, 10])
    planner = Planner(chain, choices_of(chain, ["fp32"]), margin=0.2)
    route = Route(side(10), side(1e9), Line(0, 0.01), Line(0, 0))
    assert planner.choose(route).cut == 0  # 0.2 s
    slower = dataclasses.replace(route, up=Line(0, 0.11))  # cut 0: 2.2 s, cut 2: 2 s
    assert (planner.choose(slower).cut, planner.changes) == (0, 0)
    assert (planner.choose(dataclasses.replace(route, up=Line(0, 0.2))).cut, planner.changes) == (2, 1)
    with pytest.raises(ConfigurationError, match="legal are one or more, and 0 to 1"):
        Planner(chain, [], margin=0.1)


@settings(deadline=None)
@given(st.data())
def test_edge_shard_is_exhaustive_search(data):
    draw = data.draw
    stages, nodes = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    numbers = st.integers(1, 50)
    weights = [draw(st.integers(1, 3)) for _ in range(stages)]
    chain = chain_of([draw(numbers) for _ in range(stages)], [draw(numbers) for _ in range(stages)], weights=weights)
    names = ["ue", "edge", "cloud"][:nodes]
    sides = {n: side(draw(numbers), waiting_s=draw(numbers) / 10, memory_bytes=draw(st.integers(1, 8))) for n in names}
    lines = {pair: Line(draw(numbers) / 10, draw(numbers) / 100) for pair in itertools.permutations(names, 2)}
    least = math.inf
    for owners in itertools.product(names, repeat=stages):
        runs = [(name, len(list(group))) for name, group in itertools.groupby(owners)]
        if len({name for name, _ in runs}) < len(runs):
            continue  # a node has one part
        if any(
            sum(w for w, o in zip(weights, owners, strict=True) if o == n) > sides[n].device.memory_bytes for n in names
        ):
            continue
        seconds, at, place = 0.0, 0, "ue"
        for name, count in runs:
            if name != place:
                seconds += lines[place, name].seconds(chain.crossing["fp32"][at])
            seconds += sides[name].waiting_s + sides[name].seconds(chain.work(at, at + count))
            at, place = at + count, name
        least = min(least, seconds + (0.0 if place == "ue" else lines[place, "ue"].seconds(4)))
    if math.isinf(least):
        with pytest.raises(ConfigurationError, match="no division of toy fits the memories"):
            edge_shard(chain, sides, lambda a, b: lines[a, b], "fp32")
        return
    parts, seconds = edge_shard(chain, sides, lambda a, b: lines[a, b], "fp32")
    assert seconds == pytest.approx(least)
    assert [first for _, first, _ in parts] == [0, *(last for _, _, last in parts[:-1])]
    assert parts[-1][2] == stages


def test_what_crosses_is_what_was_measured():
    state = {"hidden": torch.randn(1, 3, 40, generator=torch_generator(1)), "ids": torch.tensor([[7, 65535]]),
             "mask": torch.tensor([[True, False]])}  # fmt: skip
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    for form, size in (("fp32", 480), ("fp16", 240), ("int8", 3 * (40 + 4)), ("int4/20", 3 * (20 + 4))):
        message = packed(state, form)
        from edgelam.cosim.encoding import wire_size

        assert wire_size(message, "exact") == size + 4 + 2
        again = unpacked(message, form, shapes)
        assert torch.equal(again["ids"], state["ids"])
        assert torch.equal(again["mask"], state["mask"])
        assert (again["hidden"] - state["hidden"]).abs().max() < (0.5 if form.startswith("int4") else 0.02)
    assert packed({"ids": torch.tensor([70_000])}, "fp32")["ids"].dtype == torch.int32
    with pytest.raises(ConfigurationError, match=r"legal are intB, .*; and fp32, fp16"):
        measured("x", EfficientNetCuts(EfficientNetLite()), {}, ["int9x"])


@pytest.fixture(scope="module")
def small():
    """A CNN whose maps shrink on the way, and an image."""
    torch.manual_seed(1)
    cuts = EfficientNetCuts(EfficientNetLite("lite0").eval())
    return cuts, {"image": torch.randint(256, (1, 3, 224, 224), generator=torch_generator(1), dtype=torch.uint8)}


@pytest.mark.parametrize(("rate", "inner"), [("2Mbps", True), ("200Mbps", False)])
def test_the_planned_choice_is_the_best_of_all_that_are_run(small, rate, inner):
    cuts, image = small
    chain = measured("lite0", cuts, image, FORMATS)
    devices = {"ue0": "phone,flops_per_s=2e9", "edge0": "cpu-server"}

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        roles = {node.name: node.role for node in sim.nodes.values()}
        links = fit(await probed(sim, [("ue0", "edge0"), ("edge0", "ue0")], (500, 20_000, 200_000)), roles)
        route = Route(Side(ue.device), Side(edge.device), links.line("ue0", "edge0"), links.line("edge0", "ue0"))
        transport, taken, answers = Transport(), {}, set()
        for cut, form in itertools.product(range(len(cuts.stages) + 1), FORMATS):
            choice = Choice(cut, form)
            found = await answer(ue, edge, cuts, image, choice, transport, name="lite0")
            assert found.e2e_s == pytest.approx(found.near_s + found.up_s + found.far_s + found.down_s)
            assert found.up_bytes == chain.crossing[form][cut]
            taken[choice] = (found.e2e_s, predicted_s(chain, choice, route))
            if form == "fp32":
                answers.add(int(found.answer))
        await transport.close()
        return best(chain, route, choices_of(chain, FORMATS))[0], taken, answers

    planned, taken, answers = cosim.simulate(main, scenario="wired-star", options={"rate": rate}, devices=devices)
    assert len(answers) == 1  # every cut gives the same class
    assert taken[planned][0] == pytest.approx(min(seconds for seconds, _ in taken.values()), rel=1e-6)
    assert (0 < planned.cut < len(cuts.stages)) == inner  # maps shrink on the way
    errors = sorted(abs(predicted / seconds - 1) for seconds, predicted in taken.values())
    assert errors[len(errors) // 2] < 0.1


def test_neurosurgeon_learns_from_other_models(small):
    cuts, image = small
    chain = measured("lite0", cuts, image, ["fp32"])
    near, far = side(1e10), side(1e12)
    surgeon = Neurosurgeon([chain_of([10**6, 10**8, 10**7], [1, 1, 1])], near, far)
    for byte_s in (1e-9, 1e-7, 1e-5):
        route = Route(near, far, Line(0.0, byte_s), Line(0.0, byte_s))
        assert surgeon.choose(chain, route) == best(chain, route, choices_of(chain, ["fp32"]))[0]
    with pytest.raises(ConfigurationError, match="no layers to learn from"):
        Neurosurgeon([], near, far)
