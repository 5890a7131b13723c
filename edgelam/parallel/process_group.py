# SPDX-License-Identifier: GPL-2.0-only
# mypy: disable-error-code="override,assignment"
"""The process group of backend "ns3": what torch.distributed asks for, as communication of a `Group` over the network.

A `Group` (group.py) has the collectives as coroutines; here they get the arguments and names by which PyTorch's C++ and
Python code calls them. Some have two names: PyTorch 2.13 renamed them.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from edgelam.parallel.arguments import (
    equal_parts,
    keep_parts,
    one_tensor,
    parts,
    plain,
    reduce_op,
    reduction_of,
    root_rank,
    tensor_list,
    timeout_of,
)
from edgelam.parallel.compression import Compressed
from edgelam.parallel.flats import write
from edgelam.parallel.group import Group
from edgelam.parallel.reduction import Reduction
from edgelam.parallel.session import Session
from edgelam.parallel.works import NetworkWork, of_several

LONG = timedelta(minutes=10)
"""PyTorch's own time-outs are at least so long; they are not applied: a rank that waits for ever is found without."""


class Ns3ProcessGroup(dist.ProcessGroup):
    """Ranks whose tensors cross the simulated network."""

    def __init__(self, session: Session, rank: int, ranks: Sequence[int], name: str, timeout: timedelta) -> None:
        """ranks: the rank in the run of each rank of the group; rank: this process's in the group."""
        super().__init__(rank, len(ranks))  # type: ignore[call-arg]
        self._session, self._name, self._description = session, name, ""
        self._timeout = timeout
        job = session.job
        nodes = [session.sim.node(job.ranks[member]) for member in ranks]
        self.group = Group(
            nodes,
            rank,
            # a later world has groups by the same names, and messages of the one before may still be on their way
            name=name if session.worlds <= 1 else f"{name} of world {session.worlds}",
            protocol=job.protocol,
            rate_bps=job.rate_bps,
            algorithm=job.algorithm,
            clusters=job.clusters_of(ranks),
            server=job.server_node(session.sim),
            on_collective=lambda record: session.reports.collective(record, nodes[rank].name, len(nodes)),
        )
        session.add_group(self.group)
        self._coalescing: list[NetworkWork] | None = None
        self._backward = -1
        self._begun = 0

    # ---- what PyTorch asks a group about itself ----------------------------------------------------------------------

    @property
    def group_name(self) -> str:
        """Its name in torch.distributed."""
        return self._name

    @property
    def pg_name(self) -> str:
        """The same."""
        return self._name

    def _set_group_name(self, name: str) -> None:
        self._name = name

    @property
    def group_desc(self) -> str:
        """What the program calls it."""
        return self._description

    def _set_group_desc(self, description: str) -> None:
        self._description = description

    @property
    def _device_types(self) -> list[torch.device]:
        return [torch.device("cpu")]

    def name(self) -> str:
        """Name of the backend."""
        return "ns3"

    def getBackendName(self) -> str:  # noqa: N802
        """Name of the backend."""
        return "ns3"

    def getGroupName(self) -> str:  # noqa: N802
        """Its name in torch.distributed, for the C++ side."""
        return self._name

    def setGroupName(self, name: str) -> None:  # noqa: N802
        """Its name in torch.distributed, for the C++ side."""
        self._name = name

    def getGroupDesc(self) -> str:  # noqa: N802
        """What the program calls it, for the C++ side."""
        return self._description

    def __repr__(self) -> str:
        """Name, rank and size."""
        return f"Ns3ProcessGroup({self._name!r}, rank {self.rank()} of {self.size()})"

    def shutdown(self) -> None:
        """Wait for what is under way."""
        if self._session.may_run:
            self._session.drain()

    def abort(self) -> None:
        """As shutdown: what is in a socket of the network cannot be taken back."""
        self.shutdown()

    def set_timeout(self, timeout: timedelta) -> None:
        """Time-out of what begins from now on."""
        self._timeout = timeout

    setTimeout = _set_default_timeout = set_timeout  # noqa: N815

    def _has_hooks(self) -> bool:
        return False

    def _wait_for_pending_works(self) -> None:
        self._session.drain()

    def _set_sequence_number_for_group(self) -> None:
        """The group counts its collectives itself."""

    def _get_sequence_number_for_group(self) -> int:
        return self._begun

    # ---- beginning a communication -----------------------------------------------------------------------------------

    def _begin(
        self,
        what: str,
        operation: Coroutine[Any, Any, Any],
        result: Sequence[Tensor] = (),
        timeout: timedelta | None = None,
    ) -> NetworkWork:
        limit = timeout if timeout is not None and timeout > timedelta(0) else self._timeout
        seconds = None if limit >= LONG else limit.total_seconds()
        work = NetworkWork(self._session, operation, result, what=what, timeout_s=seconds)
        self._begun += 1
        self._drain_after_backward()
        if self._coalescing is not None:
            self._coalescing.append(work)
        return work

    def _drain_after_backward(self) -> None:
        """DDP waits for a C++ future, in which no simulated time passes: have this done before, as backward ends."""
        backward = torch._C._current_graph_task_id()
        if backward not in (-1, self._backward):
            self._backward = backward
            torch.autograd.Variable._execution_engine.queue_callback(self._session.drain)

    def _start_coalescing(self, device: torch.device) -> None:
        self._coalescing = []

    def _end_coalescing(self, device: torch.device) -> NetworkWork:
        works, self._coalescing = self._coalescing or [], None
        return of_several(self._session, works, "a coalesced communication")

    # ---- collectives -------------------------------------------------------------------------------------------------

    def allreduce(self, tensors: Any, opts: Any = None, *_: Any, **__: Any) -> NetworkWork:
        """Reduce a tensor in place, on all ranks."""
        reduction = reduction_of(reduce_op(opts))
        sparse = tensors if isinstance(tensors, Tensor) else tensors[0]
        if sparse.layout == torch.sparse_coo:
            return self._begin("all_reduce", self._sum_sparse(sparse, reduction), [sparse], timeout_of(opts))
        tensor = one_tensor(tensors)
        return self._begin("all_reduce", self.group.all_reduce(tensor, reduction), [tensor], timeout_of(opts))

    async def _sum_sparse(self, tensor: Tensor, reduction: Reduction) -> None:
        """The sum of sparse tensors: all indices and values go to all ranks, as under gloo."""
        if reduction.name != "sum":
            raise RuntimeError(f"all_reduce of sparse tensors only has the reduction sum, not {reduction.name}")
        mine = tensor.detach().coalesce()
        count = torch.tensor([mine.values().shape[0]])
        counts = [torch.zeros_like(count) for _ in range(self.size())]
        await self.group.all_gather(counts, count)
        indices = [torch.empty(mine.sparse_dim(), int(each), dtype=torch.int64) for each in counts]
        await self.group.all_gather(indices, mine.indices().contiguous())
        values = [mine.values().new_empty((int(each), *mine.values().shape[1:])) for each in counts]
        await self.group.all_gather(values, mine.values().contiguous())
        summed = torch.sparse_coo_tensor(torch.cat(indices, 1), torch.cat(values), tensor.shape).coalesce()
        with torch.no_grad():
            tensor.copy_(summed)  # not its detached view, which has indices of its own

    def allreduce_coalesced(self, tensors: list[Tensor], opts: Any = None) -> NetworkWork:
        """Reduce several tensors in place, as one."""
        tensors = [plain(tensor) for tensor in tensors]

        async def operation() -> None:
            for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
                mine = [tensor for tensor in tensors if tensor.dtype == dtype]
                flat = torch.cat([tensor.detach().reshape(-1) for tensor in mine])
                await self.group.all_reduce(flat, reduction_of(reduce_op(opts)))
                for tensor, part in zip(mine, flat.split([tensor.numel() for tensor in mine]), strict=True):
                    write(tensor.detach(), part.reshape(tensor.shape))

        return self._begin("all_reduce", operation(), tensors, timeout_of(opts))

    def average_compressed(self, tensors: Mapping[Compressed, Tensor]) -> NetworkWork:
        """Average tensors in place over all ranks, each with its compression (hooks.py)."""

        async def operation() -> None:
            for compressed, tensor in tensors.items():
                await self.group.all_reduce(tensor, "avg", compression=compressed)

        return self._begin("all_reduce", operation(), list(tensors.values()))

    def broadcast(self, tensors: Any, opts: Any = None, *_: Any, **__: Any) -> NetworkWork:
        """Send a tensor of one rank to all."""
        tensor = one_tensor(tensors)
        return self._begin("broadcast", self.group.broadcast(tensor, root_rank(opts)), [tensor], timeout_of(opts))

    def reduce(self, tensors: Any, opts: Any = None, *_: Any, **__: Any) -> NetworkWork:
        """Reduce a tensor, on one rank."""
        tensor = one_tensor(tensors)
        operation = self.group.reduce(tensor, root_rank(opts), reduction_of(reduce_op(opts)))
        return self._begin("reduce", operation, [tensor], timeout_of(opts))

    def allgather(self, outputs: Any, inputs: Any, opts: Any = None, *_: Any) -> NetworkWork:
        """Gather a tensor of each rank, on all ranks."""
        places, tensor = tensor_list(outputs), one_tensor(inputs)
        return self._begin("all_gather", self.group.all_gather(places, tensor), places, timeout_of(opts))

    def all_gather_single(self, output: Tensor, input: Tensor, opts: Any = None) -> NetworkWork:
        """Gather a tensor of each rank into one, on all ranks."""
        if output.numel() != input.numel() * self.size():
            raise ValueError("output tensor size must be equal to world_size times input tensor size")
        places = equal_parts(output, self.size())
        return self._begin("all_gather", self._into(output, places, one_tensor(input)), [output], timeout_of(opts))

    _allgather_base = all_gather_single

    async def _into(self, output: Tensor, places: list[Tensor], tensor: Tensor) -> None:
        flat = tensor.detach().reshape(-1)
        await self.group.all_gather(places, flat)
        keep_parts(output, places)

    def allgather_coalesced(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: Any = None) -> NetworkWork:
        """Gather several tensors of each rank, on all ranks. outputs: for each rank its tensors."""
        lists = [[outputs[rank][index] for rank in range(self.size())] for index in range(len(inputs))]
        works = [self.allgather([places], [tensor], opts) for places, tensor in zip(lists, inputs, strict=True)]
        return of_several(self._session, works, "all_gather")

    def all_gather_single_coalesced(self, outputs: list[Tensor], inputs: list[Tensor], opts: Any = None) -> NetworkWork:
        """Gather several tensors of each rank, each into one, on all ranks."""
        works = [self.all_gather_single(output, input, opts) for output, input in zip(outputs, inputs, strict=True)]
        return of_several(self._session, works, "all_gather")

    allgather_into_tensor_coalesced = all_gather_single_coalesced

    def reduce_scatter(self, outputs: Any, inputs: Any, opts: Any = None, *_: Any, **__: Any) -> NetworkWork:
        """Reduce a list of tensors; each rank keeps that of its place."""
        output = one_tensor(outputs)
        operation = self.group.reduce_scatter(output, tensor_list(inputs), reduction_of(reduce_op(opts)))
        return self._begin("reduce_scatter", operation, [output], timeout_of(opts))

    def reduce_scatter_single(self, output: Tensor, input: Tensor, opts: Any = None) -> NetworkWork:
        """Reduce a tensor; each rank keeps its part of it."""
        if input.numel() != output.numel() * self.size():
            raise ValueError("input tensor must be the same size as output size times world size")
        places = equal_parts(input, self.size())
        operation = self.group.reduce_scatter(one_tensor(output), places, reduction_of(reduce_op(opts)))
        return self._begin("reduce_scatter", operation, [output], timeout_of(opts))

    _reduce_scatter_base = reduce_scatter_single

    def reduce_scatter_single_coalesced(
        self, outputs: list[Tensor], inputs: list[Tensor], opts: Any = None
    ) -> NetworkWork:
        """Reduce several tensors; each rank keeps its part of each."""
        works = [self.reduce_scatter_single(output, input, opts) for output, input in zip(outputs, inputs, strict=True)]
        return of_several(self._session, works, "reduce_scatter")

    reduce_scatter_tensor_coalesced = reduce_scatter_single_coalesced

    def gather(self, outputs: Any, inputs: Any, opts: Any = None, *_: Any, **__: Any) -> NetworkWork:
        """Gather a tensor of each rank, on one rank."""
        root, tensor = root_rank(opts), one_tensor(inputs)
        places = tensor_list(outputs) if self.rank() == root else None
        return self._begin("gather", self.group.gather(places, tensor, root), places or (), timeout_of(opts))

    def scatter(self, outputs: Any, inputs: Any, opts: Any = None, *_: Any, **__: Any) -> NetworkWork:
        """Send each rank its tensor of a list that one rank has."""
        root, output = root_rank(opts), one_tensor(outputs)
        places = tensor_list(inputs) if self.rank() == root else None
        return self._begin("scatter", self.group.scatter(output, places, root), [output], timeout_of(opts))

    def alltoall(self, outputs: list[Tensor], inputs: list[Tensor], opts: Any = None, *_: Any) -> NetworkWork:
        """Send each rank its tensor of a list that each rank has."""
        outputs, inputs = tensor_list(outputs), tensor_list(inputs)
        return self._begin("all_to_all", self.group.all_to_all(outputs, inputs), outputs, timeout_of(opts))

    def all_to_all_single(
        self,
        output: Tensor,
        input: Tensor,
        output_sizes: list[int] | None = None,
        input_sizes: list[int] | None = None,
        opts: Any = None,
        *_: Any,
    ) -> NetworkWork:
        """Send each rank its part of a tensor that each rank has; sizes: along the first axis, none: equal."""
        received = parts(output, output_sizes, self.size(), "output")
        sent = parts(input, input_sizes, self.size(), "input")

        async def operation() -> None:
            await self.group.all_to_all(received, sent)
            keep_parts(output, received)

        return self._begin("all_to_all", operation(), [output], timeout_of(opts))

    alltoall_base = all_to_all_single

    def barrier(self, opts: Any = None, *_: Any, **__: Any) -> NetworkWork:
        """Wait for all ranks. The messages of 1 byte cross the network."""
        return self._begin("barrier", self.group.barrier(), [], timeout_of(opts))

    def monitored_barrier(self, timeout: timedelta | None = None, wait_all_ranks: bool = False) -> None:
        """Wait for all ranks; rank 0 raises RuntimeError that names those that do not come within `timeout`.

        timeout: simulated time.
        """
        limit = self._timeout if timeout is None else timeout
        what, tag = "monitored_barrier", "monitored_barrier"
        token = torch.zeros(1, dtype=torch.uint8, device="cpu")
        if self.rank() != 0:
            self._begin(what, self.group.send(0, token, tag=tag), timeout=limit).wait()
            self._begin(what, self.group.receive(0, token, tag=tag), timeout=limit).wait()
            return
        deadline_s = self._session.loop.time() + limit.total_seconds()
        missing = []
        for rank in range(1, self.size()):
            left_s = max(1e-9, deadline_s - self._session.loop.time())
            came = torch.zeros_like(token)
            try:
                self._begin(what, self.group.receive(rank, came, tag=tag), timeout=timedelta(seconds=left_s)).wait()
            except RuntimeError:
                missing.append(rank)
                if not wait_all_ranks:
                    break
        if missing:
            raise RuntimeError(
                f"[Rank 0]: Rank{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))} failed to pass "
                f"monitoredBarrier in {limit.total_seconds() * 1e3:.0f} ms of simulated time"
            )
        works = [self._begin(what, self.group.send(rank, token, tag=tag)) for rank in range(1, self.size())]
        for work in works:
            work.wait()

    # ---- between two ranks -------------------------------------------------------------------------------------------

    def send(self, tensors: Any, to: int, tag: int = 0) -> NetworkWork:
        """Send a tensor to a rank."""
        tensor = one_tensor(tensors)
        return self._begin("send", self.group.send(to, tensor, tag=f"send {tag}"), [tensor])

    def recv(self, tensors: Any, source: int, tag: int = 0) -> NetworkWork:
        """Receive a tensor from a rank."""
        tensor = one_tensor(tensors)
        return self._begin("recv", self.group.receive(source, tensor, tag=f"send {tag}"), [tensor])

    def recv_anysource(self, tensors: Any, tag: int = 0) -> NetworkWork:
        """Receive a tensor from any rank."""
        tensor = one_tensor(tensors)
        return self._begin("recv", self.group.receive(None, tensor, tag=f"send {tag}"), [tensor])

    # ---- what gloo does not have either ------------------------------------------------------------------------------

    def split_group(self, *_: Any, **__: Any) -> Any:
        """Refused, as by gloo."""
        raise RuntimeError("backend ns3 does not split groups, as gloo does not; use torch.distributed.new_group")

    def merge_remote_group(self, *_: Any, **__: Any) -> Any:
        """Refused, as by gloo."""
        raise RuntimeError("backend ns3 does not merge groups, as gloo does not; use torch.distributed.new_group")
