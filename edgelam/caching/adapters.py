# SPDX-License-Identifier: GPL-2.0-only
"""One backbone in memory for many tasks: a batch may mix requests of different adapters (LoRA).

As S-LoRA (arXiv 2311.03285) and Punica (arXiv 2310.18547) serve them: the frozen layers are computed for the whole
batch, and each request adds its own task's update: W x + scale * B_task A_task x.

Shape suffixes: B batch, L padded length, H width of the hidden states.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.models.backbone import Backbone
from edgelam.models.lora import LoraLayer, LoraSettings, inject_lora, lora_layers
from edgelam.text import suggest


class AdapterBank:
    """A backbone with the adapters of many tasks."""

    def __init__(self, backbone: Backbone, settings: LoraSettings) -> None:
        """The frozen weights are those of `backbone`, not copies. Raises ConfigurationError for targets that are not
        there."""
        self._entry = backbone.entry
        self._table = backbone.token_table
        own = [*backbone.model.parameters(), *backbone.model.buffers()]
        self._model = copy.deepcopy(backbone.model, {id(tensor): tensor for tensor in own}).eval()
        self._names = list(inject_lora(self._model, settings))
        self._chosen = _Chosen()
        self._tasks: dict[str, int] = {}
        self._layers: dict[str, _Mixed] = {}
        for name, layer in lora_layers(self._model).items():
            parent, _, last = name.rpartition(".")
            self._layers[name] = _Mixed(layer, self._chosen)
            setattr(self._model.get_submodule(parent), last, self._layers[name])

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order in which they were added."""
        return list(self._tasks)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the backbone's weights, once, and of all adapters."""
        own = {id(p): p.numel() * p.element_size() for p in (*self._model.parameters(), *self._model.buffers())}
        return sum(own.values()) + self.adapter_bytes

    @property
    def adapter_bytes(self) -> int:
        """Bytes of all adapters."""
        return sum(layer.nbytes for layer in self._layers.values())

    def add(self, task: str, weights: Mapping[str, Tensor]) -> None:
        """Add the adapter of a task, or replace it. weights: by the names of `edgelam.models.lora.lora_parameters`.

        Raises ConfigurationError, and changes nothing, if weights are missing, unknown, or have another shape.
        """
        if set(weights) != set(self._names):
            odd = sorted(set(weights) ^ set(self._names))
            raise ConfigurationError(
                f"the adapter of task {task!r} has {len(weights)} weights and needs {len(self._names)}; {odd[0]!r} is "
                f"{'unknown' if odd[0] in weights else 'missing'}"
            )
        pairs = {}
        for name, layer in self._layers.items():
            (a,) = (weights[key] for key in self._names if key.startswith(f"{name}.lora_A."))
            (b,) = (weights[key] for key in self._names if key.startswith(f"{name}.lora_B."))
            layer.check(f"task {task!r}, layer {name!r}", a, b)
            pairs[name] = (a, b)
        number = self._tasks.setdefault(task, len(self._tasks))
        for name, (a, b) in pairs.items():
            self._layers[name].put(number, a, b)

    @torch.no_grad()
    def hidden(self, ids_BL: Tensor, mask_BL: Tensor, tasks: Sequence[str]) -> Tensor:
        """Ids and mask (bool) [B, L], and the task of each row -> hidden states of the last layer [B, L, H].

        Raises ConfigurationError for an unknown task, or another number of them than rows.
        """
        if len(tasks) != len(ids_BL):
            raise ConfigurationError(f"{len(tasks)} tasks for {len(ids_BL)} requests; each request has one")
        for task in tasks:
            if task not in self._tasks:
                raise ConfigurationError(f"no task is called {task!r}; {suggest(task, self._tasks)}")
        self._chosen.rows = torch.tensor([self._tasks[task] for task in tasks])
        return self._entry.hidden(self._model, F.embedding(ids_BL, self._table), mask_BL)


class _Chosen:
    """Which adapter each row of the batch uses; shared by all layers."""

    rows: Tensor


class _Mixed(nn.Module):
    """A frozen linear layer with the updates of all tasks."""

    def __init__(self, layer: LoraLayer, chosen: _Chosen) -> None:
        super().__init__()
        self.base = layer.base
        self._scale, self._chosen = layer.scale, chosen
        self._a = layer.a.detach().new_empty(0, *layer.a.shape)  # [tasks, rank, in]
        self._b = layer.b.detach().new_empty(0, *layer.b.shape)  # [tasks, out, rank]

    @property
    def nbytes(self) -> int:
        return self._a.nbytes + self._b.nbytes

    def check(self, what: str, a: Tensor, b: Tensor) -> None:
        if a.shape != self._a.shape[1:] or b.shape != self._b.shape[1:]:
            raise ConfigurationError(
                f"{what}: adapter weights of shapes {tuple(a.shape)} and {tuple(b.shape)}; legal are "
                f"{tuple(self._a.shape[1:])} and {tuple(self._b.shape[1:])}"
            )

    def put(self, number: int, a: Tensor, b: Tensor) -> None:
        if number == len(self._a):
            self._a = torch.cat([self._a, a.detach()[None]])
            self._b = torch.cat([self._b, b.detach()[None]])
        else:
            self._a[number], self._b[number] = a.detach(), b.detach()

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, in] -> [B, L, out]."""
        a, b = self._a[self._chosen.rows], self._b[self._chosen.rows]
        update = (x @ a.transpose(1, 2)) @ b.transpose(1, 2)
        y: Tensor = self.base(x)
        return y + self._scale * update
