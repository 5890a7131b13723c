# SPDX-License-Identifier: GPL-2.0-only
"""Runs programs under gloo: python gloo_ranks.py SIZE FOLDER OUT PROGRAM ...; each rank writes OUT/RANK.json."""

import multiprocessing
import os
import sys
from pathlib import Path

import torch
import torch._dynamo  # here, once for all ranks, as the launcher does: it takes more than a second
from torch.distributed import FileStore, distributed_c10d

sys.path.insert(0, str(Path(__file__).parent / "programs"))
import together


def run_rank(rank, size, folder, out, programs):
    """One rank."""
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    torch.set_num_threads(1)
    count = [0]

    def rendezvous(*_, **__):  # a file in the place of a port, which another run may take
        count[0] += 1
        yield FileStore(f"{folder}/store{count[0]}", size), rank, size

    distributed_c10d.rendezvous = rendezvous
    _keep_groups()
    together.run(out, programs)
    os._exit(0)  # so that groups are not taken apart at the end either


def _keep_groups():
    """Let no group be taken apart: its destructor has the GIL and waits for threads that want it to drop tensors."""
    kept, make = [], distributed_c10d._new_process_group_helper

    def keep(*arguments, **options):
        kept.append(make(*arguments, **options))
        return kept[-1]

    distributed_c10d._new_process_group_helper = keep


def main(size, folder, out, *programs):
    """All ranks; returns whether one of them failed."""
    context = multiprocessing.get_context("fork")
    ranks = [
        context.Process(target=run_rank, args=(rank, int(size), folder, out, programs), daemon=False)
        for rank in range(int(size))
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(850)
        if rank.exitcode is None:
            rank.kill()
            rank.join()
    return any(rank.exitcode != 0 for rank in ranks)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
