# SPDX-License-Identifier: GPL-2.0-only
"""Reading recordings of CSI."""

from __future__ import annotations

import os
from pathlib import Path

from edgelam.air.csi.settings import check_suffix
from edgelam.air.csi.table import CsiSet
from edgelam.errors import EdgelamError
from edgelam.files import digests


def load(path: str | os.PathLike[str]) -> CsiSet:
    """Return what ``edgelam csi record`` wrote.

    The whole file is read once, and refused if its digest is wrong. The CSI of .npz is memory-mapped (writing to it
    changes only this process's copy); the CSI of .parquet and .arrow is read into memory. Raises EdgelamError, which
    names the file and what is wrong with it.
    """
    path = Path(path)
    check_suffix(str(path), path)
    if not path.is_file():
        raise EdgelamError(f"{path}: no such file; edgelam csi record makes a recording")
    if not digests.check_file(path):
        digests.say_unverified(path)
    try:
        if path.suffix == ".npz":
            from edgelam.air.csi.npz import load_npz

            data = load_npz(path)
        else:
            from edgelam.air.csi.arrow import load_arrow

            data = load_arrow(path)
    except OSError as error:
        raise EdgelamError(f"cannot read {path}: {error.strerror or error}") from None
    if reason := data.incomplete():
        raise EdgelamError(f"{path} is not a recording of CSI: {reason}")
    return data
