# SPDX-License-Identifier: GPL-2.0-only
"""Programs that start their ranks by torchrun or another launcher.

`torch.distributed.run`, `elastic_launch` and `accelerate launch` of as many processes as there are ranks run in this
process, as its rank, what they would start in each: so the program of ``edgelam torchrun`` may be torchrun itself, with
its arguments. A launcher that a rank starts as a process is refused: its ranks would have sockets of their own, which
cross no network.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.parallel import session as sessions
from edgelam.parallel.imports import when_imported

COMMANDS = ("torchrun", "deepspeed", "horovodrun", "mpirun", "mpiexec", "srun")
MODULES = ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch")
_BEFORE_A_COMMAND = ("env", "exec", "nohup", "nice", "time")
_launched = 0


def install() -> None:
    """In a rank."""
    when_imported("torch.distributed.launcher.api", _change_elastic)
    when_imported("accelerate.commands.launch", _change_accelerate)
    sys.addaudithook(_refuse_launchers)


def _change_elastic(module: ModuleType) -> None:
    module.launch_agent = _launch_agent  # type: ignore[attr-defined]


def _change_accelerate(module: ModuleType) -> None:
    def launch_on_cpu(args: Any) -> None:
        """Set the variables that the program's process would have, and run it in this one."""
        if (args.num_processes or 1) > 1:
            _check(args.num_processes)
        command, variables = module.prepare_simple_launcher_cmd_env(args)
        os.environ.update(variables)
        _run(command)

    module.simple_launcher = launch_on_cpu  # type: ignore[attr-defined]


def _check(asked: int) -> None:
    if asked != (size := sessions.session().size):
        raise ConfigurationError(
            f"a launch of {asked} processes in a run of {size} ranks: start it with as many --ranks"
        )


def _launch_agent(config: Any, entrypoint: Any, args: Sequence[Any], **_: Any) -> dict[int, Any]:
    """In the place of PyTorch's: run what each process would, as the rank that this process is.

    Restarts, rendezvous and log files of the launcher have no meaning here. Returns what each rank's call has returned.
    """
    global _launched  # noqa: PLW0603  # a process is one rank
    session = sessions.session()
    _check(config.max_nodes * config.nproc_per_node)
    if not callable(entrypoint):
        from torch.distributed.elastic.utils.api import macros

        _run([entrypoint, *macros.substitute(list(args), str(session.rank))])
        return {}
    from edgelam.parallel.store import BridgeStore

    result = pickle.dumps(entrypoint(*args), protocol=pickle.HIGHEST_PROTOCOL)
    _launched += 1
    store, key = BridgeStore(), f"edgelam: result {_launched} of rank"
    store.set(f"{key} {session.rank}", result)
    return {rank: pickle.loads(store.get(f"{key} {rank}")) for rank in range(session.size)}  # noqa: S301  # of a rank


def _run(command: Sequence[str]) -> None:
    """Run in this process what a Python that is started so would run."""
    from edgelam.parallel.rank import run_program

    if not _is_python(command[0]):
        raise ConfigurationError(f"a launch of {command[0]!r}, which is no Python program: a rank is one")
    run_program(_behind_options(command))


def _refuse_launchers(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook of Python: raises ConfigurationError where a launcher of ranks is started."""
    if event == "os.system":
        commands = _of_shell(os.fsdecode(arguments[0]))
    elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn"):
        words = [os.fsdecode(word) for word in arguments[1]]
        is_shell = len(words) > 2 and os.path.basename(words[0]) in ("sh", "bash") and words[1].startswith("-")
        commands = _of_shell(words[2]) if is_shell else [words]
    else:
        return
    for name in filter(None, map(_launcher, commands)):
        raise ConfigurationError(
            f"the program starts its ranks by {name}, and such ranks cross no network: the launcher of this run has "
            "started one process for each rank already. Start what the command starts by edgelam torchrun --ranks ... "
            "itself, with the program and its arguments behind it"
        )


def _of_shell(line: str) -> list[list[str]]:
    """The commands in a line of a shell, in words."""
    return [command.split() for command in re.split(r"[;&|\n]+", line)]


def _launcher(words: list[str]) -> str | None:
    """The launcher of ranks that a command is; None: another program."""
    while words and ("=" in words[0] or os.path.basename(words[0]) in _BEFORE_A_COMMAND):
        words = words[1:]
    if not words:
        return None
    name = os.path.basename(words[0])
    if _is_python(name):
        words = _behind_options(words)
        return (words[1] if words[1] in MODULES else None) if words[:1] == ["-m"] and words[1:] else _launcher(words)
    if name == "accelerate":
        return "accelerate launch" if words[1:2] == ["launch"] else None
    return name if name in COMMANDS else None


def _behind_options(command: Sequence[str]) -> list[str]:
    """What a Python runs: ``[-m] PROGRAM ARGUMENTS``, or ``-c`` and a text."""
    place = 1
    while place < len(command) and command[place].startswith("-") and command[place] not in ("-m", "-c"):
        place += 1
    return list(command[place:])


def _is_python(command: str) -> bool:
    return command == sys.executable or re.fullmatch(r"python[0-9.]*", os.path.basename(command)) is not None
