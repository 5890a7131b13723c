# SPDX-License-Identifier: GPL-2.0-only
"""Compile a scenario of one file, once: the executable is kept in the user's cache until what it was made of changes.

The cache is ``$XDG_CACHE_HOME/edgelam/scenarios`` (``~/.cache/edgelam/scenarios``), one folder for each source file and
installation of edgelam. In it lie the executable and ``.built-from.json``: the commands, the compiler, and the checksum
of each file that the compiler read. An executable without this list, or whose list does not hold any more, is built
again. Whatever lies beside the executable begins with a dot, which the name of an executable never does.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgelam import processes
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.scenarios import toolchain, trust

SUFFIXES = (".cc", ".cpp", ".cxx")
RECORD, LOCK = ".built-from.json", ".lock"


class Built(NamedTuple):
    """An executable that is up to date."""

    executable: Path
    seconds: float
    """Wall time of compiling, s; 0.0 if there was nothing to do."""

    @property
    def program(self) -> Path:
        """`executable`, as it was called before."""
        return self.executable


def build(source: Path) -> Built:
    """Compile `source` unless its executable is up to date; says so on stderr, where the compiler writes as well.

    Several processes may build at the same time: one of them compiles. Raises ConfigurationError for a file that is
    not there or does not compile, or no compiler.
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
    with _locked(folder, source):
        executable = folder / name
        recipe = _recipe()
        if _is_up_to_date(folder, executable, recipe):
            return Built(executable, 0.0)
        for left in folder.glob(".building-*"):  # of a build that was killed: the lock says that none goes on
            shutil.rmtree(left, ignore_errors=True)
        _say(f"building {source} (some seconds)")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
            _compile(source, Path(scratch), folder, executable, recipe)
        return Built(executable, time.monotonic() - began)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody is there to be told
        print(text, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """Where executables are kept; in the temporary folder for a user without a home that can be written to.

    Executables from there are run, so nobody else may be able to put one there: the folder is this user's, and no one
    else may write to it; in the temporary folder, which all users share, it is no link either, and closed to others.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~")) / ".cache") / "edgelam"
    shared = Path(tempfile.gettempdir()) / f"edgelam-{os.getuid()}"
    reasons = []
    for folder, others in ((home, 0o022), (shared, 0o077)):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            reason = _unsafe(folder, os.stat(folder) if folder == home else os.lstat(folder), others)
        except OSError as error:
            reason = f"{folder} cannot be used: {error.strerror}"
        if not reason:
            return folder / "scenarios"
        reasons.append(reason)
    raise EdgelamError(f"{'; '.join(reasons)}: set XDG_CACHE_HOME to a folder of yours, for compiled scenarios")


def _unsafe(folder: Path, status: os.stat_result, others: int) -> str:
    """Why executables in `folder` cannot be trusted or kept; `others`: what may be allowed to nobody else."""
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is a link or file"
    if status.st_uid != os.getuid():
        return f"{folder} belongs to user {status.st_uid}"
    if status.st_mode & others:
        return f"{folder} is open to others (mode {stat.S_IMODE(status.st_mode):o}; chmod 700 closes it)"
    return "" if os.access(folder, os.W_OK) else f"{folder} cannot be written to"


def _plain(stem: str) -> str:
    """What an executable is called: as its source, but for characters that are not the same everywhere."""
    plain = re.sub(r"[^A-Za-z0-9_.+-]", "_", stem)[:100]
    return "_" + plain[1:] if plain[0] in ".-" else plain


def _folder_of(source: Path, name: str) -> Path:
    """The folder of a source file's executable: of its name, and a checksum of its place and edgelam's."""
    place = os.fsencode(source.resolve()) + b"\n" + os.fsencode(toolchain.include_folders()[0])
    return cache_folder() / f"{name}-{hashlib.sha256(place).hexdigest()[:12]}"


@contextlib.contextmanager
def _locked(folder: Path, source: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go of it when the process ends, however it does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / LOCK, "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say(f"{source} is being built by another process; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:  # also of the body: a full disk, a folder that is gone
        reason = f"{error.strerror or error} ({os.fsdecode(error.filename)})" if error.filename else str(error)
        raise EdgelamError(f"cannot build in {folder}: {reason} (XDG_CACHE_HOME sets the place)") from error


def _recipe() -> dict[str, Any]:
    """What decides the executable beside the files: compared as a whole."""
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
    text = f"./{text}" if text[0] in "-@" else text  # these mean something to a compiler
    dependencies = ["-MD", "-MT", "it", "-MF", list_file]
    _call([*compiler, *recipe["compile"], *dependencies, "-c", text, "-o", object_file], source, scratch)
    read = [Path.cwd() / path for path in _prerequisites(os.fsdecode(list_file.read_bytes()))]
    # .resolve(): the compiler writes a header's path as it came to it, folder/../header.h
    modules = toolchain.modules_of(path.resolve() for path in read)
    _call([*compiler, object_file, "-o", new, *toolchain.link_flags(modules)], source, scratch)

    (folder / RECORD).unlink(missing_ok=True)  # first: it must never stand beside another executable than its own
    os.replace(new, executable)
    if any(path.stat().st_mtime_ns >= began_ns for path in read):
        return  # changed meanwhile, so what was compiled is not what lies there: the next call builds again
    files = [*read, executable, *toolchain.library_folders()[0].glob("*.so")]
    record = {
        "source": str(source.resolve()),
        "recipe": recipe,
        "files": {str(path): checksum(path) for path in files},
    }
    (scratch / RECORD).write_text(json.dumps(record, indent=1))
    os.replace(scratch / RECORD, folder / RECORD)


def _call(command: list[Any], source: Path, scratch: Path) -> None:
    """Run the compiler. It and what it starts end with this process, also where that is killed."""
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
    """The files after the colon of a make rule (what -MD writes): unescapes blanks, # and $."""
    files = rule.replace("\\\n", " ").partition(": ")[2]
    words = re.findall(r"(?:\\.|[^\s\\])+", files)
    return [re.sub(r"\\([ #\\])", r"\1", word).replace("$$", "$") for word in words]


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
