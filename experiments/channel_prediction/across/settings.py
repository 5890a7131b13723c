# SPDX-License-Identifier: GPL-2.0-only
"""Settings of one model for many configurations; importing them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from edgelam.errors import ConfigurationError
from edgelam.text import parse_pairs


@dataclass(frozen=True)
class AcrossSettings:
    """Configurations on which models are trained, and others on which they are tested."""

    seen: tuple[str, ...] = ()
    """Configurations to train on: options of scenario csi, with commas between them, such as
    deployment=UMi,frequency=3.5e9; empty: there is no such study."""
    unseen: tuple[str, ...] = ()
    """Configurations that are only tested on, or adapted to with few samples."""
    models: tuple[str, ...] = ("cnn-equal", "lam", "lam-random")
    """Models, as in MODEL of methods."""
    samples: int = 200
    """Samples of each seen configuration; a model of its own for an unseen one has as many."""
    steps: int = 150
    """Optimiser steps of a model for one configuration; one model for all has so many for each of them."""
    few: int = 20
    """Samples of an unseen configuration to which the one model is adapted; 0: it is not."""
    few_steps: int = 40
    """Optimiser steps of adapting, and of a new model that has only these samples."""
    federated: bool = True
    """Also train the one model by federated averaging of servers that have a configuration each."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name, least in (("samples", 1), ("steps", 1), ("few", 0), ("few_steps", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"across.{name} is {getattr(self, name)}; it must be at least {least}")
        every = [*self.seen, *self.unseen]
        if len(set(every)) < len(every):
            raise ConfigurationError(f"across.seen and unseen are {', '.join(every)}; each may be given once")
        if self.unseen and not self.seen:
            raise ConfigurationError("across.unseen without across.seen: there is nothing to train on")
        if self.seen and (not self.models or len(set(self.models)) < len(self.models)):
            raise ConfigurationError(f"across.models are {', '.join(self.models) or 'none'}; at least one, each once")
        for text in every:
            options_of(text)


def options_of(text: str) -> dict[str, str]:
    """Return a configuration's options of scenario csi. Raises ConfigurationError."""
    return parse_pairs(tuple(text.split(",")), f"configuration {text!r}")
