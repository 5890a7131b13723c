# SPDX-License-Identifier: GPL-2.0-only
"""ns3-ai's `Experiment`: the Python end of a message interface, and the ns-3 program at the other end."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from edgelam import _bridge, paths  # type: ignore[attr-defined]
from edgelam.cosim.launch import ScenarioProcess
from edgelam.errors import ConfigurationError

TREE = ("ns3", "waf", "contrib", "scratch")  # the root of every ns-3 source tree has one of them
FINISH_GRACE_S = 10.0  # time for an ns-3 program that has said that it has finished, to write its files and end


class Experiment:
    """Makes the shared memory, starts the ns-3 program, and ends it with ``del``, `kill` or the process."""

    begun = False  # run or kill was called
    _of_segment: ClassVar[weakref.WeakValueDictionary[str, Experiment]] = weakref.WeakValueDictionary()

    def __init__(  # noqa: PLR0917  # as ns3-ai has it
        self,
        targetName: str | os.PathLike[str],
        ns3Path: str | os.PathLike[str] | None,
        msgModule: ModuleType,
        handleFinish: bool = False,
        useVector: bool = False,
        vectorSize: int | None = None,
        shmSize: int = 4096,
        segName: str = "My Seg",
        cpp2pyMsgName: str = "My Cpp to Python Msg",
        py2cppMsgName: str = "My Python to Cpp Msg",
        lockableName: str = "My Lockable",
        *,
        debug: bool = False,
    ) -> None:
        """Make the memory; nothing is started yet.

        `targetName`: name or path of the program (`program` says where a name is looked for). Options of ``./ns3 run``
        may follow it: ``--cwd=FOLDER``, ``--no-build``, and the program's own after ``--``. `ns3Path`: another folder
        to look in; if it is the root of an ns-3 source tree, this process changes to it, as with ns3-ai. `msgModule`:
        the binding module. `handleFinish`: PyGetFinished says whether the program has ended. `vectorSize`: elements
        that both vectors have at first. `shmSize`: in bytes. `segName`: different for interfaces that exist at the same
        time. `debug`: `run` starts nothing, but says what to start by hand, for example in a debugger.

        Raises ConfigurationError for settings that do not go together.
        """
        other = self._of_segment.get(segName)
        if other is not None and other.isalive() and other.handleFinish and other.msgInterface.PyGetFinished():
            other.kill()  # only its last files are not written yet
        if other is not None and (other.isalive() or not other.begun):
            doing = "that runs" if other.begun else "that was made to run"
            raise ConfigurationError(
                f"segName {segName!r}: an experiment of this process {doing} {other.targetName!r} uses it; end it "
                "first (exp.kill(), or del exp), or give each interface a segment name of its own, here and with "
                "SetNames in its ns-3 program"
            )
        if useVector and vectorSize is None:
            raise ConfigurationError("useVector=True needs vectorSize, the number of elements at first (0 is one)")
        self.targetName: str = os.fspath(targetName)
        self.debug = debug
        self.ns3Path = ns3Path
        self._folders = _places(msgModule, ns3Path)
        self._in_tree = ns3Path is None or any((Path(ns3Path) / name).exists() for name in TREE)
        if ns3Path is not None and self._in_tree:
            os.chdir(ns3Path)  # agents of ns3-ai, and their programs, name files from there
        self.msgModule = msgModule
        self.handleFinish: bool = handleFinish
        self.segName = segName
        self.proc: _Program | None = None
        self.msgInterface: Any = msgModule.Ns3AiMsgInterfaceImpl(
            True, useVector, handleFinish, shmSize, segName, cpp2pyMsgName, py2cppMsgName, lockableName
        )
        if useVector:
            self.msgInterface.GetCpp2PyVector().resize(vectorSize)
            self.msgInterface.GetPy2CppVector().resize(vectorSize)
        self._end: weakref.finalize[..., Experiment] | None = None
        self._of_segment[segName] = self

    def run(self, setting: Mapping[str, Any] | None = None, show_output: bool = False) -> Any:
        """Start the program, after ending one that still runs, and return the message interface.

        `setting` becomes ``--name=value``, or ``--name`` if the value is None or "". `show_output`: let the program
        write to this terminal; otherwise its last lines are shown if it fails. Raises ConfigurationError if there is no
        such program.
        """
        self.kill()
        self.begun = True
        program, folder, command = self._command()
        for name, value in (setting or {}).items():
            command.append(f"--{name}" if value in (None, "") else f"--{name}={value}")
        others = [name for name, of in self._of_segment.items() if of is not self]
        if self.debug:
            print(f"ns3ai_utils: debug: start this from another terminal: {shlex.join(command)}", flush=True)
            _bridge.announce_process(0, others)
            return self.msgInterface
        self.proc = _Program(program.name, command, show=show_output, folder=folder)
        hint = ""
        if folder is None and not self._in_tree:
            hint = (
                f"; it ran in {Path.cwd()}, for ns3Path {os.fspath(self.ns3Path or '')!r} is not the root of an ns-3 "
                f"source tree (which holds {', '.join(TREE[:-1])} or {TREE[-1]}). If the program names files from such "
                "a root, put --cwd=FOLDER after its name, with the folder that has them"
            )
        self._end = weakref.finalize(self, _end, self.proc, self.msgInterface if self.handleFinish else None, hint)
        _bridge.announce_process(self.proc.pid, others)
        return self.msgInterface

    def isalive(self) -> bool:
        """Return whether the ns-3 program runs."""
        return self.proc is not None and self.proc.wait(0) is None

    def kill(self) -> None:
        """End the ns-3 program, if it runs. One that has finished is given 10 s to end by itself."""
        self.begun = True
        if self._end is not None:
            self._end()

    def program(self) -> Path:
        """Return the program: `targetName` as a path, or by name, where the error says. Raises ConfigurationError."""
        return self._command()[0]

    def _command(self) -> tuple[Path, Path | None, list[str]]:
        """The program, the folder in which it runs (None: this one), and the command line that `targetName` makes."""
        if found := self._find(self.targetName):
            return found, None, [str(found)]
        words = shlex.split(self.targetName)
        said, own = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
        parser = argparse.ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
        parser.add_argument("name", nargs="?", default="")
        parser.add_argument("--cwd", type=Path)
        parser.add_argument("--no-build", action="store_true")
        try:
            options, unknown = parser.parse_known_args(said)
        except argparse.ArgumentError as error:
            raise ConfigurationError(f"targetName {self.targetName!r}: {error}") from None
        if unknown:
            raise ConfigurationError(
                f"targetName {self.targetName!r}: {unknown[0]} is not known; behind the name may stand --cwd=FOLDER, "
                "--no-build, and options of the program itself behind --"
            )
        if found := self._find(options.name):
            return found, options.cwd, [str(found), *own]
        looked = "".join(f"\n  {folder}" for folder in self._folders)
        raise ConfigurationError(
            f"there is no program {options.name!r}. Looked in{looked}\n  $PATH\n  the scenarios of edgelam\n"
            "Compile it as docs/coming-from-ns3-ai.md says and put it into one of these, beside the script for example"
        )

    def _find(self, name: str) -> Path | None:
        for folder in self._folders:
            path = folder / name
            if path.is_file() and os.access(path, os.X_OK):
                return path
        if os.sep in name:
            return None
        found = shutil.which(name)
        return Path(found) if found else paths.scenarios().get(name)


class _Program(ScenarioProcess):
    """A child that also has what agents use of subprocess.Popen: poll, returncode, terminate, kill, args."""

    def __getattr__(self, name: str) -> Any:
        if name == "process":  # not started
            raise AttributeError(name)
        return getattr(self.process, name)


def _places(module: ModuleType, ns3_path: str | os.PathLike[str] | None) -> list[Path]:
    """Return where programs are looked for: here, beside the script, beside the binding module, in `ns3_path`."""
    files = (getattr(sys.modules.get("__main__"), "__file__", None), getattr(module, "__file__", None))
    folders = [Path.cwd(), *(Path(file).resolve().parent for file in files if file)]
    if ns3_path is not None:
        folders.append(Path(ns3_path).resolve())
    return list(dict.fromkeys(folders))  # each once, in this order


def _end(process: ScenarioProcess, finishing: Any, hint: str) -> None:
    """End the program. finishing: the interface that says whether it ends by itself; hint: printed if it fails."""
    status = process.wait(0)
    if status is None and finishing is not None and finishing.PyGetFinished():
        status = process.wait(FINISH_GRACE_S)
    process.stop()
    if status:
        print(f"edgelam: {process.name}: {process.describe(status)}{hint if status > 0 else ''}", file=sys.stderr)
