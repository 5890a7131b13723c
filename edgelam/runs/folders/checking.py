# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam check`` compares every file below a path with the digest that was stored when it was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from edgelam.files import digests
from edgelam.files.storage import StorageError
from edgelam.runs.folders import tables
from edgelam.runs.folders.folder import covered, read_manifest

CARRYING = (".npz", ".parquet", ".arrow", ".safetensors", ".json", ".toml", "order.txt")
"""Files that may hold their own digest."""


class Finding(NamedTuple):
    """The result for one file."""

    path: Path
    verdict: Literal["whole", "damaged", "unverified", "not covered"]
    """unverified: there is no digest; not covered: a figure, a page, or a file added to a run folder afterwards."""
    reason: str = ""


def check(path: Path) -> Iterator[Finding]:
    """Check all files of a run, a campaign, a folder of recordings or checkpoints, or one file.

    Raises StorageError if there is no such path.
    """
    path = Path(path)
    if path.is_file():
        yield _carrying(path)
        return
    if not path.is_dir():
        raise StorageError(f"{path}: there is no such file or folder")
    for place, folders, files in os.walk(path):
        folder = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if digests.MANIFEST in files:
            folders.clear()
            yield from _run(folder)
        else:
            yield from (
                _carrying(folder / name)
                for name in sorted(files)
                if not name.startswith(".") and name.endswith(CARRYING)
            )


def _run(folder: Path) -> Iterator[Finding]:
    manifest = folder / digests.MANIFEST
    try:
        files = read_manifest(folder).get("files")
    except StorageError as error:
        yield Finding(manifest, "damaged", str(error))
        return
    if files is None:
        yield Finding(manifest, "unverified")
        yield from (Finding(folder / name, "unverified") for name in covered(folder))
        return
    yield Finding(manifest, "whole")
    for name, recorded in files.items():
        yield _against(folder / name, recorded)
    for table in folder.glob("*.parts"):
        if f"{table.stem}.parquet" not in files:
            yield from (_carrying(part) for part in sorted(table.glob("[0-9]*.parquet")))
            try:
                tables.read_arrow(folder, table.stem)
            except StorageError as error:  # for example, a part is missing
                yield Finding(table, "damaged", str(error))
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name not in (*files, digests.MANIFEST) and not file.name.startswith("."):
            yield Finding(file, "not covered")


def _against(file: Path, recorded: str) -> Finding:
    try:
        if not file.exists():
            return Finding(file, "damaged", f"{file} is missing")
        digests.check_content(file.read_bytes(), recorded, file)
    except OSError as error:
        return Finding(file, "damaged", str(StorageError.of("read", file, error)))
    except StorageError as error:
        return Finding(file, "damaged", str(error))
    return Finding(file, "whole")


def _carrying(file: Path) -> Finding:
    try:
        return Finding(file, "whole" if digests.check_file(file) else "unverified")
    except StorageError as error:
        return Finding(file, "damaged", str(error))
