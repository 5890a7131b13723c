# SPDX-License-Identifier: GPL-2.0-only
"""Inference as shared services: modules, graphs of them, instances on nodes, requests, and how they are served.

Start with docs/inference.md, and with `Serving`.
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.inference.arrivals import Burst, Diurnal, Poisson
    from edgelam.inference.computing import Computing
    from edgelam.inference.dispatch import Dispatcher
    from edgelam.inference.graph import Condition, Graph, Router, Step, ensemble, sequence, splitter, switch
    from edgelam.inference.module import Declared, Module, TorchModule
    from edgelam.inference.requests import Request, Task, drawn, from_trace
    from edgelam.inference.service import Service, catalogue, unshared
    from edgelam.inference.serving import Outcome, Serving

_HOME = {
    **dict.fromkeys(("Burst", "Diurnal", "Poisson"), "arrivals"),
    **dict.fromkeys(("Condition", "Graph", "Router", "Step", "ensemble", "sequence", "splitter", "switch"), "graph"),
    **dict.fromkeys(("Declared", "Module", "TorchModule"), "module"),
    **dict.fromkeys(("Request", "Task", "drawn", "from_trace"), "requests"),
    **dict.fromkeys(("Service", "catalogue", "unshared"), "service"),
    **dict.fromkeys(("Outcome", "Serving"), "serving"),
    "Computing": "computing",
    "Dispatcher": "dispatch",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "Burst",
    "Computing",
    "Condition",
    "Declared",
    "Dispatcher",
    "Diurnal",
    "Graph",
    "Module",
    "Outcome",
    "Poisson",
    "Request",
    "Router",
    "Service",
    "Serving",
    "Step",
    "Task",
    "TorchModule",
    "catalogue",
    "drawn",
    "ensemble",
    "from_trace",
    "sequence",
    "splitter",
    "switch",
    "unshared",
]
