# SPDX-License-Identifier: GPL-2.0-only
"""Early exits of split inference: cuts, calibration, plans by hand, and the mean over inputs in packets."""

import dataclasses
import math
import sys
from pathlib import Path

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
    EarlyExit,
    Route,
    Side,
    Stage,
    answer,
    best,
    calibrated,
    choices_of,
    measured,
    predicted_s,
    with_leaving,
)
from edgelam.models.cuts import NestedCuts
from edgelam.models.cuts.text_cuts import TextCuts
from edgelam.models.nested.confidence import leave_early
from edgelam.random_streams import torch_generator

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from small_nested import CLASSES, TOKENS, VOCABULARY, text

CONFIDENCES = (0.0, 0.4, 0.6, 0.8)


@pytest.fixture(scope="module")
def cuts():
    return NestedCuts(text())


def inputs(count):
    generator = torch_generator(8)
    return [{"ids": torch.randint(VOCABULARY, (1, TOKENS), generator=generator)} for _ in range(count)]


def labels(count):
    return torch.randint(CLASSES, (count,), generator=torch_generator(9)).tolist()


def test_an_exit_of_a_cut_is_the_nested_models(cuts):
    assert cuts.stages == ("stem", "layer 0", "layer 1", "layer 2", "layer 3", "exit 4")
    assert cuts.exits == (3,)  # behind the stem and two layers
    assert NestedCuts(cuts.nested, 2).exits == ()
    (given,) = inputs(1)
    state = cuts.run(given, 0, 3)
    torch.testing.assert_close(cuts.leave(state, 3), cuts.nested(given["ids"])[2])
    with pytest.raises(ConfigurationError, match=r"NestedCuts has no exit at cut 2; legal are \[3\]"):
        cuts.leave(state, 2)
    with pytest.raises(ConfigurationError, match="the state before exit 2 lacks hidden"):
        cuts.leave({}, 3)


def test_calibrated_exits_leave_as_the_slow_code_says(cuts):
    samples, right = inputs(40), labels(40)
    exits = calibrated(cuts, samples, right)
    logits = {depth: torch.cat([cuts.nested(each["ids"])[depth] for each in samples]) for depth in (2, 4)}
    states = {3: [cuts.run(each, 0, 3) for each in samples]}
    chain = with_leaving(measured("nested", cuts, samples[0], ["fp32"]), exits, states, CONFIDENCES)
    for confidence in CONFIDENCES:
        _, depths = leave_early(logits, {2: exits.temperatures[3], 4: 1.0}, confidence)
        assert chain.exits[3].leaving[confidence] == pytest.approx(float((depths == 2).double().mean()))
    assert chain.exits[3].leaving[0.0] == 1
    with pytest.raises(ConfigurationError, match="confidences are"):
        with_leaving(chain, exits, states, [1.2])
    with pytest.raises(ConfigurationError, match="1 exits and 0 samples"):
        calibrated(cuts, [], [])


def side(flops_per_s, waiting_s=0.0):
    device = dataclasses.replace(profile("phone"), flops_per_s=flops_per_s, memory_bandwidth_bytes_per_s=1e30)
    return Side(device, waiting_s)


def chain_of(leaving):
    """Two stages of 10 and 30 operations, 20 and 5 bytes, an exit of 5 operations behind the first one."""
    none = (Work(),) * 3
    packing = (Work(), Work(10, 0), Work())
    stages = tuple(Stage(f"s{i}", Work(flops, 0), 1) for i, flops in enumerate((10, 30)))
    exits = {1: EarlyExit(Work(5, 0), leaving)}
    return Chain("toy", stages, {"fp32": (20, 5, 0)}, {"fp32": packing}, {"fp32": none}, exits)


def test_a_plan_with_an_exit_by_hand():
    chain = chain_of({0.5: 0.75, 0.9: 0.25})
    route = Route(side(10), side(100), Line(0.5, 0.1), Line(0.25, 0.0))
    beyond_s = (0.5 + 0.5) + 0.3 + 0.25
    assert predicted_s(chain, Choice(1, "fp32"), route) == pytest.approx(1 + 1 + beyond_s)
    assert predicted_s(chain, Choice(1, "fp32", 0.5), route) == pytest.approx(1.5 + 0.25 * (1 + beyond_s))
    assert predicted_s(chain, Choice(1, "fp32", 0.9), route) == pytest.approx(1.5 + 0.75 * (1 + beyond_s))
    every = choices_of(chain, ["fp32"])
    assert len(every) == 3 + 2
    assert best(chain, route, every)[0] == Choice(1, "fp32", 0.5)
    for wrong in (Choice(0, "fp32", 0.5), Choice(1, "fp32", 0.7)):
        with pytest.raises(ConfigurationError, match=r"legal are \{1: \[0.5, 0.9\]\}"):
            predicted_s(chain, wrong, route)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 10))
def test_the_more_leave_the_sooner_and_none_is_as_without_but_for_the_exit(first, second, byte_s):
    few, many = sorted((first, second))
    chain = chain_of({0.9: few, 0.5: many, 1.0: 0.0})
    route = Route(side(10), side(100), Line(0.0, byte_s), Line(0.0, 0.0))
    seconds = {c: predicted_s(chain, Choice(1, "fp32", c), route) for c in (None, 0.5, 0.9, 1.0)}
    assert seconds[0.5] <= seconds[0.9] + 1e-12
    assert seconds[1.0] == pytest.approx(seconds[None] + 0.5)


def test_exits_in_packets(cuts):
    """Each input that is sure enough sends nothing, the others cross; the mean is what was predicted."""
    samples = inputs(24)
    exits = calibrated(cuts, samples, labels(24))
    sure = [float(exits.answer(cuts.run(each, 0, 3), 3)[1]) for each in samples]
    confidence = sorted(sure)[9]  # 15 of 24 leave
    chain = measured("nested", cuts, samples[0], ["fp32"])
    chain = with_leaving(chain, exits, {3: [cuts.run(each, 0, 3) for each in samples]}, [confidence])

    async def main(sim):
        ue, edge, transport = sim.node("ue0"), sim.node("edge0"), Transport()
        links = fit(
            await probed(sim, [("ue0", "edge0"), ("edge0", "ue0")], (500, 5_000)), {"ue0": "ue", "edge0": "edge"}
        )
        route = Route(Side(ue.device), Side(edge.device), links.line("ue0", "edge0"), links.line("edge0", "ue0"))
        choice = Choice(3, "fp32", confidence)
        found = [
            await answer(ue, edge, cuts, each, choice, transport, name="nested", exits=exits) for each in samples
        ]  # fmt: skip
        plain = [await answer(ue, edge, cuts, each, Choice(3, "fp32"), transport, name="nested") for each in samples]
        with pytest.raises(ConfigurationError, match="needs calibrated exits"):
            await answer(ue, edge, cuts, samples[0], choice, transport, name="nested")
        await transport.close()
        return found, plain, predicted_s(chain, choice, route)

    devices = {"ue0": "phone,flops_per_s=1e8", "edge0": "cpu-server"}
    found, plain, predicted = cosim.simulate(main, scenario="wired-star", options={"rate": "5Mbps"}, devices=devices)
    early = [each.up_bytes == 0 for each in found]
    assert early == [each >= confidence for each in sure]
    assert sum(early) == 15
    for sample, each, whole in zip(samples, found, plain, strict=True):
        depth = 2 if each.up_bytes == 0 else 4
        assert int(each.answer) == int(cuts.nested(sample["ids"])[depth].argmax())
        assert whole.up_bytes == chain.crossing["fp32"][3]
        assert each.e2e_s == pytest.approx(each.near_s + each.up_s + each.far_s + each.down_s)
    assert sum(each.e2e_s for each in found) / 24 == pytest.approx(predicted, rel=0.1)
    assert math.isclose(found[early.index(True)].up_s, 0.0)


def test_a_model_without_exits_has_none():
    assert TextCuts.exits == ()
