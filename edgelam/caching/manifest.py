# SPDX-License-Identifier: GPL-2.0-only
"""A model as a list of blocks, and the JSON in which it is kept."""

from __future__ import annotations

import collections
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.files.digests import BLANK, KEY, check_seal, sealed
from edgelam.files.storage import StorageError

FORMAT = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclasses.dataclass(frozen=True)
class Block:
    """A group of tensors."""

    digest: str
    """SHA-256 of its bytes, 64 hexadecimal digits."""
    size_bytes: int
    """At least 1."""

    def __post_init__(self) -> None:
        """Refuse what is no digest or no size."""
        if not isinstance(self.digest, str) or not _DIGEST.fullmatch(self.digest):
            raise ConfigurationError(f"block {self.digest!r}; legal are the 64 hexadecimal digits of a SHA-256")
        if type(self.size_bytes) is not int or self.size_bytes < 1:
            raise ConfigurationError(f"block {self.digest[:12]} has {self.size_bytes!r} bytes; it has at least 1")


@dataclasses.dataclass(frozen=True)
class Part:
    """A block of a model, with the names that its tensors have there."""

    block: Block
    tensors: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A model: its blocks, in the order of the names of their tensors."""

    model: str
    """1 to 100 letters, digits and any of ``._+-``, beginning with a letter or digit."""
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Refuse a name that is not legal, a model without blocks, and two tensors of one name."""
        check_name(self.model)
        if not self.parts:
            raise ConfigurationError(f"model {self.model!r} has no blocks")
        counts = collections.Counter(name for part in self.parts for name in part.tensors)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ConfigurationError(f"model {self.model!r} has two tensors named {twice[0]!r}")
        sizes: dict[str, int] = {}
        for part in self.parts:
            block = part.block
            if sizes.setdefault(block.digest, block.size_bytes) != block.size_bytes:
                raise ConfigurationError(f"model {self.model!r} gives block {block.digest[:12]} two sizes")

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Its blocks, each once, in order."""
        return tuple(dict.fromkeys(part.block for part in self.parts))

    @property
    def size_bytes(self) -> int:
        """Bytes of its blocks, each counted once."""
        return sum(block.size_bytes for block in self.blocks)

    def to_json(self) -> bytes:
        """Return the file: JSON with its own digest."""
        content = {
            "format": FORMAT, "model": self.model,
            "parts": [
                {"block": part.block.digest, "bytes": part.block.size_bytes, "tensors": list(part.tensors)}
                for part in self.parts
            ],
            KEY: BLANK,
        }  # fmt: skip
        return sealed(json.dumps(content, indent=1).encode() + b"\n")

    @classmethod
    def from_json(cls, content: bytes, path: Path) -> Manifest:
        """Read what `to_json` wrote. path: for errors.

        Raises StorageError if the digest is missing or wrong, or if the content is no manifest.
        """
        if not check_seal(content, path):
            raise StorageError(f"{path} is no manifest of a model: it has no digest")
        try:
            found: Any = json.loads(content)
            if found["format"] != FORMAT:
                raise StorageError(f"{path} has format {found['format']!r}; legal is {FORMAT}")
            parts = tuple(
                Part(Block(part["block"], part["bytes"]), tuple(map(str, part["tensors"]))) for part in found["parts"]
            )
            return cls(found["model"], parts)
        except (ValueError, KeyError, TypeError, RecursionError) as error:  # also ConfigurationError
            raise StorageError(f"{path} is no manifest of a model: {error}") from None


def check_name(name: str) -> None:
    """Refuse a name of a model that is not legal, such as one that leads to another folder."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a model is called {name!r}; legal are 1 to 100 letters, digits and ._+-, beginning with a letter or digit"
        )
