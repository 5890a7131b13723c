# SPDX-License-Identifier: GPL-2.0-only
"""Tasks as data: edges, order, joined tasks, and the graphs that `edgelam.inference` gets, with small modules."""

import itertools

import pytest
import torch

from edgelam.errors import ConfigurationError
from edgelam.inference import TorchModule, catalogue
from edgelam.modalities import MODULES, TASKS, Edge, Modules, Node, Task, join, served, task_of


class Small:
    """Modules by name, each with the inputs and outputs that tasks say, which add up their inputs; counts calls."""

    def __init__(self, *tasks):
        self.calls = []
        self.own = {}
        for node in (node for task in tasks for node in task.nodes.values()):
            self.own.setdefault(node.module, (tuple(node.takes.values()), tuple(node.gives.values())))

    def __getitem__(self, name):
        takes, gives = self.own[name]

        def call(network, inputs):
            self.calls.append(name)
            total = sum(inputs[key] for key in takes)
            return {key: total + len(name) + number for number, key in enumerate(gives)}

        return TorchModule(name, torch.nn.Module(), takes, gives, call)


def values_of(task):
    return {name: torch.tensor([float(10 * number)]) for number, name in enumerate(task.takes)}


def test_edges_and_levels_of_a_task():
    task = TASKS["image-speech"]
    assert Edge("speech-decoder", "prompt", "transcript") in task.edges()
    assert Edge("request", "image-encoder", "image") in task.edges()
    assert task.levels() == [
        ["image-encoder", "speech-encoder"], ["image-projector", "speech-decoder"], ["prompt"], ["backbone"],
    ]  # fmt: skip


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_is_whole_and_can_be_served(task):
    assert {node.module for node in task.nodes.values()} <= set(MODULES)
    services, graphs = served([task], Small(task))
    graphs[task.name].check(services)
    assert len(graphs[task.name].services()) == len(task.nodes)


def test_what_is_wrong_with_a_task_is_said():
    def node(takes, gives):
        return Node("m", {name: name for name in takes}, {name: name for name in gives})

    circle = Task("t", ("x",), ("a",), {"one": node("xb", "a"), "two": node("a", "b")})
    with pytest.raises(ConfigurationError, match=r"'t' has a circle among: one, two"):
        circle.levels()
    with pytest.raises(ConfigurationError, match=r"nothing gives 'y'"):
        Task("t", ("x",), ("a",), {"one": node("y", "a")}).edges()
    with pytest.raises(ConfigurationError, match=r"'a' comes from 'one' and from 'two'"):
        Task("t", ("x",), ("a",), {"one": node("x", "a"), "two": node("x", "a")}).edges()
    with pytest.raises(ConfigurationError, match=r"did you mean 'image-text'"):
        task_of("image-txt")
    with pytest.raises(ConfigurationError, match="'image' is missing"):
        TASKS["image-text"].run({}, Modules())
    with pytest.raises(ConfigurationError, match="no module is called 'dino'"):
        Modules()["dino"]
    with pytest.raises(ConfigurationError, match="'minilm' cannot have random weights"):
        Modules(["minilm"])


def test_two_tasks_with_two_modalities_each_share_the_image_encoder_which_computes_once():
    first, second = TASKS["image-question"], TASKS["image-speech"]
    both = join("both", first, second)
    assert both.takes == ("image", "question", "speech")
    assert both.answer == ("answer", "answer@image-speech")
    modules = Small(first, second)
    inputs = values_of(both)
    values = both.run(inputs, modules)
    assert [modules.calls.count(name) for name in ("dinov2-small", "image-projector", "smollm2-135m")] == [1, 1, 2]
    for task, answer in ((first, "answer"), (second, "answer@image-speech")):
        assert torch.equal(task.run(inputs, modules)["answer"], values[answer])


@pytest.mark.parametrize("names", list(itertools.combinations(TASKS, 2)), ids="+".join)
def test_joined_tasks_give_what_each_gives_alone(names):
    tasks = [TASKS[name] for name in names]
    both = join("both", *tasks)
    modules = Small(*tasks)
    inputs = values_of(both)
    values = both.run(inputs, modules)
    answers = iter(both.answer)
    found = [values[name] for name in answers]
    for task in tasks:
        alone = task.run(inputs, modules)
        for name in task.answer:
            assert any(torch.equal(alone[name], value) for value in found)
    services, graphs = served([both, *tasks], modules)
    for graph in graphs.values():
        graph.check(catalogue(services.values()))


def test_tasks_that_are_served_side_by_side_share_services():
    tasks = [TASKS["image-text"], TASKS["image-question"], TASKS["spoken-word"]]
    services, graphs = served(tasks, Small(*tasks), encodings={"dinov2-small": "fp16"})
    assert sorted(services) == [
        "dinov2-small", "image-projector", "prompt-caption", "prompt-image", "prompt-word", "smollm2-135m",
        "speech-projector", "whisper-encoder",
    ]  # fmt: skip
    assert services["dinov2-small"].encoding == "fp16"
    assert "dinov2-small" in graphs["image-text"].services()
    assert "dinov2-small" in graphs["image-question"].services()


def test_branches_of_a_graph_run_at_the_same_time():
    task = TASKS["image-speech"]
    _, graphs = served([task], Small(task))
    routers = graphs[task.name].routers
    (ensemble,) = [router for router in routers.values() if router.kind == "Ensemble"]
    branches = [[step.name for step in routers[branch.name].steps] for branch in ensemble.steps]
    assert branches == [["dinov2-small", "image-projector"], ["whisper-encoder", "whisper-decoder"]]
    assert [step.name for step in routers["root"].steps][1:] == ["prompt-image:prompt", "smollm2-135m"]
