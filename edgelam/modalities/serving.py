# SPDX-License-Identifier: GPL-2.0-only
"""Tasks as services and graphs of `edgelam.inference`.

Nodes of any tasks that run the same module under the same names are one service, so they share its instances.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgelam.inference.graph import ROOT, Graph, Router, ensemble, sequence
from edgelam.inference.service import Service
from edgelam.modalities.catalogue import Modules
from edgelam.modalities.tasks import REQUEST, Task


def served(
    tasks: Iterable[Task], modules: Modules, *, encodings: Mapping[str, str] | None = None
) -> tuple[dict[str, Service], dict[str, Graph]]:
    """Return the services and graphs of tasks, both by name.

    A service has the name of its module; if a task has other names for its values, the node's name follows
    (``prompt-image:prompt@image-speech``). encodings: module -> number format of its outputs on the wire, instead of
    fp32.
    """
    services: dict[str, Service] = {}
    graphs: dict[str, Graph] = {}
    for task in tasks:
        names: dict[str, str] = {}
        for label, node in task.nodes.items():
            renames = {own: value for value, own in (*node.takes.items(), *node.gives.items()) if own != value}
            name = node.module if not renames else f"{node.module}:{label}"
            while name in services and services[name].renames != renames:
                name += f"@{task.name}"
            module = modules[node.module]
            encoding = (encodings or {}).get(node.module, "fp32")
            services.setdefault(name, Service(name, module, encoding=encoding, renames=renames))
            names[label] = name
        graphs[task.name] = Graph(task.name, task.takes, task.answer, _Routers(task, names).all)
    return services, graphs


class _Routers:
    """The routers of a task: one after the other what waits for one another, at the same time what does not.

    Where two branches need the same node, all that both need runs before either of them.
    """

    def __init__(self, task: Task, names: Mapping[str, str]) -> None:
        self._names = names
        order = [name for level in task.levels() for name in level]
        self._before: dict[str, set[str]] = {name: set() for name in order}
        edges = [edge for edge in task.edges() if edge.source != REQUEST]
        for name in order:
            for edge in edges:
                if edge.target == name:
                    self._before[name] |= {edge.source} | self._before[edge.source]
        self.all: dict[str, Router] = {}
        self.all[ROOT] = sequence(*self._steps(order))

    def _steps(self, nodes: list[str]) -> list[str]:
        """Return the steps of a sequence that runs these nodes; what they need beside these has run before."""
        if not nodes:
            return []
        branches = self._branches(nodes)
        if len(branches) > 1:
            return [self._add(ensemble(*(self._one(branch) for branch in branches)))]
        last = [name for name in nodes if not any(name in self._before[other] for other in nodes)]
        if len(last) == 1:
            return [*self._steps([name for name in nodes if name not in last]), self._names[last[0]]]
        shared = [name for name in nodes if sum(name in self._before[end] for end in last) > 1]
        return [*self._steps(shared), *self._steps([name for name in nodes if name not in shared])]

    def _one(self, nodes: list[str]) -> str:
        steps = self._steps(nodes)
        return steps[0] if len(steps) == 1 else self._add(sequence(*steps))

    def _branches(self, nodes: list[str]) -> list[list[str]]:
        """Return the parts of some nodes that do not need one another, directly or over others of them."""
        branches: list[list[str]] = []
        for name in nodes:
            mine = [branch for branch in branches if any(other in self._before[name] for other in branch)]
            merged = [other for other in nodes if other == name or any(other in branch for branch in mine)]
            branches = [branch for branch in branches if branch not in mine] + [merged]
        return branches

    def _add(self, router: Router) -> str:
        name = f"router-{len(self.all) + 1}"
        self.all[name] = router
        return name
