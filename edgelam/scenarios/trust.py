# SPDX-License-Identifier: GPL-2.0-only
"""Decides whether a scenario may run: a file that comes from somebody else must not start a program without asking.

A scenario is a program that runs as the user who starts it. It is the user's own if it was installed, if the code of an
experiment names it, or if the user typed its path. If only a configuration or a manifest names a path, it is not the
user's own, wherever the file is. On a terminal, the user is asked; anywhere else it is refused, and the error says what
to type. docs/security.md has the rule.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgelam.errors import ConfigurationError

_scopes: list[dict[Path, str]] = []  # one for each command or replay in progress: path -> the file that names it


@contextlib.contextmanager
def scope() -> Iterator[None]:
    """Open a scope: what `named_by` says holds until it is left."""
    _scopes.append({})
    try:
        yield
    finally:
        _scopes.pop()


def named_by(file: str | os.PathLike[str], texts: Iterable[str], own: Iterable[str]) -> None:
    """From now on in this `scope`, run a scenario whose path is one of `texts` only if the user says yes.

    file: what holds `texts`, for the question; own: paths that are the user's own nevertheless, since the command line,
    the caller or the experiment's own code gives them.
    """
    trusted = {_place(text) for text in own}
    _scopes[-1].update({_place(text): os.fspath(file) for text in texts if _place(text) not in trusted})


def check(path: str | os.PathLike[str]) -> None:
    """Refuse a scenario's `path` that only a file names, unless the user says on the terminal that it may run.

    Raises ConfigurationError, which names the path, the file and the option that makes it the user's own.
    """
    place = _place(path)
    for named in _scopes:
        if place in named:
            _ask(os.fspath(path), named[place])
            del named[place]  # asking once is enough


def typed(arguments: Iterable[str]) -> list[str]:
    """Return every text that command line `arguments` may give as a path: each word, and what follows = and commas."""
    words: list[str] = []
    for argument in arguments:
        words += [argument, *(value for part in argument.split(",") for value in (part, part.partition("=")[2]))]
    return [word.strip("\"'") for word in words if word]


def _place(path: str | os.PathLike[str]) -> Path:
    """Return the file to which a path leads, so that two spellings of the same file are equal."""
    return Path(os.path.realpath(path))


def _ask(path: str, file: str) -> None:
    who = f"{file} names the scenario {path!r}, a program that would run as you"
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        print(f"{who}. Run it? [y/N]", file=sys.stderr, flush=True)  # a whole line: parts are not shown
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    raise ConfigurationError(f"{who}; it was not run. If you trust it, use: --trust {shlex.quote(path)}")
