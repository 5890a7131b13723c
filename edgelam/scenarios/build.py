# SPDX-License-Identifier: GPL-2.0-only
"""Compiles a scenario of one file once: the executable is kept in the user's cache until one of its files changes.

The cache is ``$XDG_CACHE_HOME/edgelam/scenarios`` (``~/.cache/edgelam/scenarios``), one folder for each source file and
installation of edgelam. It holds the executable and ``.built-from.json``: the commands, the compiler, and the checksum
of each file that the compiler read. If this list is missing or does not hold any more, the executable is built again.
All other names in the folder begin with a dot, which the name of an executable never does.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from edgelam import processes
from edgelam.errors import ConfigurationError
from edgelam.files.cache import cache_folder, locked
from edgelam.scenarios import toolchain, trust

SUFFIXES = (".cc", ".cpp", ".cxx")
RECORD = ".built-from.json"


class Built(NamedTuple):
    """An executable that is up to date."""

    executable: Path
    seconds: float
    """Wall time of compiling, s; 0.0 if there was nothing to do."""

    @property
    def program(self) -> Path:
        """`executable`, under its earlier name."""
        return self.executable


def build(source: Path) -> Built:
    """Compile `source` unless its executable is up to date, and say so on stderr, where the compiler also writes.

    Several processes may build at the same time: one of them compiles. Raises ConfigurationError if the file does not
    exist or does not compile, or if there is no compiler.
    """
    if source.suffix not in SUFFIXES:
        raise ConfigurationError(f"{source}: a C++ scenario is a file .cc (also .cpp, .cxx)")
    if not source.is_file():
        what = "is a folder" if source.is_dir() else "there is no such file"
        raise ConfigurationError(f"{source}: {what}; 'edgelam scenario new {source.stem}' writes a first scenario")
    if any(ord(character) < 32 for character in str(source)):
        raise ConfigurationError(f"{str(source)!r}: a path without control characters is needed")
    trust.check(source)
    name = _plain(source.stem)
    folder = _folder_of(source, name)
    with locked(folder, f"{source} is being built by another process", "build"):
        executable = folder / name
        recipe = _recipe()
        if _is_up_to_date(folder, executable, recipe):
            return Built(executable, 0.0)
        for left in folder.glob(".building-*"):  # from a build that was killed: the lock shows that none still runs
            shutil.rmtree(left, ignore_errors=True)
        _say(f"building {source} (some seconds)")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
            _compile(source, Path(scratch), folder, executable, recipe)
        return Built(executable, time.monotonic() - began)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody can be told
        print(text, file=sys.stderr, flush=True)


def _plain(stem: str) -> str:
    """Return the name of an executable: that of its source, without characters that differ between systems."""
    plain = re.sub(r"[^A-Za-z0-9_.+-]", "_", stem)[:100]
    return "_" + plain[1:] if plain[0] in ".-" else plain


def _folder_of(source: Path, name: str) -> Path:
    """Return the folder of a source file's executable: its name, and a checksum of its path and edgelam's."""
    place = os.fsencode(source.resolve()) + b"\n" + os.fsencode(toolchain.include_folders()[0])
    return cache_folder("scenarios") / f"{name}-{hashlib.sha256(place).hexdigest()[:12]}"


def _recipe() -> dict[str, Any]:
    """Return what decides the executable beside the files; it is compared as a whole."""
    compiler = toolchain.compiler()
    return {
        "compiler": [*compiler, toolchain.compiler_version(compiler)],
        "compile": toolchain.compile_flags(),
        "link": toolchain.link_flags(),
    }


def _is_up_to_date(folder: Path, executable: Path, recipe: dict[str, Any]) -> bool:
    try:
        record = json.loads((folder / RECORD).read_bytes())
        if record["recipe"] != recipe or str(executable) not in record["files"]:
            return False
        return all(checksum(Path(path)) == recorded for path, recorded in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _compile(source: Path, scratch: Path, folder: Path, executable: Path, recipe: dict[str, Any]) -> None:
    """Compile and link in `scratch`, then put executable and record into their places."""
    began_ns = time.time_ns()
    object_file, list_file, new = scratch / "object.o", scratch / "files.d", scratch / "executable"
    compiler = toolchain.compiler()
    text = str(source)
    text = f"./{text}" if text[0] in "-@" else text  # these have a meaning for a compiler
    dependencies = ["-MD", "-MT", "it", "-MF", list_file]
    _call([*compiler, *recipe["compile"], *dependencies, "-c", text, "-o", object_file], source, scratch)
    read = [Path.cwd() / path for path in _prerequisites(os.fsdecode(list_file.read_bytes()))]
    # .resolve(): the compiler writes a header's path as it came to it, folder/../header.h
    modules = toolchain.modules_of(path.resolve() for path in read)
    _call([*compiler, object_file, "-o", new, *toolchain.link_flags(modules)], source, scratch)

    (folder / RECORD).unlink(missing_ok=True)  # at first: it must never be beside an executable that is not its own
    os.replace(new, executable)
    if any(path.stat().st_mtime_ns >= began_ns for path in read):
        return  # a file changed in the meantime, so what was compiled differs from it: the next call builds again
    files = [*read, executable, *toolchain.library_folders()[0].glob("*.so")]
    record = {
        "source": str(source.resolve()),
        "recipe": recipe,
        "files": {str(path): checksum(path) for path in files},
    }
    (scratch / RECORD).write_text(json.dumps(record, indent=1))
    os.replace(scratch / RECORD, folder / RECORD)


def _call(command: list[Any], source: Path, scratch: Path) -> None:
    """Run the compiler. It and what it starts end with this process, even if that is killed."""
    words = [str(word) for word in command]
    if kill := processes.bound("KILL"):
        words = [*processes.bound(), *words, "-wrapper", ",".join(kill)]
    done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(scratch)})
    if done.returncode:
        raise ConfigurationError(
            f"{source} was not built: {Path(command[0]).name} ended with status {done.returncode}, "
            f"its messages are above; it was called as\n  {shlex.join(map(str, command))}"
        )


def _prerequisites(rule: str) -> list[str]:
    """Return the files after the colon of a make rule (written by -MD), with blanks, # and $ unescaped."""
    files = rule.replace("\\\n", " ").partition(": ")[2]
    words = re.findall(r"(?:\\.|[^\s\\])+", files)
    return [re.sub(r"\\([ #\\])", r"\1", word).replace("$$", "$") for word in words]


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
