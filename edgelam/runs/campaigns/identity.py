# SPDX-License-Identifier: GPL-2.0-only
"""What makes two runs the same: the whole configuration, the files it names, and the code that computes the results.

Left out, because no result depends on it: edgelam/runs (storing, campaigns; but not the network and what is needed from
it), edgelam/report, edgelam/bench, the commands, and an experiment's modules plotting, reporting and results, which
read a finished run.
"""

import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import edgelam
from edgelam import host, paths, scenarios
from edgelam.runs.campaigns.sources import python_sources
from edgelam.runs.configuration import texts, to_plain
from edgelam.runs.experiments import Experiment
from edgelam.scenarios.build import SUFFIXES

_NO_RESULT = {"runs", "report", "bench", "commands", "__main__.py", "experiments", "__pycache__"}
_NETWORK = ("runs/needs.py", "runs/network.py")
_READS_RESULTS = {"plotting.py", "reporting.py", "results.py"}
_PACKAGES = ("ns3", "torch", "transformers", "peft", "numpy", "scikit-learn")


@functools.cache
def code_version(experiment: Experiment) -> str:
    """Return a hash of all code on which the results depend: 16 hex digits. The same sources give the same version."""
    parts = {f"package {name}": str(host.versions()[name]) for name in _PACKAGES}
    source = Path(edgelam.__file__).parent
    python = (file for file in source.rglob("*.py") if file.relative_to(source).parts[0] not in _NO_RESULT)
    parts |= _digests([*python, *(source / name for name in _NETWORK)], source)
    compiled = paths.package_folder()
    parts |= _digests(
        [*compiled.glob("_bridge*.so"), *compiled.glob("lib/*.so*"), *compiled.glob("bin/scenarios/*")], compiled
    )
    parts |= experiment_sources(experiment, without=_READS_RESULTS)
    return _hash(parts)[:16]


def experiment_sources(experiment: Experiment, without: Iterable[str] = ()) -> dict[str, str]:
    """Return the hashes, by name, of the Python files of an experiment and of those beside it that they import."""
    file, without = Path(str(experiment.module.__file__)), set(without)
    if file.name != "__init__.py":
        return _digests(python_sources([file], file.parent, without), file.parent)
    files = (path for path in file.parent.rglob("*.py") if path.name not in without)
    folder = file.parent.parent
    return _digests(python_sources(files, folder, without), folder)


def experiment_files(experiment: Experiment) -> list[Path]:
    """The Python files of an experiment, also those that only read its results; `code_version` chooses from them."""
    file = Path(str(experiment.module.__file__))
    if file.name != "__init__.py":
        found = python_sources([file], file.parent)
    else:
        found = python_sources(file.parent.rglob("*.py"), file.parent.parent)
    return [*found, Path(str(sys.modules["edgelam.experiments"].__file__))]


def identity(experiment: Experiment, config: Any, version: str) -> str:
    """A hash of the configuration, the files that its texts name (from the working folder), and the code's version."""
    plain = to_plain(config)
    files = {name: _digest_of_named(Path(name)) for name in named_files(plain)}
    files |= {name: digest_of(Path(name)) for name in _values_naming_files(plain)}
    return _hash({"experiment": experiment.name, "configuration": plain, "files": files, "version": version})


def files_to_carry(plain: Any) -> list[Path]:
    """Return the files that a run reads by the paths in this plain configuration, and what Python files import."""
    named = [Path(name) for name in named_files(plain)]
    imported = (path for file in named if file.suffix == ".py" for path in python_sources([file], file.parent))
    return list(dict.fromkeys([*named, *imported, *map(Path, _values_naming_files(plain))]))


def named_files(plain: Any) -> Iterator[str]:
    """The texts in a plain configuration that are paths of existing files: a scenario's binary, a task's table."""
    return (text for text in texts(plain) if _is_file(text))


def _values_naming_files(plain: Any) -> Iterator[str]:
    """Do the same for what follows the first "=" in a text: an option of the scenario, ``positions=./places.csv``."""
    return (value for text in texts(plain) if _is_there(value := text.partition("=")[2]))


def _is_file(text: str) -> bool:
    return ("/" in text or bool(Path(text).suffix)) and _is_there(text)


def _is_there(text: str) -> bool:
    try:
        return bool(text) and Path(text).is_file()
    except (OSError, ValueError):  # too long, a zero byte
        return False


def _digest_of_named(file: Path) -> str:
    """A file's digest; a C++ file stands for the executable built from it, a Python file also for its imports."""
    if file.suffix in SUFFIXES:
        return digest_of(scenarios.build(file).executable)
    if file.suffix == ".py":
        return _hash(_digests(python_sources([file], file.parent), file.parent))
    return digest_of(file)


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file's content; it is read again only when the file has changed."""
    status = file.stat()
    return _digest(file.resolve(), status.st_size, status.st_mtime_ns)


@functools.cache
def _digest(file: Path, size: int, changed_ns: int) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digests(files: Iterable[Path], folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): digest_of(file) for file in sorted(files)}


def _hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
