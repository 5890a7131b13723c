# SPDX-License-Identifier: GPL-2.0-only
"""Checks a backbone's folder before transformers reads it, and without importing PyTorch.

transformers does what a model folder says: it attaches adapters in the folder, reads weights from files that an index
names, dequantises, takes attention kernels from a hub, and builds any number of layers. None of this may happen without
the user's knowledge, so an entry that asks for it is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.files import read_json, refuse_git_lfs_pointer
from edgelam.models.catalogue import MODELS
from edgelam.models.fetch import model_folder

OFFLINE_NAME = "minilm"
MOST_LAYERS = 1_000
MOST = 2**31 - 1
"""Largest whole number in a configuration: no size in a model is near it."""
_COUNTS = re.compile(r"(layers?|depths?|blocks|stages)(_|$)")
_LOCAL_IMPLEMENTATIONS = {None, "eager", "sdpa", "grouped_mm", "batched_mm"}


def check_backbone(name: str) -> None:
    """Raise ConfigurationError unless `name` is the offline backbone, or a model whose files can be checked.

    `load_backbone` finds out whether they are complete and can be used.
    """
    if name != OFFLINE_NAME:
        check_files(name, find_folder(name))


def find_folder(name: str) -> Path:
    """The folder of a model: one of this name, a fetched model of the catalogue, or the snapshot in the hub cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if (Path(name) / "config.json").is_file():
        return Path(name)
    if name in MODELS:
        return model_folder(name)
    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        cached = None
    if not isinstance(cached, str):
        raise ConfigurationError(unknown_backbone(name, "no config.json"))
    return Path(cached).parent


def unknown_backbone(name: str, reason: str) -> str:
    """Return the error for a name by which no model is found; reason: why a folder holds none."""
    path = Path(name)
    if path.is_dir():
        fault = f"is a folder that holds no model transformers can read ({reason})"
    elif path.exists():
        fault = "is a file; legal are the folder of a model and the name of one in the hub cache"
    else:  # nothing is downloaded here, so what the hub's client says about connections would mislead
        fault = "is neither a local model folder nor in the hub cache"
    others = "'edgelam models list' names those that can be fetched"
    return f"backbone {name!r} {fault}. {OFFLINE_NAME!r} is always there; {others}"


def check_files(name: str, folder: Path) -> None:
    """Raise ConfigurationError if transformers would do something with this folder that nobody asked for."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".json", ".safetensors", ".txt", ".model"):
            refuse_git_lfs_pointer(path)
    if (folder / "adapter_config.json").exists():
        raise ConfigurationError(
            f"backbone {name!r}: {folder / 'adapter_config.json'} would put an adapter into the model. "
            "Merge it into the weights (peft: merge_and_unload, then save_pretrained), or take the file away"
        )
    _check_config(name, read_json(folder / "config.json"))
    _check_index(folder / "model.safetensors.index.json")


def _check_config(name: str, config: Any) -> None:
    if not isinstance(config, dict):
        raise ConfigurationError(unknown_backbone(name, "config.json is not a table"))
    for key, value in _entries(config):
        what = f"backbone {name!r}: its config.json gives {key} "
        last = key.rpartition(".")[2]
        if last in ("quantization_config", "compression_config") and value:
            raise ConfigurationError(what + "; quantised weights are not read; float weights are legal")
        if (
            last.endswith(("attn_implementation", "experts_implementation"))
            and not isinstance(value, dict)
            and (value not in _LOCAL_IMPLEMENTATIONS)
        ):
            raise ConfigurationError(f"{what}{value!r}; legal are eager and sdpa, which are part of PyTorch")
        if last in ("transformers_weights", "use_kernels", "kernel_config") and value:
            raise ConfigurationError(f"{what}{str(value)[:80]!r}; it is not followed; remove it")
        if isinstance(value, int) and not isinstance(value, bool):
            most = MOST_LAYERS if _COUNTS.search(last) else MOST
            if abs(value) > most:
                raise ConfigurationError(f"{what}{_shortened(value)}; legal is at most {most}")


def _entries(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (key of keys, value) of everything in a configuration, including tables and lists."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        # an entry of a list has the name of the list
        inner = f"{place}.{key}".lstrip(".") if isinstance(value, dict) else place
        yield inner, each
        if isinstance(each, (dict, list)):
            yield from _entries(each, inner)


def _shortened(number: int) -> str:
    return str(number) if abs(number) < 10**20 else f"a number of {number.bit_length() // 4 + 1} hexadecimal digits"


def _check_index(path: Path) -> None:
    """Check that an index names only safetensors files in its folder: others might be read as pickles."""
    if not path.exists():
        return
    index = read_json(path)
    files = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(files, dict) or not files:
        raise ConfigurationError(f"{path} has no weight_map")
    for weight, file in files.items():
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise ConfigurationError(
                f"{path}: weight {weight!r} is in {file!r}; legal are .safetensors files in the same folder"
            )
