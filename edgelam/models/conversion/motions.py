# SPDX-License-Identifier: GPL-2.0-only
"""Series of the sensors of a smart watch, from files in the format .ts: one series a line, its channels between colons.

The last field of a line is the activity; the line ``@classLabel true ...`` lists all of them.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from edgelam.errors import ConfigurationError

FOLDER = "aeon/datasets/data/BasicMotions"


def convert(source: Path, folder: Path) -> None:
    """Write ``data.safetensors``: series float32 [series, time steps, channels] and labels int64, of both parts."""
    state: dict[str, torch.Tensor] = {}
    for part in ("train", "test"):
        series, labels = read(source / FOLDER / f"BasicMotions_{part.upper()}.ts")
        state |= {f"{part} series": series, f"{part} labels": labels}
    save_file(state, folder / "data.safetensors")


def read(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Read a file. Returns series [series, time steps, channels] float32 and the numbers of their classes int64.

    Raises ConfigurationError if the file is not of this format, or if series differ in length.
    """
    names: list[str] = []
    series, labels = [], []
    in_data = False
    try:
        for line in path.read_text().splitlines():
            if line.startswith("@classLabel"):
                names = line.split()[2:]
            elif line.startswith("@data"):
                in_data = True
            elif in_data and line.strip():
                *channels, name = line.strip().split(":")
                series.append([[float(value) for value in channel.split(",")] for channel in channels])
                labels.append(names.index(name))
        values = np.array(series, np.float32)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as series of equal length ({error})") from None
    if values.ndim != 3 or not np.isfinite(values).all():
        raise ConfigurationError(f"{path} holds no series, or values that are not numbers")
    return torch.from_numpy(values.transpose(0, 2, 1).copy()), torch.tensor(labels)
