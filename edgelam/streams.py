# SPDX-License-Identifier: GPL-2.0-only
"""Standard output and error that may be lost while a command runs: a closed terminal, ``| head``, a full disk.

They are only for a person who reads them; the work goes on without them.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast


class Lasting:
    """A text stream to which one can always write: after the first failure, what is written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, as long as this works."""
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
        """Write what is in the buffer, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        with contextlib.suppress(OSError, ValueError):  # what is in the buffer, and what C writes, is dropped, too
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the stream."""
        return getattr(self._stream, name)


def lasting(stream: TextIO | None) -> TextIO:
    """Return `stream` as a lasting one; None (closed before Python started) as one that drops everything."""
    if isinstance(stream, Lasting):
        return cast("TextIO", stream)
    if stream is None:
        stream = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
    return cast("TextIO", Lasting(stream))


@contextlib.contextmanager
def lasting_streams() -> Iterator[Lasting]:
    """Make `sys.stdout` and `sys.stderr` lasting while the body runs; give the first of them.

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
