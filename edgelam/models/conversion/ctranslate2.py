# SPDX-License-Identifier: GPL-2.0-only
"""Reads a model file of CTranslate2, binary version 6.

The file is little-endian: version (uint32), name of the model's kind, its revision (uint32), the number of variables
(uint32); then for each variable its name, rank (uint8), dimensions (uint32 each), type (uint8), bytes (uint32) and
data; finally the aliases: their number (uint32), and two names for each. A name is its length (uint16) and characters
that end with a zero.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgelam.errors import ConfigurationError

VERSION = 6
_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def read(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the kind of the model, and tensors by name; an alias is the same tensor under a second name.

    Raises ConfigurationError if the file is of another kind or version, or is cut off.
    """
    reader = _Reader(path)
    if (version := reader.number("I")) != VERSION:
        raise ConfigurationError(f"{path}: CTranslate2 version {version}; legal is {VERSION}")
    kind = reader.name()
    reader.number("I")  # revision of the kind
    tensors: dict[str, Tensor] = {}
    for _ in range(reader.number("I")):
        name = reader.name()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        number, size = reader.number("B"), reader.number("I")
        if number not in _TYPES:
            raise ConfigurationError(f"{path}: {name} has type {number}; legal are {sorted(_TYPES)}")
        values = np.frombuffer(reader.bytes(size), _TYPES[number])
        if values.size != int(np.prod(shape)):
            raise ConfigurationError(f"{path}: {name} has {values.size} values, but its shape is {shape}")
        tensors[name] = torch.from_numpy(values.reshape(shape).copy())
    for _ in range(reader.number("I")):
        alias, name = reader.name(), reader.name()
        tensors[alias] = tensors[name]
    return kind, tensors


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path, self.content, self.place = path, path.read_bytes(), 0

    def bytes(self, size: int) -> bytes:
        self.place += size
        if self.place > len(self.content):
            raise ConfigurationError(f"{self.path} ends after {len(self.content)} bytes, in the middle of a variable")
        return self.content[self.place - size : self.place]

    def number(self, kind: str) -> int:
        return int(struct.unpack("<" + kind, self.bytes(struct.calcsize("<" + kind)))[0])

    def name(self) -> str:
        return self.bytes(self.number("H")).rstrip(b"\0").decode()
