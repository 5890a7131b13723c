# SPDX-License-Identifier: GPL-2.0-only
"""The process that all ranks are forked from: ``python -m edgelam.parallel.forge TASK [-m] PROGRAM ARGUMENTS``.

It imports PyTorch once, which takes seconds of a processor, and then forks: a rank begins with everything imported.
TASK (JSON) says for each rank which variables its environment has and where it writes, and where the forge says which
process a rank is and how it has ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from edgelam.parallel import rank as rank_process
from edgelam.processes import die_with, leave
from edgelam.random_streams import seed_process


def main(arguments: list[str]) -> int:
    """Fork all ranks, in which this does not return, and wait for them."""
    task: dict[str, Any] = json.loads(arguments[0])
    die_with(task["launcher"])
    import torch._dynamo  # noqa: F401  # which PyTorch imports as soon as operators are counted

    import edgelam.parallel.process_group  # noqa: F401

    forge, running = os.getpid(), {}
    for rank, place in enumerate(task["ranks"]):
        pid = os.fork()
        if pid == 0:
            _become(place, forge, [other for other in task["ranks"] if other is not place], task["report"])
            leave(rank_process.main(arguments[1:]))
        running[pid] = rank
        _report(task["report"], rank=rank, pid=pid)
    for place in task["ranks"]:
        os.close(place["output"])
        os.close(place["errors"])
    while running:
        pid, status = os.waitpid(-1, 0)
        if pid in running:
            _report(task["report"], rank=running.pop(pid), status=os.waitstatus_to_exitcode(status))
    return 0


def _become(place: dict[str, Any], forge: int, others: list[dict[str, Any]], report: int) -> None:
    """In the process of a rank."""
    die_with(forge)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.dup2(place["output"], 1)
    os.dup2(place["errors"], 2)
    for each in [place, *others]:
        os.close(each["output"])
        os.close(each["errors"])
    os.close(report)
    os.environ.update(place["variables"])
    # a program that seeds nothing gets other numbers on each rank, and the same again in a run of the same seed
    seed = int(place["variables"].get("EDGELAM_SEED", "1"))
    seed_process(seed, f"globals of rank {place['variables']['RANK']}")


def _report(descriptor: int, **facts: int) -> None:
    os.write(descriptor, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
