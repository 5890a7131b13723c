# SPDX-License-Identifier: GPL-2.0-only
"""The process of a rank, forked by forge.py: it runs ``[-m] PROGRAM ARGUMENTS``.

It attaches to the run, runs the program as its main module, waits for what is still under way and leaves. Without a
program it calls the function that the launcher hands over, and hands back the result.
"""

from __future__ import annotations

import importlib
import os
import pickle
import runpy
import sys
import traceback

from edgelam.errors import EdgelamError, RunEnded
from edgelam.parallel import launchers
from edgelam.parallel.launch import ATTACHED
from edgelam.parallel.session import Session, session

FAILED = 1
_INSIDE = (__file__, "<frozen runpy>", runpy.__file__)
"""Files between the process and the program, which no traceback needs to show."""


def main(arguments: list[str]) -> int:
    """Run a rank; returns its exit status."""
    rank = session()
    print(ATTACHED, file=sys.stderr, flush=True)
    if rank.job.clock == "simulated":
        from edgelam.parallel import clocks

        clocks.install(rank)
    status, failed = 0, True
    try:
        _run(rank, arguments)
        failed = False
    except SystemExit as leaving:
        status = _status(leaving.code)
        failed = status != 0
    except KeyboardInterrupt as interrupt:
        try:
            rank.explain_interrupt(interrupt)
        except EdgelamError as error:
            _tell(rank, error)
    except BaseException as error:
        _tell(rank, error)
    if not failed:
        try:
            from edgelam.parallel import spawning

            spawning.check_children()
            rank.end(status)
        except (EdgelamError, RuntimeError) as error:
            _tell(rank, error)
            failed = True
    if failed:
        status = status or FAILED
        sys.stdout.flush()
        sys.stderr.flush()
        rank.let_go()
    return status


def _run(rank: Session, arguments: list[str]) -> None:
    if not arguments:
        path, named = pickle.loads(rank.ask("what to call", "call"))  # noqa: S301  # of the launcher
        sys.path += [folder for folder in path if folder not in sys.path]
        function, given = pickle.loads(named)  # noqa: S301
        result = function(*given)
        rank.drain()
        rank.hand_over("result", pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL))
        return
    run_program(arguments)


def run_program(arguments: list[str]) -> None:
    """Run ``[-m] PROGRAM ARGUMENTS`` in this process, as Python's main module."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        if arguments[1] in launchers.MODULES:  # as an imported module, since what it would start has been changed
            importlib.import_module(arguments[1]).main()
        else:
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    runpy.run_path(arguments[0], run_name="__main__")


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return FAILED


def _tell(rank: Session, error: BaseException) -> None:
    """Print what ended the program: a traceback, unless the run itself has ended."""
    if isinstance(error, RunEnded):
        print(f"edgelam: rank {rank.rank} at {rank.name}: {error}", file=sys.stderr)
    else:
        trace = error.__traceback__
        while trace is not None and trace.tb_next and trace.tb_frame.f_code.co_filename in _INSIDE:
            trace = trace.tb_next
        traceback.print_exception(error.with_traceback(trace))
