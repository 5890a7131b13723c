# SPDX-License-Identifier: GPL-2.0-only
"""What a recipe works with: modules, seed, and a place where it keeps what is done, so that it can go on from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

if TYPE_CHECKING:
    from edgelam.modalities.catalogue import Modules
    from edgelam.modalities.module import Module


class Bench:
    """The bench of one training run."""

    def __init__(self, modules: Modules, *, seed: int, folder: Path | None, say: Callable[[str], object]) -> None:
        """folder: where results of steps are kept; None: nowhere. say: called with a line for each step."""
        self.seed, self.say = seed, say
        self._modules, self._folder = modules, folder

    def module(self, name: str) -> Module:
        """Return a module."""
        return self._modules[name]

    def keep(self, name: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return what was kept under a name; if there is nothing, make it, and keep it."""
        found = self.kept(name)
        if found is None:
            found = dict(make())
            if self._folder is not None:
                part = self._folder / f"{name}.part"
                save_file({key: value.contiguous() for key, value in found.items()}, part)
                part.rename(self._folder / f"{name}.safetensors")
        return found

    def kept(self, name: str) -> dict[str, Tensor] | None:
        """Return what was kept under a name, or None."""
        if self._folder is None:
            return None
        try:
            return load_file(self._folder / f"{name}.safetensors")
        except (OSError, SafetensorError):  # not there, or damaged: it is made again
            return None

    def drop(self, name: str) -> None:
        """Forget what was kept under a name, if there is anything."""
        if self._folder is not None:
            (self._folder / f"{name}.safetensors").unlink(missing_ok=True)

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``features`` [images, 768] of images [images, height, width] by the encoder of images."""
        encoder: Any = self.module("dinov2-small")
        return {"features": torch.cat([encoder.encode(images[i : i + 10]) for i in range(0, len(images), 10)])}

    def speech_features(self, spoken: list[NDArray[Any]]) -> dict[str, Tensor]:
        """Return ``features`` [utterances, 384] of speech: the mean of the encoder's states."""
        encoder = self.module("whisper-encoder")
        states = [encoder.forward({"speech": torch.from_numpy(each)})["speech_states"] for each in spoken]
        return {"features": torch.stack([each.mean(dim=0) for each in states])}

    def word_table(self) -> tuple[Tensor, dict[str, int]]:
        """Return the backbone's token embeddings, and the number of each word that is one token (" seven")."""
        backbone: Any = self.module("smollm2-135m")
        return backbone.network.get_input_embeddings().weight, backbone.words
