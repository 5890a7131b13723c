# SPDX-License-Identifier: GPL-2.0-only
"""Starting the ranks of a run, one process each, and seeing to it that none is left.

What a rank prints is shown with its number and node before each line. A rank that fails ends the run: `RankFailed`
names it and has the end of what it wrote to stderr, its traceback as a rule.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError, EdgelamError, ParticipantDied, RankFailed
from edgelam.parallel import host
from edgelam.parallel.job import FIRST, Job
from edgelam.processes import Child, deferred_interrupt, describe_status, stop_all

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation

GRACE_S = 60.0  # wall time that a rank whose program is over may take to end
HOLD_TIMEOUT_S = 60.0  # wall time for which ranks that hold the clock may do nothing
LAST_LINES = 30
ATTACHED = "\0attached"
"""What a rank writes first to stderr, and is not shown: it has attached, and the run sees how it ends."""


def launch(
    function: Callable[..., Any],
    *arguments: Any,
    job: Job,
    simulate: Callable[..., Any],
    on_record: Callable[[Any], object] | None = None,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> list[Any]:
    """Call a function in a process for each rank of a run, and return what each rank's call has returned.

    Args:
        function: of a module that the ranks can import; it uses torch.distributed as any program of torchrun does.
        arguments: of it; like what it returns, they are pickled.
        job: which ranks there are.
        simulate: `cosim.simulate` or the `simulate` of a `Network`, with everything bound but the main coroutine::

                functools.partial(cosim.simulate, scenario="wired-star", seed=3)

        on_record: is told of each TransferRecord and ComputeRecord of a rank, and of each collective of a rank as a
            dict (reporting.py).
        environment: further variables for the ranks.
        settings: further arguments of `simulate`.

    Raises RankFailed for a rank that raises or is killed, and what `simulate` raises.
    """
    if function.__module__ == "__main__":
        raise ConfigurationError(
            f"{function.__name__} is of the main program, which the ranks do not import: it must be in a module"
        )
    named = pickle.dumps((function, arguments), protocol=pickle.HIGHEST_PROTOCOL)
    call = pickle.dumps((sys.path, named), protocol=pickle.HIGHEST_PROTOCOL)
    outcome = run_ranks(
        [], job, simulate, call=call, on_record=on_record, environment=environment, **settings
    )  # fmt: skip
    return [outcome.results.get(rank) for rank in range(len(job.ranks))]


def run_ranks(
    command: Sequence[str],
    job: Job,
    simulate: Callable[..., Any],
    *,
    call: bytes | None = None,
    on_record: Callable[[Any], object] | None = None,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> host.Outcome:
    """Run a program (``[script, arguments]`` or ``["-m", module, arguments]``) as all ranks of a run."""
    ranks: list[_Rank] = []
    forge: list[Child] = []
    watch = _Watch()

    async def main(sim: Simulation) -> host.Outcome:
        for name in job.ranks:
            sim.node(name)
        variables = [host.environment(sim, rank, job) for rank in range(len(job.ranks))]
        common = {**_DEFAULTS, **os.environ, **_ALWAYS, **(environment or {}), **job.variables()}
        with deferred_interrupt():
            ranks.extend(_Rank(rank, name, watch) for rank, name in enumerate(job.ranks))
            forge.append(_start(command, ranks, variables, common))
        return await host.serve(sim, job, on_record=on_record, call=call)

    try:
        outcome: host.Outcome = simulate(
            main,
            participants=job.participants,
            devices=job.devices,
            compute=job.compute,
            **{"idle_timeout_s": HOLD_TIMEOUT_S, **settings},
        )
        for rank in ranks:
            if rank.wait(GRACE_S) != 0:
                raise rank.failure(None)
        return outcome
    except ParticipantDied as error:
        watch.over = True
        number = error.participant
        if number is None or number < FIRST or not ranks:
            raise
        raise ranks[number - FIRST].failure(error) from None
    except KeyboardInterrupt:
        if watch.failed is None:
            raise
        raise ranks[watch.failed].failure(None) from None
    finally:
        watch.over = True
        stop_all(forge, 1.0)
        for rank in ranks:
            rank.close()


def _start(
    command: Sequence[str], ranks: Sequence[_Rank], variables: Sequence[Mapping[str, str]], common: Mapping[str, str]
) -> Child:
    """Start the process that all ranks are forked from (forge.py)."""
    report = os.pipe()
    places = [
        {"variables": own, "output": rank.output, "errors": rank.errors}
        for rank, own in zip(ranks, variables, strict=True)
    ]
    task = {"launcher": os.getpid(), "report": report[1], "ranks": places}
    given = [report[1], *(rank.output for rank in ranks), *(rank.errors for rank in ranks)]
    program = [sys.executable, "-m", "edgelam.parallel.forge", json.dumps(task), *command]
    try:
        child = Child(program, environment=common, pass_fds=given)
    finally:
        for descriptor in given:
            os.close(descriptor)
    reader = threading.Thread(target=_follow, args=(os.fdopen(report[0], "rb"), ranks), daemon=True)
    reader.start()
    return child


def _follow(report: IO[bytes], ranks: Sequence[_Rank]) -> None:
    """Note what the forge says of the ranks; when it has ended, all have."""
    with report:
        for line in report:
            facts = json.loads(line)
            rank = ranks[facts["rank"]]
            if "pid" in facts:
                rank.pid = facts["pid"]
            else:
                rank.ended(facts["status"])
    for rank in ranks:
        rank.ended(None)


_DEFAULTS = {
    "OMP_NUM_THREADS": "1",  # as torchrun does, where it starts several processes
    "OMP_WAIT_POLICY": "passive",  # threads that spin take the core that the scenario needs
    "PYTHONHASHSEED": "0",  # the order of sets is that of the run before
}
_ALWAYS = {
    "CUDA_VISIBLE_DEVICES": "",  # the tensors are on the CPU
    "PYTHONUNBUFFERED": "1",
}


class _Watch:
    """Notices a rank that ends before it has attached: the run would wait for it."""

    def __init__(self) -> None:
        self.attached: set[int] = set()
        self.failed: int | None = None
        self.over = False
        self._thread = threading.get_ident() if threading.current_thread() is threading.main_thread() else None

    def ended(self, rank: int) -> None:
        if rank not in self.attached and self.failed is None and not self.over:
            self.failed = rank
            if self._thread is not None:
                signal.pthread_kill(self._thread, signal.SIGINT)


class _Rank:
    """The process of one rank, and what it prints."""

    def __init__(self, rank: int, name: str, watch: _Watch) -> None:
        self.rank, self.name = rank, name
        self.pid: int | None = None
        self.status: int | None = None
        self._over = threading.Event()
        self._watch = watch
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        (out_of, self.output), (errors_of, self.errors) = os.pipe(), os.pipe()
        """Where it writes."""
        self._threads = [
            threading.Thread(target=self._forward, args=(os.fdopen(out_of, "rb"), sys.stdout, None), daemon=True),
            threading.Thread(
                target=self._forward, args=(os.fdopen(errors_of, "rb"), sys.stderr, self._last), daemon=True
            ),
        ]
        for thread in self._threads:
            thread.start()

    def _forward(self, reader: IO[bytes], to: Any, last: deque[str] | None) -> None:
        with reader:
            for line in reader:
                text = line.decode(errors="replace").rstrip("\n")
                if text == ATTACHED:
                    self._watch.attached.add(self.rank)
                    continue
                if last is not None:
                    last.append(text)
                with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                    print(f"[{self.rank}] {self.name}: {text}", file=to, flush=True)

    def ended(self, status: int | None) -> None:
        """Its process has ended; None: nobody knows how."""
        if not self._over.is_set():
            self.status = status
            self._over.set()
            self._threads[1].join(1.0)  # it may have said that it has attached
            if status != 0:
                self._watch.ended(self.rank)

    def wait(self, timeout_s: float) -> int | None:
        """Its exit status once it has ended; None after the time-out."""
        self._over.wait(timeout_s)
        return self.status

    def failure(self, error: EdgelamError | None) -> RankFailed:
        """The error that says how the rank has ended."""
        status = self.wait(GRACE_S)
        self.close()
        lines = "\n".join(self._last)
        about = f"rank {self.rank} at {self.name} (pid {self.pid}) has ended: {describe_status(status)}"
        said = f"; the end of what it wrote to stderr:\n{lines}" if lines else f"; {error}" if error is not None else ""
        return RankFailed(about + said, rank=self.rank)

    def close(self) -> None:
        """Everything that it printed has been shown."""
        for thread in self._threads:
            thread.join(2.0)
