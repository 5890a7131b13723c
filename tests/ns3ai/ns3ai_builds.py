# SPDX-License-Identifier: GPL-2.0-only
"""Programs and binding modules in the style of ns3-ai, compiled as docs/coming-from-ns3-ai.md says."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).parents[2]
GUIDE = TOP / "docs" / "coming-from-ns3-ai.md"
EXAMPLE = TOP / "ns3-scenarios" / "examples" / "ns3-ai"
PROGRAMS = Path(__file__).parent / "programs"


def commands(section: str) -> str:
    """The commands of a section of the guide."""
    return re.search(rf"## {section}\n.*?```\n(.*?)```", GUIDE.read_text(), re.DOTALL)[1]


def environment() -> dict[str, str]:
    """With this Python's programs first in $PATH."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def shell(command: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, check=False, capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr


def build(example: Path, folder: Path) -> None:
    """The example as the guide compiles it, into one folder, and the test programs into another."""
    for source, target in ((EXAMPLE, example), (PROGRAMS, folder)):
        for path in (each for each in source.iterdir() if each.is_file()):
            (target / path.name).write_text(path.read_text())
    program, module = commands("Compiling").splitlines()[:2]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(shell, command, example) for command in (module, program)]
        # unoptimised, to save time: pybind11's templates compile slowly
        named = module.replace("bottleneck", "messages").replace("edgelam ns3-ai cflags)", "edgelam ns3-ai cflags) -O0")
        jobs.append(pool.submit(shell, named, folder))
        for name, of, more in (("apb", "apb", ""), ("two", "two", ""), ("other", "apb", "-DONE_FIELD_MORE")):
            command = program.replace("-o bottleneck", f"-o {name} {more}").replace("bottleneck.cc", f"{of}.cc")
            jobs.append(pool.submit(shell, command, folder))
        for job in jobs:
            job.result()
