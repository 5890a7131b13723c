# SPDX-License-Identifier: GPL-2.0-only
"""The progress of a campaign, on stderr: a live table on a terminal, otherwise a line for each run."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edgelam import reasons, streams
from edgelam.runs.campaigns.folder import Claim, Job

_ROWS = 20  # rows of running runs; the others are counted


class Display:
    """Counts runs, and estimates the time left from the durations so far."""

    def __init__(self, total: int, present: int, console: Console | None = None) -> None:
        """`present` of `total` runs exist already."""
        self.console = console or Console(file=streams.lasting(sys.stderr))
        self.total, self.present = total, present
        self.done = self.failed = self.elsewhere = 0
        self._running: dict[str, tuple[Claim, float]] = {}
        self._seconds: list[float] = []
        self._live: Live | None = None

    def started(self, claim: Claim) -> None:
        """Show that a run begins."""
        self._running[claim.job.name] = (claim, time.monotonic())

    def ended(self, job: Job, finished: bool, reason: str = "") -> None:
        """Show that a run has ended; reason: why it failed, in one line."""
        begun = self._running.pop(job.name)[1]
        seconds = time.monotonic() - begun
        self._seconds.append(seconds)
        self.done, self.failed = self.done + finished, self.failed + (not finished)
        what = f"done in {seconds:.1f} s" if finished else f"FAILED after {seconds:.1f} s: {reason}"
        if self._live is None or not finished:
            place = f"{self.present + self.done + self.failed}/{self.total}"
            left = "" if self._live is not None else self._left_text()
            self.say(f"{place}  {job.label}: {what}{left}")

    def found(self) -> None:
        """Count a run that another campaign has finished."""
        self.present += 1

    def seconds_left(self) -> float | None:
        """The mean duration of a run times the runs left, over the runs at a time; None before the first has ended."""
        waiting = self.total - self.present - self.done - self.failed
        if not self._seconds or waiting <= 0:
            return None
        mean, now = sum(self._seconds) / len(self._seconds), time.monotonic()
        spent = sum(min(mean, now - begun) for _, begun in self._running.values())
        return max(0.0, mean * waiting - spent) / max(1, len(self._running))

    def _left_text(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f"  about {duration(left)} left"

    def say(self, text: str) -> None:
        """Print a line of its own."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Group:
        counts = [f"{self.present + self.done} of {self.total} finished", f"{len(self._running)} running"]
        counts += [f"{self.present} were there before"] if self.present else []
        counts += [f"{self.failed} failed"] if self.failed else []
        counts += [f"{self.elsewhere} with another campaign"] if self.elsewhere else []
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
        for name in ("run", "for", "says"):
            table.add_column(name, no_wrap=True, overflow="ellipsis", justify="right" if name == "for" else "left")
        now, shown = time.monotonic(), list(self._running.values())[:_ROWS]
        for claim, begun in shown:
            table.add_row(Text(claim.job.label), duration(now - begun), Text(last_line(claim.scratch / "stderr.txt")))
        if len(self._running) > len(shown):
            table.add_row(f"and {len(self._running) - len(shown)} more")
        return Group(Text(", ".join(counts) + self._left_text()), table)

    def __enter__(self) -> Self:
        """Start the live table, on a terminal."""
        if self.console.is_terminal:
            draw: Callable[[], Group] = self._table
            self._live = Live(get_renderable=draw, console=self.console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the live table."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def duration(seconds: float) -> str:
    """Return a duration as '48 s', '12 min', '3 h 20 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def last_line(file: Path) -> str:
    """Return the last line that is not empty in the last 4 kB; empty if there is none."""
    lines = _end_of(file, 4096).splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def reason_of(scratch: Path) -> str:
    """Return why the run with this folder failed, in one line; empty if it wrote nothing."""
    return reasons.of_log(_end_of(scratch / "stderr.txt", 1 << 16))


def _end_of(file: Path, size_bytes: int) -> str:
    try:
        with open(file, "rb") as stream:
            stream.seek(max(0, file.stat().st_size - size_bytes))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
