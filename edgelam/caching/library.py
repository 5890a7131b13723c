# SPDX-License-Identifier: GPL-2.0-only
"""Models and the blocks that they need, as sizes: what placement, caches and delivery work with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from edgelam.caching.manifest import Manifest
from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Library:
    """M models of B blocks."""

    models: tuple[str, ...]
    blocks: tuple[str, ...]
    """Names of the blocks: digests, or any text of declared ones."""
    block_bytes: np.ndarray
    """int64 [B], each at least 1."""
    needs: np.ndarray
    """bool [M, B]."""
    declared: bool = False
    """Whether only sizes are known, no weights."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        shape = (len(self.models), len(self.blocks))
        if min(shape) < 1 or self.needs.shape != shape or self.block_bytes.shape != shape[1:]:
            raise ConfigurationError(
                f"a library of {shape[0]} models and {shape[1]} blocks has needs {self.needs.shape} and block_bytes "
                f"{self.block_bytes.shape}; there must be at least one of each, and shapes must agree"
            )
        if len(set(self.models)) < shape[0] or len(set(self.blocks)) < shape[1]:
            raise ConfigurationError("a library has two models, or two blocks, of one name")
        if self.needs.dtype != bool or not np.issubdtype(self.block_bytes.dtype, np.integer):
            raise ConfigurationError("needs of a library are bool, and block_bytes whole numbers")
        if (self.block_bytes < 1).any():
            raise ConfigurationError(f"a block has {self.block_bytes.min()} bytes; it has at least 1")
        if not self.needs.any(axis=1).all():
            raise ConfigurationError(f"model {self.models[int(np.argmin(self.needs.any(axis=1)))]!r} has no blocks")

    @classmethod
    def of_lists(cls, models: Iterable[tuple[str, Iterable[tuple[str, int]]]], *, declared: bool = False) -> Library:
        """Return the library of models given as (name, blocks), a block as (name, bytes)."""
        found = [(name, dict(blocks)) for name, blocks in models]
        sizes: dict[str, int] = {}
        for name, blocks in found:
            for block, size in blocks.items():
                if sizes.setdefault(block, size) != size:
                    raise ConfigurationError(
                        f"block {block!r} of model {name!r} has {size} bytes, elsewhere {sizes[block]}"
                    )
        number = {block: j for j, block in enumerate(sizes)}
        needs = np.zeros((len(found), len(sizes)), dtype=bool)
        for i, (_, blocks) in enumerate(found):
            needs[i, [number[block] for block in blocks]] = True
        return cls(
            tuple(name for name, _ in found), tuple(sizes), np.array(list(sizes.values()), dtype=np.int64), needs,
            declared,
        )  # fmt: skip

    @classmethod
    def of_manifests(cls, manifests: Sequence[Manifest]) -> Library:
        """Return the library of real models."""
        return cls.of_lists((m.model, [(block.digest, block.size_bytes) for block in m.blocks]) for m in manifests)

    @cached_property
    def model_bytes(self) -> np.ndarray:
        """Bytes of each model by itself, int64 [M]."""
        found: np.ndarray = self.needs.astype(np.int64) @ self.block_bytes
        return found

    @cached_property
    def shared(self) -> np.ndarray:
        """Whether more than one model has a block, bool [B]."""
        found: np.ndarray = self.needs.sum(axis=0) > 1
        return found

    def union_bytes(self, models: np.ndarray) -> int:
        """Return the bytes of some models together, each block counted once. models: bool [M]."""
        return int(self.block_bytes[self.needs[models].any(axis=0)].sum())

    def of(self, model: int) -> dict[str, int]:
        """Return the blocks of a model with their bytes, in the library's order."""
        return {self.blocks[j]: int(self.block_bytes[j]) for j in np.flatnonzero(self.needs[model])}

    def unshared(self) -> Library:
        """Return the same models without sharing: each has a copy of its own of each block."""
        return Library.of_lists(
            [
                (name, [(f"{block} of {name}", size) for block, size in self.of(i).items()])
                for i, name in enumerate(self.models)
            ],
            declared=self.declared,
        )
