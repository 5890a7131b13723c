# SPDX-License-Identifier: GPL-2.0-only
"""A model of the catalogue from a folder of the user's, or from the hub cache, instead of its package.

The folder is copied into the cache like a fetched one, so everything that loads the model by its name then loads these
weights. The model must be the same one: its class, its sizes, every weight, and the files of its tokeniser.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.files import read_json
from edgelam.files.cache import locked
from edgelam.models.backbone_files import check_files
from edgelam.models.catalogue import MODELS, Published, pinned
from edgelam.models.conversion.folder import check_weights
from edgelam.models.fetch import RECORD, is_fetched, place_of, write_record

KINDS = (".json", ".safetensors", ".txt", ".model")
"""Suffixes of what is copied; everything else in such a folder (weights in other formats, code) is left out."""


def keep(name: str, given: str) -> Path:
    """Keep a copy of a model as NAME of the catalogue and return its folder.

    given: a folder that transformers' save_pretrained wrote, or the name of a model in the hub cache. Raises
    ConfigurationError if there is no such folder, if it is not this model, or if NAME is there already. Then nothing is
    kept.
    """
    model = pinned(name)
    if model.published is None:
        names = ", ".join(each.name for each in MODELS.values() if each.published is not None)
        raise ConfigurationError(f"{name} comes from its package only; from folders come: {names}")
    place = place_of(model)
    if is_fetched(name):
        raise ConfigurationError(f"{name} is there already; to replace it, remove {place}")
    source = _folder(given)
    check_files(name, source)
    _check(name, model.published, source)
    with (
        locked(place.parent, "another process is fetching a model", f"keep {name}"),
        tempfile.TemporaryDirectory(prefix=".fetching-", dir=place.parent) as text,
    ):
        folder = Path(text) / "model"
        folder.mkdir()
        for path in sorted(source.iterdir()):
            if path.suffix in KINDS and path.is_file() and path.name != RECORD:
                shutil.copyfile(path, folder / path.name)
        check_weights(_class(model.published), folder)
        write_record(model, folder, {"folder": str(source.resolve()), "given": given})
        if place.exists():  # incomplete, or of another format
            place.rename(Path(text) / "old")
        folder.rename(place)
    return place


def _folder(given: str) -> Path:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if (Path(given) / "config.json").is_file():
        return Path(given)
    try:
        cached = try_to_load_from_cache(given, "config.json")
    except HFValidationError:
        cached = None
    if not isinstance(cached, str):
        raise ConfigurationError(
            f"{given!r} is neither a folder with config.json nor a model in the hub cache; from a hub, nothing is "
            "downloaded"
        )
    return Path(cached).parent


def _check(name: str, published: Published, folder: Path) -> None:
    """Refuse another model."""
    config: Any = read_json(folder / "config.json")
    for key, value in published.config.items():
        if config.get(key) != value:
            raise ConfigurationError(
                f"{folder} is not {name}: its config.json gives {key} {config.get(key)!r}; {name} has {value!r}"
            )
    for file in published.files:
        if not (folder / file).is_file():
            raise ConfigurationError(f"{folder} is not complete: {name} needs {file}")


def _class(published: Published) -> Any:
    import transformers

    return getattr(transformers, published.kind)
