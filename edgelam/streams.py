# SPDX-License-Identifier: GPL-2.0-only
"""Standard output and error that may get lost while a command runs: a closed terminal, ``| head``, a full disk.

What goes there is for somebody who looks; the work goes on without.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast


class Lasting:
    """A text stream that can be written to for ever: once that fails, what is written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, as long as it lasts."""
        self._stream = stream
        self.lost: OSError | None = None
        """Why the stream was lost."""

    def write(self, text: str) -> int:
        """Write, or drop."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Write what has been kept back, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        with contextlib.suppress(OSError, ValueError):  # what is kept back, and what C writes, goes nowhere either
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's."""
        return getattr(self._stream, name)


def lasting(stream: TextIO | None) -> TextIO:
    """`stream` as one that lasts; None (closed before Python started) as one that drops everything."""
    if isinstance(stream, Lasting):
        return cast("TextIO", stream)
    if stream is None:
        stream = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
    return cast("TextIO", Lasting(stream))


@contextlib.contextmanager
def lasting_streams() -> Iterator[Lasting]:
    """Have `sys.stdout` and `sys.stderr` last while the body runs; gives the first of them.

    Paths that are not text in the encoding of the locale are written to stdout as the bytes that they are.
    """
    before = sys.stdout, sys.stderr
    if hasattr(before[0], "reconfigure"):
        before[0].reconfigure(errors="surrogateescape")
    output = sys.stdout = lasting(before[0])
    sys.stderr = lasting(before[1])
    try:
        yield cast("Lasting", output)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before
