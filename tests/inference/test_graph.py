# SPDX-License-Identifier: GPL-2.0-only
"""Graphs: what is refused before anything runs, and what the four routers do."""

import re

import pytest
import torch
from small_services import GRAPHS, declared, services

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.inference import (
    Condition,
    Graph,
    Request,
    Service,
    Serving,
    Step,
    TorchModule,
    catalogue,
    ensemble,
    sequence,
    splitter,
    switch,
    unshared,
)


def graph(answer=("label",), takes=("image",), **routers):
    return Graph("g", takes, answer, routers)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (graph(root=sequence("vision", "more"), more=sequence("again"), again=sequence("more")),
         "graph 'g' has a circle: more -> again -> more"),
        (graph(root=sequence("root")), "circle: root -> root"),
        (graph(root=sequence("vison", "label")), "'vison', which is neither a service nor a router; did you mean "
         "'vision'"),
        (graph(start=sequence("vision")), "has no router 'root'; it has: start"),
        (graph(root=sequence("vision", "label"), idle=sequence("vision")), "router 'idle' is never reached"),
        (graph(root=sequence("label")), "service 'label' takes 'seen', which is not there; there are: image"),
        (graph(root=sequence("vision", "label"), answer=("words",)), "answer 'words' is not there at the end; there "
         "are: image, label, seen"),
        (graph(root=sequence("vision", "label"), answer=()), "has no answer"),
        (graph(root=ensemble("vision", "one"), one=sequence("vision", "label")), "steps 'vision' and 'one' of Ensemble "
         "'root' both give seen"),
        (graph(root=sequence("vision", "vision2"), vision=sequence("label")), "'vision' is both a router and a "
         "service"),
        (graph(root=switch(Step("vision", Condition("size", ">", 1)), "label")), "a condition of 'root' reads 'size'"),
        (graph(root=sequence("vision", "pick"), pick=switch(Step("label", Condition("seen", ">", 0)), "vision")),
         "its answer 'label' is not there at the end"),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_run_is_refused(wrong, text):
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        wrong.check(services())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (sequence, "at least one step"),
        (lambda: sequence(Step("a", Condition("x", "<", 1))), "only a Switch has them"),
        (lambda: switch("a", "b"), "every step of a Switch but the last one needs a condition"),
        (lambda: splitter(Step("a", weight=0)), "must be above 0"),
        (lambda: Condition("x", "=", 1), "legal are: == != < <= > >="),
    ],
)
def test_wrong_routers_are_refused(make, text):
    with pytest.raises(ConfigurationError, match=text):
        make()


def test_the_graphs_of_the_tests_are_legal():
    for each in GRAPHS.values():
        each.check(services())
    copies, own = unshared(services(), GRAPHS)
    for each in own.values():
        each.check(copies)
    assert own["both"].services() == ["vision@both", "audio@both", "joint@both", "talk@both"]
    assert copies["vision@look"].weight_bytes == copies["vision@both"].weight_bytes


def adding(name, takes, gives, number):
    module = TorchModule(name, torch.nn.Identity(), (takes,), (gives,), lambda net, v: {gives: net(v[takes]) + number})
    return Service(name, module)


def answers(one, made, values):
    async def main(sim):
        serving = Serving(sim, made, {"g": one})
        serving.deploy({name: ["edge0"] for name in one.services()})
        asked = [Request(i, "ue0", "g", 0.0, {"x": torch.tensor([float(x)])}) for i, x in enumerate(values)]
        outcome = await serving.serve(asked)
        return outcome

    return cosim.simulate(main, nodes={"ue0": "ue", "edge0": "edge"})


def test_a_switch_takes_the_first_condition_that_holds():
    made = catalogue([adding("small", "x", "y", 10), adding("middle", "x", "y", 100), adding("large", "x", "y", 1000)])
    one = Graph(
        "g", ("x",), ("y",),
        {"root": switch(Step("small", Condition("x", "<", 3)), Step("middle", Condition("x", "<", 6)), "large")},
    )  # fmt: skip
    outcome = answers(one, made, (1, 3, 5, 6))
    assert [float(outcome.answers[i]["y"]) for i in range(4)] == [11, 103, 105, 1006]


def test_a_switch_without_a_branch_that_holds_fails_the_request():
    made = catalogue([adding("small", "x", "y", 10)])
    one = Graph("g", ("x",), ("y",), {"root": switch(Step("small", Condition("x", "<", 3)))})
    outcome = answers(one, made, (1, 5))
    assert [row.status for row in outcome.requests] == ["complete", "failed"]
    assert outcome.requests[1].reason == "no condition of Switch 'root' of graph 'g' holds"


def test_a_splitter_draws_by_weight_and_always_the_same():
    made = catalogue([adding("a", "x", "y", 1), adding("b", "x", "y", 2)])
    one = Graph("g", ("x",), ("y",), {"root": splitter(Step("a", weight=3), Step("b", weight=1))})
    first = answers(one, made, [0] * 200)
    drawn = [float(first.answers[i]["y"]) for i in range(200)]
    assert 120 <= drawn.count(1.0) <= 180  # 150 +- 5 standard deviations
    again = answers(one, made, [0] * 200)
    assert [row.answer for row in again.requests] == [row.answer for row in first.requests]


def test_a_service_that_two_branches_reach_with_the_same_value_is_called_once():
    made = catalogue([adding("shared", "x", "s", 1), adding("left", "s", "l", 1), adding("right", "s", "r", 2)])
    one = Graph(
        "g", ("x",), ("l", "r"), {"root": sequence("shared", "both"), "both": ensemble("left", "right")},
    )  # fmt: skip
    outcome = answers(one, made, (0,))
    assert {key: float(value) for key, value in outcome.answers[0].items()} == {"l": 2.0, "r": 3.0}
    assert [call.service for call in outcome.calls] == ["shared", "left", "right"]


def test_renames_join_two_services_of_one_module():
    module = TorchModule("add", torch.nn.Identity(), ("x",), ("y",), lambda net, v: {"y": net(v["x"]) + 1})
    made = catalogue([Service("one", module), Service("two", module, renames={"x": "y", "y": "z"})])
    outcome = answers(Graph("g", ("x",), ("y", "z"), {"root": sequence("one", "two")}), made, (4,))
    assert {key: float(value) for key, value in outcome.answers[0].items()} == {"y": 5.0, "z": 6.0}


def test_expected_visits_follow_weights():
    one = Graph(
        "g", ("x",), ("y",),
        {"root": sequence("a", "pick"), "pick": splitter(Step("b", weight=3), Step("deep")),
         "deep": ensemble("c", "d")},
    )  # fmt: skip
    assert dict(one.visits()) == {"a": 1.0, "b": 0.75, "c": 0.25, "d": 0.25}


def test_declared_sizes_are_checked():
    with pytest.raises(ConfigurationError, match="output_bytes is 0"):
        declared("d", ("x",), "y", output_bytes=0)
