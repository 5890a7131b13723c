# SPDX-License-Identifier: GPL-2.0-only
"""A store of models whose equal parts are kept once.

A folder with ``blocks/DIGEST``, the bytes of each block (safetensors, tensors named by their number, so that the digest
depends on nothing but values, shapes and dtypes), and ``models/NAME.json``, the manifests. A file is complete or does
not exist. Every block is compared with its digest before any of its numbers is used, and a model is loaded as a whole
or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgelam.caching.manifest import Block, Manifest, Part, check_name
from edgelam.errors import ConfigurationError
from edgelam.files.digests import check_content
from edgelam.files.storage import StorageError, make_folder, write_atomically
from edgelam.text import suggest

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER = "adapter"


def by_layer(name: str) -> str:
    """Return the group of a tensor: all of an adapter (LoRA); one numbered layer; what has the same first name.

    ``encoder.layer.3.output.dense.weight`` is in ``encoder.layer.3``, ``embeddings.LayerNorm.bias`` in ``embeddings``.
    """
    if "lora_" in name:
        return ADAPTER
    parts = name.split(".")
    for i, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[: i + 1])
    return parts[0]


def plain(name: str) -> str:
    """Return the name that a tensor has in a model without adapters (peft puts ``base_layer`` into frozen ones)."""
    return name.replace(".base_layer.", ".")


class BlockStore:
    """Models in a folder; blocks that several of them have are kept once."""

    def __init__(self, folder: Path) -> None:
        """folder: made if it does not exist. Raises StorageError."""
        self.folder = Path(folder)
        for name in ("blocks", "models"):
            make_folder(self.folder / name)

    def add(self, model: str, tensors: Mapping[str, Tensor], group: Callable[[str], str] = by_layer) -> Manifest:
        """Keep a model, and return its manifest. A model of this name is replaced; its old blocks stay until `drop`.

        tensors: as of ``state_dict()``; group: tensors for which it returns the same text are one block.
        Raises ConfigurationError for a name that is not legal or a model without tensors, StorageError.
        """
        check_name(model)
        groups: dict[str, list[str]] = {}
        for name in sorted(tensors, key=plain):
            groups.setdefault(group(plain(name)), []).append(name)
        parts = []
        for names in groups.values():
            content = _content([tensors[name] for name in names])
            parts.append(Part(self.receive(content), tuple(names)))
        manifest = Manifest(model, tuple(parts))
        self.publish(manifest)
        return manifest

    def receive(self, content: bytes, expected: str | None = None) -> Block:
        """Keep the bytes of a block. Raises StorageError, and keeps nothing, if their SHA-256 is not `expected`."""
        digest = hashlib.sha256(content).hexdigest()
        if expected is not None and digest != expected:
            raise StorageError(
                f"block {expected[:12]}: the SHA-256 of the {len(content)} bytes that were received is {digest[:12]}: "
                "they were changed on their way; nothing was kept"
            )
        block = Block(digest, len(content))
        path = self._path(digest)
        if not path.is_file() or path.stat().st_size != len(content):
            write_atomically(path, content)
        return block

    def publish(self, manifest: Manifest) -> None:
        """Keep a manifest. Raises StorageError if a block is not there: no model is ever half there."""
        if absent := self.missing(manifest):
            raise StorageError(
                f"model {manifest.model!r} lacks {len(absent)} of {len(manifest.blocks)} blocks in {self.folder} "
                f"({absent[0].digest[:12]}, ...): bring them first; nothing was kept"
            )
        write_atomically(self.folder / "models" / f"{manifest.model}.json", manifest.to_json())

    def models(self) -> list[str]:
        """Return the names of all models, in alphabetical order."""
        return sorted(path.name.removesuffix(".json") for path in (self.folder / "models").glob("*.json"))

    def manifest(self, model: str) -> Manifest:
        """Return the manifest of a model. Raises ConfigurationError for an unknown one, StorageError."""
        check_name(model)
        path = self.folder / "models" / f"{model}.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise ConfigurationError(f"no model is called {model!r}; {suggest(model, self.models())}") from None
        except OSError as error:
            raise StorageError.of("read", path, error) from error
        found = Manifest.from_json(content, path)
        if found.model != model:
            raise StorageError(f"{path} is the manifest of {found.model!r}")
        return found

    def missing(self, manifest: Manifest) -> list[Block]:
        """Return the blocks of a manifest that are not there, or not with their size."""
        return [block for block in manifest.blocks if not self._is_there(block)]

    def has(self, digest: str) -> bool:
        """Return whether there is a block of this digest."""
        return self._path(digest).is_file()

    def content(self, digest: str) -> bytes:
        """Return the bytes of a block. Raises StorageError if it is not there or damaged."""
        path = self._path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise StorageError(f"block {digest[:12]} is not in {self.folder}") from None
        except OSError as error:
            raise StorageError.of("read", path, error) from error
        check_content(content, digest, path, "remove it, and bring it again")
        return content

    def load(self, model: str, held: MutableMapping[str, list[Tensor]] | None = None) -> dict[str, Tensor]:
        """Return the tensors of a model by name.

        held: digest -> tensors of blocks in memory. Blocks there are not read, and those that are read are put there:
        models that share blocks share these tensors, so nothing may change them in place. Nothing is put there if the
        model cannot be loaded.
        Raises ConfigurationError for an unknown model; StorageError if a block is missing or its hash differs.
        """
        manifest = self.manifest(model)
        held = {} if held is None else held
        new: dict[str, list[Tensor]] = {}
        if absent := [block for block in self.missing(manifest) if block.digest not in held]:
            raise StorageError(
                f"model {model!r} lacks {len(absent)} of {len(manifest.blocks)} blocks in {self.folder} "
                f"({absent[0].digest[:12]}, ...): it is not loaded"
            )
        found: dict[str, Tensor] = {}
        for part in manifest.parts:
            digest = part.block.digest
            values = held.get(digest) or new.get(digest)
            if values is None:
                values = new[digest] = _tensors(self.content(digest), digest)
            if len(values) != len(part.tensors):
                raise StorageError(
                    f"model {model!r} has {len(part.tensors)} names for {len(values)} tensors of block {digest[:12]}"
                )
            found.update(zip(part.tensors, values, strict=True))
        held.update(new)
        return found

    def drop(self, model: str) -> int:
        """Remove a model, and blocks that no other model has; return how many bytes became free.

        Raises ConfigurationError for an unknown model.
        """
        gone = self.manifest(model)
        (self.folder / "models" / f"{model}.json").unlink()
        kept = {block.digest for other in self.models() for block in self.manifest(other).blocks}
        free = 0
        for block in gone.blocks:
            if block.digest not in kept and self._is_there(block):
                self._path(block.digest).unlink()
                free += block.size_bytes
        return free

    def _is_there(self, block: Block) -> bool:
        path = self._path(block.digest)
        return path.is_file() and path.stat().st_size == block.size_bytes

    def _path(self, digest: str) -> Path:
        return self.folder / "blocks" / Block(digest, 1).digest  # refuses what is no digest, such as a path


def _content(tensors: Iterable[Tensor]) -> bytes:
    from safetensors.torch import save

    # clones: tied weights would be refused, and views would write what lies around them
    content: bytes = save({f"{i:05d}": tensor.detach().cpu().clone().contiguous() for i, tensor in enumerate(tensors)})
    return content


def _tensors(content: bytes, digest: str) -> list[Tensor]:
    from safetensors.torch import load

    try:
        found = load(content)
    except Exception as error:  # bytes that hash right and are no tensors: from a store of something else
        raise StorageError(f"block {digest[:12]} holds no tensors: {str(error).splitlines()[0][:120]}") from None
    return [found[name] for name in sorted(found)]
