# SPDX-License-Identifier: GPL-2.0-only
"""ns3-ai's `Experiment`: the Python end of a message interface, and the ns-3 program at its other end."""

from __future__ import annotations

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

FINISH_GRACE_S = 10.0  # for an ns-3 program that has said that it has finished, to write its files and end


class Experiment:
    """Makes the shared memory, starts the ns-3 program, and ends it with ``del``, `kill` or the process."""

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

        `targetName`: name or path of the program; where a name is looked for, `program` says. `ns3Path`: a further
        folder to look in, and the folder the program runs in if it holds an ns-3 source tree. `msgModule`: the binding
        module. `handleFinish`: PyGetFinished tells that the program has ended. `vectorSize`: elements that both vectors
        have at first. `shmSize` in bytes. `segName`: different for interfaces that exist at the same time.
        `debug`: `run` starts nothing but says what to start by hand, in a debugger for example.

        Raises ConfigurationError for settings that do not go together.
        """
        other = self._of_segment.get(segName)
        if other is not None and other.isalive():
            raise ConfigurationError(
                f"segName {segName!r}: an experiment of this process that runs {other.targetName!r} uses it; give each "
                "interface a segment name of its own, here and with SetNames in its ns-3 program"
            )
        if useVector and vectorSize is None:
            raise ConfigurationError("useVector=True needs vectorSize, the number of elements at first (0 is one)")
        self.targetName: str = os.fspath(targetName)
        self.debug = debug
        self.ns3Path = ns3Path
        self.msgModule = msgModule
        self.handleFinish = handleFinish
        self.segName = segName
        self.proc: ScenarioProcess | None = None
        self.msgInterface = msgModule.Ns3AiMsgInterfaceImpl(
            True, useVector, handleFinish, shmSize, segName, cpp2pyMsgName, py2cppMsgName, lockableName
        )
        if useVector:
            self.msgInterface.GetCpp2PyVector().resize(vectorSize)
            self.msgInterface.GetPy2CppVector().resize(vectorSize)
        self._end: weakref.finalize[..., Experiment] | None = None
        self._of_segment[segName] = self

    def run(self, setting: Mapping[str, Any] | None = None, show_output: bool = False) -> Any:
        """Start the program, after ending one that still runs, and return the message interface.

        `setting` becomes ``--name=value``, and ``--name`` where the value is None or "". `show_output`: let the program
        write to this terminal; otherwise its last lines are shown if it fails. Raises ConfigurationError when there is
        no such program.
        """
        self.kill()
        program = self.program()
        command = [str(program)]
        for name, value in (setting or {}).items():
            command.append(f"--{name}" if value in (None, "") else f"--{name}={value}")
        if self.debug:
            print(f"ns3ai_utils: debug: start this from another terminal: {shlex.join(command)}", flush=True)
            return self.msgInterface
        root = Path(self.ns3Path) if self.ns3Path is not None and (Path(self.ns3Path) / "ns3").is_file() else None
        self.proc = ScenarioProcess(program.name, command, show=show_output, folder=root)
        self._end = weakref.finalize(self, _end, self.proc, self.msgInterface if self.handleFinish else None)
        _bridge.announce_process(self.proc.pid, [name for name, of in self._of_segment.items() if of is not self])
        return self.msgInterface

    def isalive(self) -> bool:
        """Whether the ns-3 program runs."""
        return self.proc is not None and self.proc.wait(0) is None

    def kill(self) -> None:
        """End the ns-3 program, if it runs. One that has finished is given 10 s to end by itself."""
        if self._end is not None:
            self._end()

    def program(self) -> Path:
        """The program: `targetName` as a path, or by name where the error says. Raises ConfigurationError."""
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        module = getattr(self.msgModule, "__file__", None)
        folders = [Path.cwd(), *(Path(path).resolve().parent for path in (script, module) if path)]
        if self.ns3Path is not None:
            folders.append(Path(self.ns3Path).resolve())
        folders = list(dict.fromkeys(folders))  # each once, in this order
        for folder in folders:
            path = folder / self.targetName
            if path.is_file() and os.access(path, os.X_OK):
                return path
        if os.sep not in self.targetName:
            if found := shutil.which(self.targetName):
                return Path(found)
            if found_here := paths.scenarios().get(self.targetName):
                return found_here
        looked = "".join(f"\n  {folder}" for folder in folders)
        raise ConfigurationError(
            f"there is no program {self.targetName!r}. Looked in{looked}\n  $PATH\n  the scenarios of edgelam\n"
            "Compile it as docs/coming-from-ns3-ai.md says and put it into one of these, beside the script for example"
        )


def _end(process: ScenarioProcess, finishing: Any) -> None:
    """End the program. `finishing`: the interface that can tell whether it ends by itself anyway."""
    status = process.wait(0)
    if status is None and finishing is not None and finishing.PyGetFinished():
        status = process.wait(FINISH_GRACE_S)
    process.stop()
    if status:
        print(f"edgelam: {process.name}: {process.describe(status)}", file=sys.stderr)
