# SPDX-License-Identifier: GPL-2.0-only
"""Modules of multi-modal models: encoders, projectors, the backbone, decoders; and tasks, which are graphs of them."""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.modalities.catalogue import MODULES, Modules
    from edgelam.modalities.module import Module, bytes_to_text, text_to_bytes
    from edgelam.modalities.serving import served
    from edgelam.modalities.tasks import TASKS, Edge, Node, Task, join, task_of

_HOME = {
    **dict.fromkeys(("MODULES", "Modules"), "catalogue"),
    **dict.fromkeys(("Module", "bytes_to_text", "text_to_bytes"), "module"),
    "served": "serving",
    **dict.fromkeys(("TASKS", "Edge", "Node", "Task", "join", "task_of"), "tasks"),
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "MODULES",
    "TASKS",
    "Edge",
    "Module",
    "Modules",
    "Node",
    "Task",
    "bytes_to_text",
    "join",
    "served",
    "task_of",
    "text_to_bytes",
]
