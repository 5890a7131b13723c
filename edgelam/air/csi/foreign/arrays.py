# SPDX-License-Identifier: GPL-2.0-only
"""Arrays in .mat files (MATLAB 5 to 7 by SciPy, 7.3 by h5py), .npy and .npz.

MATLAB 7.3 is HDF5: dimensions are in reverse order, a complex number is a struct of `real` and `imag`, and the first
512 bytes say what it is. Arrays of 2 GB and more are possible in this version only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edgelam.air.csi.table import Array
from edgelam.errors import ConfigurationError, EdgelamError

SUFFIXES = (".mat", ".npy", ".npz")
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
USER_BLOCK_BYTES = 512
KINDS = "iufc"
_TEXT = b"MATLAB 7.3 MAT-file, written by edgelam, HDF5 schema 1.00 ."
_COMPLEX = np.dtype([("real", "<f4"), ("imag", "<f4")])


def read(path: Path) -> dict[str, Array]:
    """Return the numeric arrays of a file by name; one of .npy is called like the file.

    Dimensions are in MATLAB's order, in which a trailing dimension of 1 is dropped. Cells, structs and objects are left
    out. Raises ConfigurationError for a file of another kind, EdgelamError for one that is damaged.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(f"{path}: its name must end in one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            return _numeric({path.stem: np.load(path, allow_pickle=False, mmap_mode="r")})
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return _numeric({name: archive[name] for name in archive.files if not _is_object(archive, name)})
        return _read_hdf5(path) if _is_hdf5(path) else _read_matlab_5(path)
    except (EdgelamError, MemoryError):
        raise
    except Exception as error:  # the bytes may come from anybody; numpy, scipy and h5py have errors of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, ValueError) and ("pickle" in reason or "Python objects" in reason):
            raise EdgelamError(
                f"{path} is no file of NumPy, or has Python objects, which are not read since reading can run code; "
                "save the array alone, such as np.save('channel.npy', dataset[0]['user']['channel'])"
            ) from None
        raise EdgelamError(
            f"{path} is not a whole {path.suffix} file ({reason}): cut off, or of another kind"
        ) from None


def write_mat(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    """Write arrays, complex64 in C order with their dimensions already reversed, as MATLAB 7.3."""
    h5py = need_h5py()
    with h5py.File(file, "w", userblock_size=USER_BLOCK_BYTES, libver="earliest") as archive:
        for name, array in arrays.items():
            dataset = archive.create_dataset(name, data=array.view(_COMPLEX), track_times=False)
            dataset.attrs["MATLAB_class"] = np.bytes_(b"single")
    file.seek(0)
    file.write(_TEXT.ljust(116) + bytes(8) + (0x0200).to_bytes(2, "little") + b"IM")


def need_h5py() -> Any:
    """Return the module h5py. Raises ConfigurationError that names the extra if it is not there."""
    try:
        import h5py
    except ImportError:
        raise ConfigurationError("MATLAB 7.3 files need h5py: pip install 'edgelam[matlab]'") from None
    return h5py


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(USER_BLOCK_BYTES + len(HDF5_MAGIC))
    return HDF5_MAGIC in (head[: len(HDF5_MAGIC)], head[USER_BLOCK_BYTES:])


def _read_matlab_5(path: Path) -> dict[str, Array]:
    from scipy.io import loadmat

    return _numeric({name: values for name, values in loadmat(path).items() if not name.startswith("__")})


def _read_hdf5(path: Path) -> dict[str, Array]:
    h5py = need_h5py()
    with h5py.File(path, "r") as file:
        found = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset) and item.ndim}
        return {name: values.T for name, item in found.items() if (values := _read_slowly(item)) is not None}


def _read_slowly(dataset: Any) -> Array | None:
    """Return complex64, or float32 for what is real; None for what is no number.

    Values are converted piece by piece along the first axis, so that double precision is never whole.
    """
    names = dataset.dtype.names
    if dataset.dtype.kind not in KINDS and names not in (("real", "imag"), ("r", "i")):
        return None
    values = np.empty(dataset.shape, np.complex64 if names or dataset.dtype.kind == "c" else np.float32)
    for number in range(len(dataset)):
        piece = dataset[number]
        values[number] = piece[names[0]] + 1j * piece[names[1]] if names else piece
    return values


def _is_object(archive: Any, name: str) -> bool:
    """Whether an array of an .npz has Python objects."""
    with archive.zip.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return bool(read(file)[2].hasobject)


def _numeric(arrays: Mapping[str, Any]) -> dict[str, Array]:
    return {
        name: values for name, values in arrays.items() if isinstance(values, np.ndarray) and values.dtype.kind in KINDS
    }
