# SPDX-License-Identifier: GPL-2.0-only
"""What the user is told, on stderr, while this process waits long for a scenario that it has started."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from edgelam.cosim.launch import ScenarioProcess

LONG_S = 10.0  # wall time after which the user is told that a scenario still builds its network or writes its files,
AGAIN_S = 60.0  # and interval of further messages
HELD_LONG_S = 10.0  # wall time for which a participant may hold before the user is told, if idle ones end the run
LOOK_S = 2.0  # and period of checking whether they do anything
SILENCE_S = 30.0  # wall time without an answer after which the run says so once


def tell_of_a_long_build(process: ScenarioProcess, waited_s: float) -> None:
    """Say that the network is still being built."""
    _say(
        f"scenario {process.name} (pid {process.pid}) has not finished building its network after "
        f"{waited_s:.0f} s; it still runs (Ctrl-C ends it); {process.output}"
    )


def tell_of_a_long_end(process: ScenarioProcess, waited_s: float, participants: int) -> None:
    """Say that the scenario still runs although participant 0 has left."""
    others = "waits for the other participants, or " if participants > 1 else ""
    _say(
        f"scenario {process.name} (pid {process.pid}) still runs {waited_s:.0f} s after the run is over: it {others}"
        f"writes its files; it is waited for (Ctrl-C ends it); {process.output}"
    )


@contextlib.contextmanager
def told(tell: Callable[[float], object]) -> Iterator[None]:
    """While the body waits, call `tell(seconds waited)` after a while, and then every minute."""
    over = threading.Event()
    began = time.monotonic()

    def watch() -> None:
        pause_s = LONG_S
        while not over.wait(pause_s):
            tell(time.monotonic() - began)
            pause_s = AGAIN_S

    teller = threading.Thread(target=watch, name="edgelam: a long wait", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def tell_of_silence(process: ScenarioProcess, now_ns: int, silent_s: float, why: str) -> None:
    """Say that nothing has come from the scenario for a while: others hold, or it computes, perhaps for ever.

    why: what the other participants do, with the Python stacks of those that hold; empty: none holds.
    """
    busy = f"{process.name} (pid {process.pid}) is busy; {process.output}"
    _say(
        f"simulated time has stood still at {now_ns / 1e9:.9f} s for {silent_s:.0f} s, as far as the scenario tells: "
        f"{why or busy}"
    )


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody can be told
        print(f"edgelam: {text}", file=sys.stderr, flush=True)
