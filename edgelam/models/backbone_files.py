# SPDX-License-Identifier: GPL-2.0-only
"""Whether a backbone is there, without importing PyTorch: so that a wrong name is refused before anything is made."""

from pathlib import Path

from edgelam.errors import ConfigurationError

OFFLINE_NAME = "minilm"


def check_backbone(name: str) -> None:
    """Raise ConfigurationError unless `name` is the offline backbone, a model folder, or in the hub cache.

    Whether its files are complete and of a kind that can be used, `load_backbone` finds out.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if name == OFFLINE_NAME or (Path(name) / "config.json").is_file():
        return
    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        cached = None
    if not isinstance(cached, str):
        raise ConfigurationError(unknown_backbone(name, "no config.json"))


def unknown_backbone(name: str, reason: str) -> str:
    """What to say of a name that no model is found by; `reason`: why a folder holds none."""
    path = Path(name)
    if path.is_dir():
        fault = f"is a folder that holds no model transformers can read ({reason})"
    elif path.exists():
        fault = "is a file; legal are the folder of a model and the name of one in the hub cache"
    else:  # never downloaded here, so what the hub's client says of connections would mislead
        fault = "is neither a local model folder nor in the hub cache"
    return f"backbone {name!r} {fault}. The one that is always there is {OFFLINE_NAME!r}"
