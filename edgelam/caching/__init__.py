# SPDX-License-Identifier: GPL-2.0-only
"""Models that share blocks: a content-addressed store, libraries of models, where they are cached, and how they are
delivered.

A block is a group of tensors, named by the SHA-256 of its bytes; a model is a manifest, a list of blocks. Storage,
memory and transfers count each block once, whatever number of models has it (docs/caching.md).
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from .blocks import BlockStore
    from .cache import BlockCache, FixedCache
    from .library import Library
    from .manifest import Block, Manifest, Part

__all__ = ["Block", "BlockCache", "BlockStore", "FixedCache", "Library", "Manifest", "Part"]

__getattr__ = lazy.attributes(
    __name__,
    {
        "BlockStore": "blocks",
        **dict.fromkeys(("BlockCache", "FixedCache"), "cache"),
        "Library": "library",
        **dict.fromkeys(("Block", "Manifest", "Part"), "manifest"),
    },
)
