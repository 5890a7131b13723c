# SPDX-License-Identifier: GPL-2.0-only
"""Small modules that are trained here: what there is, how one is trained once, and how it is found again.

A trained module is in ``$XDG_CACHE_HOME/edgelam/models/NAME``: its weights as safetensors, and ``edgelam-model.json``,
which says with which seed and from which fetched models it was made, and the SHA-256 of its file. The folder is
complete or does not exist. A training that was ended goes on from what it has kept, to the same weights. All numbers
come from streams of the seed, and one thread computes, so that the same seed gives the same bytes on the same machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from edgelam.errors import ConfigurationError
from edgelam.files import read_json
from edgelam.files.cache import LOCK, cache_folder, locked
from edgelam.files.digests import digest_of
from edgelam.models.fetch import RECORD, model_folder
from edgelam.text import suggest

FORMAT = 1
"""Of the folder, and of what is kept while training: after a change, modules are trained again."""
WEIGHTS = "model.safetensors"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a module is trained."""

    name: str
    role: str
    needs: tuple[str, ...]
    """Models and data that must have been fetched."""
    home: str
    """Module of `edgelam.modalities.recipes`."""
    seconds: int
    """Processor time that it takes, on one core of a server."""
    version: int = 1
    """After a change of the recipe, or of what a module gives that it is trained on, the module is trained again."""
    comes_along: bool = False
    """Its weights come with edgelam, so that it is trained only if it is named."""

    @property
    def module(self) -> Any:
        """The module with ``empty`` and ``fit``."""
        return importlib.import_module(f"edgelam.modalities.recipes.{self.home}")


TRAINED = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "image-projector",
            "image features to soft tokens",
            ("dinov2-small", "smollm2-135m", "mnist-5000"),
            "image_projector",
            25,
        ),
        Recipe(
            "speech-projector",
            "speech states to a soft token",
            ("whisper-tiny.en", "smollm2-135m", "piper-joe"),
            "speech_projector",
            30,
            version=2,  # 1: of states of speech that was cut to less than 30 s
        ),
        Recipe("sensor-model", "sensor series to tokens, features, activity", ("basic-motions",), "sensor_model", 10),
        Recipe("digit-decoder", "digit to picture (diffusion)", (), "digit_decoder", 30),
        Recipe("picture-projector", "state of the backbone to a digit", ("smollm2-135m",), "picture_projector", 40),
        Recipe("minilm-lattice", "comment of ns-3 to its module, in 45 sizes", (), "text_lattice", 200),
        Recipe(
            "dinov2-lattice", "digit to its number, in 45 sizes", ("dinov2-small", "mnist-5000"), "image_lattice", 600
        ),
        Recipe(
            "smollm2-draft",
            "draft of SmolLM2 for speculative decoding",
            ("smollm2-135m",),
            "smollm2_draft",
            450,
            comes_along=True,
        ),
    )
}


def recipe_of(name: str) -> Recipe:
    """Return the recipe of this name. Raises ConfigurationError, with the existing names, if there is none."""
    if name not in TRAINED:
        raise ConfigurationError(f"no module that is trained here is called {name!r}; {suggest(name, list(TRAINED))}")
    return TRAINED[name]


def command(name: str) -> str:
    """Return the command with which a user gets the module."""
    return f"edgelam models train {name}"


def is_trained(name: str) -> bool:
    """Return whether a module is in the cache; its files are checked when it is loaded."""
    return (cache_folder("models") / name / RECORD).is_file()


def load_trained(name: str) -> nn.Module:
    """Return a trained module's network, in evaluation mode. Raises ConfigurationError as `trained_folder` does."""
    folder = trained_folder(name)
    network: nn.Module = recipe_of(name).module.empty()
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:  # a foreign file may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ConfigurationError(f"{folder / WEIGHTS} does not hold a {name} ({reason}); {_remedy(name)}") from None
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


def trained_folder(name: str) -> Path:
    """Return the folder of a trained module, after checking its digest and what it was trained from.

    Raises ConfigurationError, with the command that helps, if it is not there, is damaged, was made by another version
    of its recipe, or from other models than those that are there.
    """
    recipe = recipe_of(name)
    folder = cache_folder("models") / name
    if not (folder / RECORD).is_file():
        raise ConfigurationError(f"the module {name!r} is not there: {command(name)} (about {recipe.seconds} s)")
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or (record.get("format"), record.get("recipe")) != (FORMAT, recipe.version):
        raise ConfigurationError(f"{folder} was made by another version of edgelam; {_remedy(name)}")
    if record.get("sources") != sources(recipe):
        raise ConfigurationError(
            f"{folder} was trained with other files of {' or '.join(recipe.needs)} than those that are there; "
            f"{_remedy(name)}"
        )
    if not (folder / WEIGHTS).is_file() or digest_of(folder / WEIGHTS) != record.get("files", {}).get(WEIGHTS):
        raise ConfigurationError(f"{folder / WEIGHTS} is damaged: it is not the file that was trained; {_remedy(name)}")
    return folder


def sources(recipe: Recipe) -> dict[str, str]:
    """Return, for each model that a recipe needs, the digest of its record, which has the digests of its files."""
    return {name: digest_of(model_folder(name) / RECORD) for name in recipe.needs}


def train(name: str, *, seed: int = 0, say: Callable[[str], object] = print) -> Path:
    """Train a module unless it is in the cache, trained with this seed; return its folder.

    say: called with a line for each step. Raises ConfigurationError if a model that it needs was not fetched.
    """
    from edgelam.modalities.bench import Bench
    from edgelam.modalities.catalogue import Modules

    recipe = recipe_of(name)
    if seed < 0:
        raise ConfigurationError(f"seed {seed}; legal are whole numbers from 0")
    place, found = cache_folder("models") / name, sources(recipe)
    if _is_there(name, seed):
        return place
    work = place.parent / f".training-{name}"
    with locked(work, f"another process trains {name}", f"train {name}"):
        if _is_there(name, seed):  # the other process has trained it
            return place
        key = json.dumps([FORMAT, name, recipe.version, seed, found, torch.__version__])
        marker = work / f"{hashlib.sha256(key.encode()).hexdigest()}.key"
        if not marker.exists():  # what was kept belongs to another seed, recipe or model
            for left in work.iterdir():
                _remove(left)
            marker.touch()
        with one_thread():
            bench = Bench(Modules(), seed=seed, folder=work, say=lambda line: say(f"{name}: {line}"))
            network, results = recipe.module.fit(bench)
        made = work / "made"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, made / WEIGHTS)
        record = {
            "format": FORMAT,
            "name": name,
            "recipe": recipe.version,
            "seed": seed,
            "sources": found,
            "results": results,
            "files": {WEIGHTS: digest_of(made / WEIGHTS)},
        }
        (made / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        if place.exists():  # damaged, or of another seed, recipe or model
            shutil.rmtree(work / "old", ignore_errors=True)
            place.rename(work / "old")
        made.rename(place)
        shutil.rmtree(work, ignore_errors=True)
    return place


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """In the block, PyTorch computes with one thread: the order of its sums depends on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _is_there(name: str, seed: int) -> bool:
    try:
        return bool(read_json(trained_folder(name) / RECORD)["seed"] == seed)
    except ConfigurationError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.name != LOCK:
        path.unlink()


def _remedy(name: str) -> str:
    return f"train it again: {command(name)}"
