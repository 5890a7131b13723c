# SPDX-License-Identifier: GPL-2.0-only
"""Runs the C++ programs that measure (ns3-scenarios/bench), each on its own core."""

import json
import os
import subprocess
from typing import Any

from edgelam.paths import installed
from edgelam.processes import bound


def run_pinned(executable: str, *arguments: str, cores: int = 1) -> Any:
    """Run bin/bench/`executable` on the highest usable cores; returns the JSON that it prints."""
    highest = sorted(os.sched_getaffinity(0))[-cores:]
    done = subprocess.run(
        [*bound("KILL"), str(installed(f"bin/bench/{executable}")), *arguments],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, highest),
    )
    return json.loads(done.stdout)
