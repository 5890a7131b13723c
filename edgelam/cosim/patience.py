# SPDX-License-Identifier: GPL-2.0-only
"""What a user is told, on stderr, while a scenario that this process has started lets it wait."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from edgelam.cosim.launch import ScenarioProcess

BUILDS_S = 10.0  # wall time after which a network that is still being built is worth a word,
AGAIN_S = 60.0  # and every so often another
SILENCE_S = 30.0  # wall time without an answer after which the run says so, once


@contextlib.contextmanager
def told_of_a_long_build(process: ScenarioProcess) -> Iterator[None]:
    """While the body waits for `process` to build its network: say so after a while, and every minute."""
    over = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        pause_s = BUILDS_S
        while not over.wait(pause_s):
            _say(
                f"scenario {process.name} (pid {process.pid}) has not finished building its network after "
                f"{time.monotonic() - began:.0f} s; it still runs (Ctrl-C ends it); {process.output}"
            )
            pause_s = AGAIN_S

    teller = threading.Thread(target=tell, name="edgelam: a long build", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def tell_of_silence(process: ScenarioProcess, now_ns: int, participants: int) -> None:
    """Say that nothing has come from the scenario for a while: it computes long, or for ever."""
    others = ", or waits for another participant" if participants > 1 else ""
    _say(
        f"simulated time has stood still at {now_ns / 1e9:.9f} s for {SILENCE_S:.0f} s, as far as the scenario tells: "
        f"{process.name} (pid {process.pid}) is busy{others}; {process.output}"
    )


def _say(text: str) -> None:
    print(f"edgelam: {text}", file=sys.stderr, flush=True)
