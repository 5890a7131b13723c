# SPDX-License-Identifier: GPL-2.0-only
"""Making torch.distributed use the simulated network: the backend "ns3", and what else PyTorch would do otherwise.

In a rank, every process group is of backend ns3, whatever name the program gives, every store is that of the run
(store.py), and programs that start their ranks themselves find that they run already (spawning.py, launchers.py). A
group that was asked for as gloo still says that it is one, since programs and PyTorch itself choose by that name what
works on CPUs.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.rpc
from torch.distributed import distributed_c10d

from edgelam.errors import ConfigurationError
from edgelam.parallel import session as sessions


def register() -> None:
    """Make the name "ns3" known to torch.distributed."""
    if not hasattr(dist.Backend, "NS3"):
        dist.Backend.register_backend("ns3", _create, extended_api=True, devices=["cpu"])


def install() -> None:
    """In a rank: make everything of torch.distributed use the simulated network."""
    register()
    from edgelam.parallel import checkpoints, futures, launchers, spawning
    from edgelam.parallel.store import BridgeStore

    rendezvous = importlib.import_module("torch.distributed.rendezvous")  # of which dist has a function by that name
    for module in (dist, distributed_c10d, rendezvous):
        for name in ("TCPStore", "FileStore"):
            if hasattr(module, name):
                setattr(module, name, BridgeStore)
    distributed_c10d._new_process_group_helper = _always_ns3(distributed_c10d._new_process_group_helper)
    init_process_group = _counting(distributed_c10d.init_process_group)
    for module in (dist, distributed_c10d):
        module.init_process_group = init_process_group  # type: ignore[attr-defined]
        module.monitored_barrier = _monitored_barrier  # type: ignore[attr-defined]
    torch.compile = _compile_countable(torch.compile)
    torch.distributed.rpc.init_rpc = _refuse_rpc
    for module in (dist, distributed_c10d):
        setattr(module, "ProcessGroupGloo", _NoGloo)  # noqa: B010  # which has no such attribute for the type checker
    futures.install()
    spawning.install()
    checkpoints.install()
    launchers.install()


def _create(options: Any, unused: Any = None) -> Any:
    """What `register_backend` calls for a group."""
    from edgelam.parallel.process_group import Ns3ProcessGroup

    session = sessions.session()
    if not options.global_ranks_in_group:
        session.worlds += 1
    ranks = list(options.global_ranks_in_group) or list(range(options.group_size))
    if options.group_size > session.size:
        raise ConfigurationError(
            f"a process group of {options.group_size} ranks: this run has {session.size}, at "
            f"{', '.join(session.job.ranks)} (--ranks)"
        )
    if ranks[options.group_rank] != session.rank:
        raise ConfigurationError(
            f"the program says that it is rank {ranks[options.group_rank]}, and it runs as rank {session.rank} at "
            f"{session.name}: it must take its rank from the variable RANK, as torchrun's programs do"
        )
    return Ns3ProcessGroup(session, options.group_rank, ranks, options.group_id, options.timeout)


def _always_ns3(helper: Any) -> Any:
    """A process group is of backend ns3, and keeps the name that it was asked for by."""

    @functools.wraps(helper)
    def new_process_group(*given: Any, **rest: Any) -> Any:
        size, rank, ranks, backend, store, name = given
        asked = str(backend)
        if asked == "fake":
            return helper(size, rank, ranks, backend, store, name, **rest)
        rest["backend_options"] = rest["device_id"] = None
        made, prefix_store = helper(size, rank, ranks, dist.Backend("ns3"), store, name, **rest)
        if made is not dist.GroupMember.NON_GROUP_MEMBER and asked != "ns3":
            world = distributed_c10d._world
            # of a group for which no backend was named PyTorch says "undefined"
            said = dist.Backend.UNDEFINED if asked == dist.Backend.UNDEFINED else dist.Backend.GLOO
            world.pg_map[made] = (said, prefix_store)
            world.pg_backend_config[made] = "cpu:gloo"
        return made, prefix_store

    return new_process_group


def _counting(init_process_group: Any) -> Any:
    """From the first process group on, what the rank computes takes simulated time."""

    @functools.wraps(init_process_group)
    def init(*args: Any, **kwargs: Any) -> None:
        init_process_group(*args, **kwargs)
        session = sessions.session()
        if session.meter is None:
            from edgelam.parallel.metering import Meter

            session.meter = Meter(session)
            session.meter.start()

    return init


def _monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> Any:
    """`torch.distributed.monitored_barrier`, whose own one asks for a group of gloo."""
    if distributed_c10d._rank_not_in_group(group):
        return
    asked: Any = group or distributed_c10d._get_default_group()
    asked.monitored_barrier(timeout, wait_all_ranks)


def _refuse_rpc(*_: Any, **__: Any) -> None:
    raise ConfigurationError(
        "torch.distributed.rpc has sockets of its own, which do not cross the simulated network; "
        "use collectives, or send and recv, of torch.distributed"
    )


class _NoGloo(dist.ProcessGroupGloo):
    """In the place of a process group of gloo that a program makes itself."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ConfigurationError(
            "ProcessGroupGloo has sockets of its own, which do not cross the simulated network; "
            "use torch.distributed.new_group"
        )


def _compile_countable(compile_: Any) -> Any:
    """What the compiler makes by default cannot be counted: the same graphs run operator by operator."""

    @functools.wraps(compile_)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        from torch._dynamo import trace_rules

        trace_rules.add("edgelam")  # the compiler compiles the program, not what carries out its communication
        if kwargs.get("backend", "inductor") == "inductor":
            kwargs["backend"] = "eager"
            kwargs.pop("mode", None)
            kwargs.pop("options", None)
        return compile_(*args, **kwargs)

    return compiled
