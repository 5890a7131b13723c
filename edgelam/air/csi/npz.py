# SPDX-License-Identifier: GPL-2.0-only
"""CSI as .npz: a zip of .npy files without compression, written as a stream, memory-mapped when read.

``numpy.load`` reads it too (into memory). The data of each array begin at a multiple of 64 bytes of the file: a zip
entry's header may have a field of any length, and ours (the one that Android's zipalign uses) fills the gap.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgelam.air.csi.new_file import NewFile
from edgelam.air.csi.table import Array, CsiSet
from edgelam.errors import EdgelamError
from edgelam.files import digests

ALIGNMENT = 64
_ZIP64_FIELD_BYTES = 20
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # APPNOTE.TXT 4.3.7
_END = struct.Struct("<4s4H2IH")  # 4.3.16, without the comment
_PADDING_FIELD = 0xD935


class NpzWriter:
    """Writes samples as they come; `finish` adds the columns."""

    def __init__(self, new: NewFile, samples: int, shape: tuple[int, ...]) -> None:
        """samples: how many will follow; shape: of the csi of each (complex64)."""
        self._new = new
        self._zip = zipfile.ZipFile(new.file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._csi = self._open("csi")
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.complex64)), "fortran_order": False}
        np.lib.format.write_array_header_2_0(self._csi, {**header, "shape": (samples, *shape)})

    def write(self, csi: Array) -> None:
        """Write the next sample, complex64 [time, rx, tx, subcarrier]."""
        self._csi.write(np.ascontiguousarray(csi).reshape(-1).view(np.uint8).data)
        self._new.sync()

    def finish(self, tones_hz: Array | None, columns: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:
        """Write the rest, after all samples. The caller commits the file."""
        self._csi.close()
        rest = {} if tones_hz is None else {"tones_hz": tones_hz}
        for name, values in {**rest, **columns, "metadata": np.array(json.dumps(metadata))}.items():
            with self._open(name) as member:
                np.lib.format.write_array(member, values, version=(2, 0), allow_pickle=False)
        self._zip.comment = digests.BLANK.encode()
        self._zip.close()

    def abandon(self) -> None:
        """Give the file up: write nothing more, not even when this object is collected."""
        self._zip.fp = None

    def _open(self, name: str) -> IO[bytes]:
        entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: the same data make the same file
        begin = self._new.file.tell() + _LOCAL_HEADER.size + len(entry.filename) + _ZIP64_FIELD_BYTES + 4
        padding = -begin % ALIGNMENT
        entry.extra = struct.pack("<2H", _PADDING_FIELD, padding) + bytes(padding)
        return self._zip.open(entry, "w", force_zip64=True)


def load_npz(path: Path) -> CsiSet:
    """Read what NpzWriter wrote; the csi is memory-mapped, copy-on-write. Raises EdgelamError."""
    try:
        _refuse_cut_off(path)
        with zipfile.ZipFile(path) as archive:
            members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            missing = [name for name in ("csi", "metadata") if name not in members]
            if missing:
                names = ", ".join(members) or "nothing"
                raise EdgelamError(
                    f"{path} is not a recording of CSI: it has no {' and no '.join(missing)}, but {names}"
                )
            arrays = {name: _read(archive, entry) for name, entry in members.items() if name != "csi"}
        csi = _map(path, members["csi"])
        metadata = dict(json.loads(str(arrays.pop("metadata"))))
    except (EdgelamError, OSError):
        raise
    except Exception as error:  # the bytes may come from anybody; zipfile, zlib, numpy, json have errors of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EdgelamError(f"{path} is not a whole .npz file ({reason}): cut off, or of another kind") from None
    tones = arrays.pop("tones_hz", None)
    order = [name for name in members if name in arrays]
    return CsiSet(csi, tones, {name: arrays[name] for name in order}, metadata)


def _refuse_cut_off(path: Path) -> None:
    """Raise if the archive ends in the middle of its comment, where its digest is: `zipfile` accepts that."""
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, 2) - _END.size - len(digests.BLANK)))
        tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at >= 0 and (len(tail) < at + _END.size or len(tail) < at + _END.size + _END.unpack_from(tail, at)[-1]):
        raise zipfile.BadZipFile("it ends within its last record")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """Read a member into memory, never more than the file has, whatever its header says."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{entry.filename} is compressed; nothing in a recording is")
    with archive.open(entry) as member:
        shape, fortran, dtype = _header(member)
        data = bytearray(member.read())  # up to its end, where its checksum is
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=1) < 0 or size != len(data):
        raise ValueError(f"{entry.filename} says {dtype} {shape}, and has {len(data)} bytes")
    return np.ndarray(shape, dtype, data, order="F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version < (2, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _map(path: Path, entry: zipfile.ZipInfo) -> Array:
    """Return an uncompressed member as an array, whose parts are read from the file when they are used."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise ValueError("csi is compressed or encrypted")
    with open(path, "rb") as file:
        file.seek(entry.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(header[-2] + header[-1], 1)
        begin = file.tell()
        shape, fortran, dtype = _header(file)
        if fortran or dtype != np.complex64 or len(shape) != 5:
            raise ValueError(f"csi is {dtype} of {len(shape)} dimensions, not complex64 of 5")
        if min(shape) < 1 or file.tell() - begin + math.prod(shape) * dtype.itemsize != entry.file_size:
            raise ValueError(f"csi says {shape}, and has {entry.file_size} bytes")
        return np.memmap(path, dtype, "c", file.tell(), tuple(map(int, shape)))
