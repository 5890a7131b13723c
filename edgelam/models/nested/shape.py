# SPDX-License-Identifier: GPL-2.0-only
"""The shape of a transformer whose smaller models are parts of it: in depth (exits), in width (heads and neurons)."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any, Literal

from edgelam.errors import ConfigurationError

Kind = Literal["text", "image"]
STEM = "stem"
AXES = {
    "q": ("heads", 0), "q_bias": ("heads", 0), "k": ("heads", 0), "k_bias": ("heads", 0), "v": ("heads", 0),
    "v_bias": ("heads", 0), "o": ("heads", 1), "up": ("neurons", 0), "up_bias": ("neurons", 0), "down": ("neurons", 1),
}  # fmt: skip
"""Tensor of a layer -> what it is cut by, and along which axis. All others are whole at every width."""
PLANED = ("table", "patch", "q", "k", "v", "o", "up", "down")
"""The matrices that are kept as bit planes; everything else is small, and is kept as 16-bit floats."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """Raises ConfigurationError for sizes that do not fit together."""

    kind: Kind
    layers: int
    width: int
    """D, of hidden states; the same at every width of the model."""
    heads: int
    neurons: int
    """F, of the feed-forward network of a layer."""
    classes: int
    exits: tuple[int, ...]
    """Depths at which there is an answer, ascending; the last one is `layers`."""
    shares: tuple[tuple[int, int], ...]
    """(heads, neurons) of each width, ascending; the last one is all."""
    first_norm: bool
    """Layers normalise what enters their parts (DINOv2), or what leaves them (BERT)."""
    epsilon: float
    tokens: int
    """Most tokens of an input."""

    def __post_init__(self) -> None:
        """Check."""
        if self.width % self.heads or min(self.layers, self.heads, self.neurons, self.classes, self.tokens) < 1:
            raise ConfigurationError(f"{self} has a size below 1, or a width that its heads do not divide")
        if list(self.exits) != sorted(set(self.exits)) or not self.exits or self.exits[0] < 1:
            raise ConfigurationError(f"exits are {self.exits}; legal are depths from 1, ascending")
        if self.exits[-1] != self.layers or self.shares[-1:] != ((self.heads, self.neurons),):
            raise ConfigurationError(
                f"the last exit is {self.exits[-1]} and the last width {self.shares[-1:]}; they must be the whole "
                f"model, {self.layers} and {(self.heads, self.neurons)}"
            )
        steps = [(0, 0), *self.shares]
        if any(b[0] <= a[0] or b[1] <= a[1] for a, b in itertools.pairwise(steps)):
            raise ConfigurationError(f"shares are {self.shares}; heads and neurons must both ascend, from 1")

    @property
    def widths(self) -> int:
        """How many widths there are."""
        return len(self.shares)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(f"layer {i}" for i in range(self.layers))

    def exit_name(self, depth: int) -> str:
        """Return the name of the exit at a depth. Raises ConfigurationError if there is none."""
        if depth not in self.exits:
            raise ConfigurationError(f"depth {depth}; legal are {', '.join(map(str, self.exits))}")
        return f"exit {depth}"

    def units(self, name: str, step: int) -> tuple[int, int] | None:
        """Return the places [begin, end) along its axis that a tensor of a layer gains at a width step; None if it is
        not cut by width."""
        if name not in AXES:
            return None
        what = 0 if AXES[name][0] == "heads" else 1
        size = self.width // self.heads if what == 0 else 1
        begin = self.shares[step - 1][what] if step else 0
        return begin * size, self.shares[step][what] * size

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """Read what `to_json` wrote. Raises ConfigurationError."""
        try:
            found: dict[str, Any] = json.loads(text)
            found["exits"] = tuple(found["exits"])
            found["shares"] = tuple((int(heads), int(neurons)) for heads, neurons in found["shares"])
            return cls(**found)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"not the shape of a nested model: {error}") from None
