# SPDX-License-Identifier: GPL-2.0-only
"""All ways in which ranks meet: addresses, files, stores of their own; and what they ask about their groups."""

import contextlib
import os
import socket
import tempfile
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record

rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
folder = os.path.join(tempfile.gettempdir(), f"meeting of {os.getppid()}")


def total():
    tensor = torch.tensor([rank + 1.0])
    dist.all_reduce(tensor)
    return tensor.item()


@contextlib.contextmanager
def world(*given, **named):
    dist.init_process_group(*given, **named)
    yield
    dist.destroy_process_group()


@record
def main():
    with world():
        print("nothing said", total(), dist.get_backend())
    with world("gloo", init_method="env://", timeout=timedelta(minutes=2)):
        print("env", total(), dist.get_node_local_rank())
    address = f"tcp://{os.environ['MASTER_ADDR']}:{int(os.environ['MASTER_PORT']) + 1}"
    with world("gloo", init_method=address, rank=rank, world_size=size):
        print("tcp", total())
    with world("gloo", init_method=f"file://{folder}", rank=rank, world_size=size, group_name="of files"):
        print("file", total())
    with world(), socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = [free.getsockname()[1]]
        dist.broadcast_object_list(port, src=0)
    store = dist.TCPStore(os.environ["MASTER_ADDR"], port[0], size, rank == 0, timedelta(seconds=60))
    with world("gloo", store=store, rank=rank, world_size=size):
        print("TCPStore", total())
        inner = dist.PrefixStore("mine", store)
        inner.set(f"of {rank}", str(rank))
        inner.wait([f"of {each}" for each in range(size)], timedelta(seconds=30))
        print(inner.multi_get([f"of {each}" for each in range(size)]), inner.add("count", 0) >= 0)
        dist.barrier()
        try:
            inner.wait(["nobody sets it"], timedelta(seconds=1))
        except RuntimeError as error:
            print("waits in vain", isinstance(error, dist.DistError))
        if rank == 1:
            inner.set("late", "x")
        print(inner.get("late"), inner.check(["nobody sets it"]), inner.delete_key("nothing"))
    store = dist.FileStore(folder + " too", size)
    with world("gloo", store=store, rank=rank, world_size=size):
        print("FileStore", total(), dist.get_process_group_ranks(dist.group.WORLD))
    with world("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "cpu:gloo"):
        group = dist.new_group([0, 2], timeout=timedelta(seconds=40), backend="gloo", group_desc="of two")
        print(dist.get_rank(group), group.group_desc if rank in (0, 2) else "", dist.get_backend_config())
        if rank in (0, 2):
            print(dist.get_global_rank(group, 1), dist.get_group_rank(group, 2), group.size(), group.rank())
            tensor = torch.ones(1) * rank
            group.allreduce(tensor).wait()
            dist.reduce(tensor, group=group, group_dst=1)
            print(tensor.item() if rank == 2 else "")
        print(dist.is_initialized(), dist.is_available(), dist.GroupMember.WORLD is dist.group.WORLD)
        work = dist.broadcast(torch.ones(2), 0, async_op=True)
        print(work.wait(), work.is_completed(), work.is_success(), len(work.result()))
        dist.barrier()


main()
