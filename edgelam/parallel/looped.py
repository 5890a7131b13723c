# SPDX-License-Identifier: GPL-2.0-only
"""Looped tensor parallelism: full-parameter training of a looped transformer, its block split unevenly over devices.

The method of "Edge Large AI Models" (arXiv 2505.00321), reconstructed where that paper gives no detail. One block's
parameters are reused at every depth, so a device stores its shard of one block. For every depth, forward:

    server                                     device k (heads h_k, columns f_k)
    x                  --attend-->             its heads of the attention, mapped back to full width
                       <--attention--          partial sum [B, L, D]
    x = norm(x + sum + bias)
                       --feed-->               its columns of the feed-forward part, mapped back to full width
                       <--feed_forward--       partial sum [B, L, D]
    x = norm(x + sum + bias)

and backward with gradients of the same sizes. With nonlinearity "server", `feed` is two exchanges with GELU at the
server between them (pre_activate, project). Head, loss, norms and (with replicated inputs) the embedding are the
server's. AdamW's state is where the parameters are. When the server has every gradient, it tells all to update. No
value is approximated: in float64 the training is that of `LoopedModel` on one device, up to the order of sums.

A device that is lost takes its shard with it; all go back to the last checkpoint on the server, and the others share
what it had (`planner`). See looped_device.py for the messages, looped_costs.py for what they cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError, first_cause
from edgelam.learning.conversation import server_node
from edgelam.parallel.looped_device import Device
from edgelam.parallel.looped_fleet import Fleet, Job
from edgelam.parallel.looped_model import Batches, LoopedConfig, LoopedModel
from edgelam.parallel.looped_records import Report, ignore
from edgelam.parallel.looped_server import Planner, Server
from edgelam.parallel.looped_split import Split, without

if TYPE_CHECKING:
    from edgelam import cosim


@dataclass(frozen=True)
class Trained:
    """What a run leaves: the loss of every step that counts, and the whole model's weights (LoopedModel's names)."""

    losses: tuple[float, ...]
    weights: dict[str, Tensor]

    def model(self, config: LoopedConfig) -> LoopedModel:
        """The weights as a model on one device."""
        model = LoopedModel(config)
        model.load_state_dict(self.weights)
        return model


async def train(
    sim: cosim.Simulation,
    config: LoopedConfig,
    batches: Batches,
    steps: int,
    *,
    split: Split | None = None,
    planner: Planner | None = None,
    replan_every: int = 0,
    weights: Mapping[str, Tensor] | None = None,
    report: Report = ignore,
    fleet: Fleet | None = None,
) -> Trained:
    """Train for `steps` steps over the simulated network.

    Args:
        sim: the simulation; the server is its first node with role "edge" (or "cloud").
        config: the model and the method.
        batches: the batch of each step by its number; asked for again where steps are repeated.
        steps: from 1.
        split: who has how much; its devices are names of nodes.
        planner: gives the split, at the beginning (unless `split` is given), when a device has left, and every
            `replan_every` steps; called with the step and the names of the devices that are there. Default: `split`,
            and what a lost device had is shared by the others in proportion to what they have.
        replan_every: steps between two calls of the planner; 0: only when it is needed.
        weights: the whole model's, to begin with; None: `LoopedModel` of the run's seed.
        report: called with every record (looped_records.py).
        fleet: to make devices leave or crash while the run goes on.

    Raises:
        OutOfDeviceMemory: a share does not fit its device, with both numbers; nothing was sent then.
        RunEnded: no device is left, or the one that owns the data is lost.
        ConfigurationError, Diverged, and whatever the simulation raises.
    """
    if steps < 1:
        raise ConfigurationError(f"steps is {steps}; at least 1 is needed")
    if replan_every < 0:
        raise ConfigurationError(f"replan_every is {replan_every}; a number of steps, or 0 for never")
    if split is None and planner is None:
        raise ConfigurationError("train needs a split, or a planner that gives one")
    edge = server_node(sim)
    names = list(split.devices) if split is not None else [n.name for n in sim.nodes.values() if n.role == "ue"]
    if config.owner is not None and config.owner not in names:
        names.append(config.owner)
    nodes = {name: sim.node(name) for name in names}
    if edge.name in nodes:
        raise ConfigurationError(f"{edge.name} is the server; a split is over other nodes")
    fleet = fleet or Fleet()
    state = _checked(config, weights) if weights is not None else LoopedModel(config, sim.seed).state_dict()
    state = {name: tensor.detach().to(config.torch_dtype).clone() for name, tensor in state.items()}
    job = Job(sim, edge, nodes, config, batches, fleet, report)
    server = Server(job, _with_default(config, split, planner), state)
    try:
        async with asyncio.TaskGroup() as group:
            for name, node in nodes.items():
                fleet.join(group, name, Device(job, node).live())
            serving = group.create_task(server.run(steps, replan_every), name="server")
    except BaseExceptionGroup as failed:
        raise first_cause(failed) from None
    losses, trained = serving.result()
    return Trained(tuple(losses), trained)


def _checked(config: LoopedConfig, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Weights of the right names and shapes. Raises ConfigurationError for others."""
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in LoopedModel(config).state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if given != wanted:
        name = next(name for name in (*wanted, *given) if given.get(name) != wanted.get(name))
        raise ConfigurationError(
            f"weights: {name!r} is {given.get(name, 'not there')}; by the configuration it is "
            f"{wanted.get(name, 'not there')}"
        )
    return weights


def _with_default(config: LoopedConfig, split: Split | None, planner: Planner | None) -> Planner:
    """`split` first, then the planner, or what is left of the last split."""
    last = split

    def plan(step: int, present: tuple[str, ...]) -> Split:
        nonlocal last
        assert last is not None
        gone = [name for name in last.devices if name not in present]
        if gone:
            last = without(last, config, gone)
        return last

    if planner is None:
        return plan
    if split is None:
        return planner
    begun = False

    def first_given(step: int, present: tuple[str, ...]) -> object:
        nonlocal begun
        if not begun:
            begun = True
            return split
        return planner(step, present)

    return first_given  # type: ignore[return-value]
