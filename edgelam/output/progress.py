# SPDX-License-Identifier: GPL-2.0-only
"""Progress of a run on stderr: a live bar on a terminal, plain lines where the output is kept (a file, CI).

If the terminal is lost, the progress is lost, but not the run.
"""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)

from edgelam import streams

PLAIN_SECONDS = 10.0  # interval of plain lines in wall seconds; the last round always has one


class Progress:
    """Shows the current job of a run, its rounds, its simulated time, its newest values and the wall time left.

    Use it as a context manager around the run; then call ``begin`` for every job and ``step`` for every round.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Show on `console`, by default stderr."""
        self.console = console or Console(file=streams.lasting(sys.stderr))
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._label, self._rounds = "", 0
        self._begun = self._printed = 0.0

    def begin(self, label: str, rounds: int, unit: str = "rounds") -> None:
        """Begin a new job of `rounds` rounds (or another `unit`); the one before is done."""
        self._label, self._rounds = label, rounds
        self._begun = self._printed = time.monotonic()
        if self._bar is None:
            if rounds > 1:
                self.console.print(f"{label}: {rounds} {unit}", markup=False, highlight=False)
            return
        self._finish_task()
        self._task = self._bar.add_task(label, total=rounds, facts="")

    def step(self, done: int, *, simulated_s: float | None = None, **values: float | None) -> None:
        """Show that `done` rounds of the job are done, at this simulated time, with these new values (``loss=2.1``)."""
        facts = [] if simulated_s is None else [f"simulated {simulated_s:.2f} s"]
        facts += [f"{name} {value:.4g}" for name, value in values.items() if value is not None]
        text = "  ".join(facts)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, facts=text)
            return
        now = time.monotonic()
        if done < self._rounds and now - self._printed < PLAIN_SECONDS:
            return
        self._printed = now
        left = (now - self._begun) / max(done, 1) * (self._rounds - done)
        line = f"{self._label}: {done}/{self._rounds}  {text}" + (f"  about {left:.0f} s left" if left >= 1 else "")
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line of its own."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _finish_task(self) -> None:
        if self._bar is not None and self._task is not None:
            total = self._bar.tasks[self._task].total
            self._bar.update(self._task, completed=total)

    def __enter__(self) -> Self:
        """Start the live display, on a terminal."""
        if self.console.is_terminal:
            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("[dim]{task.fields[facts]}"),
                console=self.console,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the display as it is."""
        if self._bar is not None:
            if error is None:
                self._finish_task()
            self._bar.stop()
            self._bar = None
