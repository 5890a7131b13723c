# SPDX-License-Identifier: GPL-2.0-only
"""The two models: their manifests and measured qualities, which are kept here, and their trained weights."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from edgelam.downloading.ladder import read
from edgelam.downloading.lattice import Lattice, Point
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError

from .config import Model

if TYPE_CHECKING:
    import torch

    from edgelam.models.nested import Nested

MEASURED = Path(__file__).parent / "measured"
TRAINED = {"minilm": "minilm-lattice", "dinov2": "dinov2-lattice"}
INPUT_BYTES = {"minilm": 64, "dinov2": 784}
"""Of an input: 32 token ids of 2 bytes; 28 x 28 pixels."""
Tests = tuple["torch.Tensor", "torch.Tensor | None", "torch.Tensor"]


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of a model without its weights."""

    lattice: Lattice
    quality: dict[Point, float]
    """Accuracy on test samples."""


@functools.cache
def load(model: Model) -> Known:
    """Return what is kept here. Raises ConfigurationError for a model that was not measured, StorageError if a file is
    damaged."""
    manifest, ladder = MEASURED / f"{model}.json", MEASURED / f"ladder-{model}.csv"
    if not is_kept(model):
        raise ConfigurationError(
            f"sizes and qualities of {model!r} are not kept in {MEASURED}: edgelam models train {TRAINED[model]}, then "
            f"edgelam run model-downloading --config ladder --model {model}, and copy {manifest.name} and "
            f"{ladder.name} from its folder"
        )
    try:
        lattice = Lattice.from_manifest(manifest.read_bytes(), manifest)
        return Known(lattice, read(ladder.read_bytes(), lattice, ladder))
    except OSError as error:
        raise StorageError.of("read", Path(error.filename or manifest), error) from error


def is_kept(model: Model) -> bool:
    """Return whether a model was measured."""
    return all((MEASURED / name).exists() for name in (f"{model}.json", f"ladder-{model}.csv"))


@functools.cache
def trained(model: Model) -> Nested:
    """Return the trained network. Raises ConfigurationError, with the command that trains it, if it is not there."""
    from edgelam.modalities.trained import load_trained

    network = load_trained(TRAINED[model])
    return network  # type: ignore[return-value]


def held_out(model: Model, count: int, seed: int = 0) -> Tests:
    """Return inputs, mask (or None) and labels of test samples."""
    from edgelam.modalities.trained import recipe_of

    found: Tests = recipe_of(TRAINED[model]).module.held_out(count, seed)
    return found


@functools.cache
def encoded(model: Model) -> tuple[Lattice, dict[str, bytes]]:
    """Return the lattice of the trained weights and the bytes of its blocks."""
    from edgelam.downloading.encoding import encode

    return encode(trained(model), TRAINED[model])


def same(model: Model) -> None:
    """Raise ConfigurationError if the trained weights have other sizes than the manifest that is kept here."""
    kept, own = load(model).lattice, encoded(model)[0]
    sizes = [{piece: block.size_bytes for piece, block in each.pieces.items()} for each in (kept, own)]
    if sizes[0] != sizes[1]:
        raise ConfigurationError(f"the trained {TRAINED[model]} has other pieces than {MEASURED / f'{model}.json'}")
