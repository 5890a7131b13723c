# SPDX-License-Identifier: GPL-2.0-only
"""Runs several programs one after another as one rank; keeps what each prints: ``together.py FOLDER PROGRAM...``."""

import contextlib
import io
import json
import os
import runpy
import sys
import warnings
from pathlib import Path


def run(folder, programs):
    """Write to FOLDER/RANK.json what each program has printed."""
    warnings.simplefilter("ignore")
    printed = {}
    for program in programs:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            sys.argv = [program]
            sys.path.insert(0, str(Path(program).parent))
            runpy.run_path(program, run_name="__main__")
            sys.path.pop(0)
        printed[Path(program).stem] = output.getvalue()
    Path(folder, f"{os.environ['RANK']}.json").write_text(json.dumps(printed))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
