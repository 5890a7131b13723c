# SPDX-License-Identifier: GPL-2.0-only
"""Tasks as data: which modules a request passes through, and which values go between them.

A node takes values by name: those that the request brings, and those that nodes before it give. Edges follow from that.
`join` puts tasks together in one graph; what two of them would compute from the same values is there once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgelam.errors import ConfigurationError
from edgelam.text import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from edgelam.modalities.catalogue import Modules

REQUEST = "request"
"""Stands in an edge for the user that sends a request."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A module in a task. takes, gives: value of the graph -> the module's own name for it; all that it gives."""

    module: str
    takes: Mapping[str, str]
    gives: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Edge:
    """A value that goes from a node, or from the request, to a node."""

    source: str
    target: str
    value: str


@dataclasses.dataclass(frozen=True)
class Task:
    """A kind of request: an acyclic graph of modules."""

    name: str
    takes: tuple[str, ...]
    """Values that the request brings."""
    answer: tuple[str, ...]
    """Values that go back to the user."""
    nodes: Mapping[str, Node]
    """By name."""

    def edges(self) -> list[Edge]:
        """Return all edges, in the order of the nodes that they lead to.

        Raises ConfigurationError if a value is there twice or not at all.
        """
        source = dict.fromkeys(self.takes, REQUEST)
        for name, node in self.nodes.items():
            for value in node.gives:
                if value in source:
                    raise ConfigurationError(
                        f"task {self.name!r}: {value!r} comes from {source[value]!r} and from {name!r}; "
                        "a value has one source"
                    )
                source[value] = name
        for value in (*self.answer, *(value for node in self.nodes.values() for value in node.takes)):
            if value not in source:
                raise ConfigurationError(f"task {self.name!r}: nothing gives {value!r}; {suggest(value, list(source))}")
        return [Edge(source[value], name, value) for name, node in self.nodes.items() for value in node.takes]

    def levels(self) -> list[list[str]]:
        """Return the nodes in the order in which they can run; those of one level do not wait for one another.

        Raises ConfigurationError if the graph has a circle.
        """
        waits = {name: set() for name in self.nodes}  # type: dict[str, set[str]]
        for edge in self.edges():
            if edge.source != REQUEST:
                waits[edge.target].add(edge.source)
        levels, done = [], set()  # type: list[list[str]], set[str]
        while len(done) < len(waits):
            level = [name for name, before in waits.items() if name not in done and before <= done]
            if not level:
                circle = ", ".join(name for name in waits if name not in done)
                raise ConfigurationError(f"task {self.name!r} has a circle among: {circle}")
            levels.append(level)
            done.update(level)
        return levels

    def run(self, inputs: Mapping[str, Tensor], modules: Modules) -> dict[str, Tensor]:
        """Compute all values of a request here, without a network. Raises ConfigurationError if an input is missing."""
        for name in self.takes:
            if name not in inputs:
                raise ConfigurationError(f"task {self.name!r} takes {', '.join(self.takes)}; {name!r} is missing")
        values = {name: inputs[name] for name in self.takes}
        for name in (name for level in self.levels() for name in level):
            node = self.nodes[name]
            given = modules[node.module].forward({own: values[value] for value, own in node.takes.items()})
            values |= {value: given[own] for value, own in node.gives.items()}
        return values


def join(name: str, *tasks: Task) -> Task:
    """Return one task that does all of them for one request.

    Values that requests of two tasks both bring are the same value. Nodes that run the same module on the same values
    become one. A value of which there would be two is called ``VALUE@TASK`` in the later task.
    """
    takes = tuple(dict.fromkeys(value for task in tasks for value in task.takes))
    nodes: dict[str, Node] = {}
    made: dict[tuple[object, ...], Mapping[str, str]] = {}  # module and values that it takes -> values that it gives
    answers: list[str] = []
    used = set(takes)
    for task in tasks:
        new = {value: value for value in task.takes}  # name in the task -> name in the whole
        for own_name in (own for level in task.levels() for own in level):
            node = task.nodes[own_name]
            node_takes = {new[value]: own for value, own in node.takes.items()}
            key = (node.module, tuple(sorted(node_takes.items())))
            if key not in made:
                gives = {}
                for value, own in node.gives.items():
                    renamed = value if value not in used else f"{value}@{task.name}"
                    used.add(renamed)
                    gives[renamed] = own
                made[key] = gives
                nodes[own_name if own_name not in nodes else f"{own_name}@{task.name}"] = Node(
                    node.module, node_takes, gives
                )
            value_of = {own: value for value, own in made[key].items()}
            new |= {value: value_of[own] for value, own in node.gives.items()}
        answers += [new[value] for value in task.answer]
    return Task(name, takes, tuple(dict.fromkeys(answers)), MappingProxyType(nodes))


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_SEE = {
    "image-encoder": Node("dinov2-small", _same("image"), _same("image_features")),
    "image-projector": Node("image-projector", _same("image_features"), _same("image_tokens")),
}
_HEAR = {"speech-encoder": Node("whisper-encoder", _same("speech"), _same("speech_states"))}
_WRITE = {"speech-decoder": Node("whisper-decoder", _same("speech_states"), _same("transcript"))}
_PROMPT = _same("ids", "soft", "most_tokens")
_BACKBONE = {"backbone": Node("smollm2-135m", _PROMPT, _same("answer", "state"))}


def _prompt(module: str, **takes: str) -> dict[str, Node]:
    return {"prompt": Node(module, takes, _PROMPT)}


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "image-text",
            ("image",),
            ("answer",),
            {**_SEE, **_prompt("prompt-caption", image_tokens="image_tokens"), **_BACKBONE},
        ),
        Task(
            "image-question",
            ("image", "question"),
            ("answer",),
            {**_SEE, **_prompt("prompt-image", image_tokens="image_tokens", question="question"), **_BACKBONE},
        ),
        Task(
            "image-speech",
            ("image", "speech"),
            ("answer",),
            {
                **_SEE,
                **_HEAR,
                **_WRITE,
                **_prompt("prompt-image", image_tokens="image_tokens", transcript="question"),
                **_BACKBONE,
            },
        ),
        Task("speech-text", ("speech",), ("transcript",), {**_HEAR, **_WRITE}),
        Task(
            "spoken-question",
            ("speech",),
            ("answer",),
            {**_HEAR, **_WRITE, **_prompt("prompt-question", transcript="question"), **_BACKBONE},
        ),
        Task(
            "spoken-word",
            ("speech",),
            ("answer",),
            {
                **_HEAR,
                "speech-projector": Node("speech-projector", _same("speech_states"), _same("speech_tokens")),
                **_prompt("prompt-word", speech_tokens="speech_tokens"),
                **_BACKBONE,
            },
        ),
        Task(
            "sensor-text",
            ("series",),
            ("activity", "answer"),
            {
                "sensor-tokenizer": Node("sensor-tokenizer", _same("series"), _same("sensor_patches")),
                "sensor-encoder": Node("sensor-encoder", _same("sensor_patches"), _same("sensor_features")),
                "activity-classifier": Node("activity-classifier", _same("sensor_features"), _same("activity")),
                **_prompt("prompt-activity", activity="activity"),
                **_BACKBONE,
            },
        ),
        Task(
            "text-speech",
            ("question",),
            ("answer", "spoken"),
            {
                **_prompt("prompt-question", question="question"),
                **_BACKBONE,
                "voice": Node("piper-joe", _same("answer"), _same("spoken")),
            },
        ),
        Task(
            "text-image",
            ("request", "noise_seed"),
            ("picture",),
            {
                **_prompt("prompt-picture", request="request"),
                **_BACKBONE,
                "picture-projector": Node("picture-projector", _same("state"), _same("condition")),
                "image-decoder": Node("digit-decoder", _same("condition", "noise_seed"), _same("picture")),
            },
        ),
    )
}
"""The tasks that come with edgelam."""


def task_of(name: str) -> Task:
    """Return the task of this name. Raises ConfigurationError, with the existing names, if there is none."""
    if name not in TASKS:
        raise ConfigurationError(f"no task is called {name!r}; {suggest(name, list(TASKS))}")
    return TASKS[name]
