# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study of parameter-efficient fine-tuning; importing this imports no torch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from ..config import Config

Way = Literal["split", "lora", "ia3", "full", "int8-backbone", "int4-backbone", "personalised", "mixed-ranks"]
ALL_WAYS: tuple[Way, ...] = (
    "split", "lora", "ia3", "full", "int8-backbone", "int4-backbone", "personalised", "mixed-ranks",
)  # fmt: skip
FACTORS: dict[str, float] = {"ia3": 3.0, "full": 0.03}
"""By which the learning rate of the encoder is multiplied: scaling vectors take larger steps than adapters, and all
weights of a model smaller ones."""


@dataclasses.dataclass(frozen=True)
class PeftStudy:
    """Which ways to fine-tune are compared, with how many seeds, and for which sizes bytes are worked out."""

    ways: tuple[Way, ...] = ()
    """split: adapters on the server, Jacobians on the air; all others train on the devices and send what they train:
    lora (FedIT), ia3, full (all weights), int8-backbone and int4-backbone (adapters beside rounded frozen weights),
    personalised (FedSA: A shared, B a device's own), mixed-ranks (HetLoRA: devices with the full, half and a quarter
    of the rank). Empty: no study."""
    num_seeds: int = 1
    """Every way runs with so many seeds, from `seed` on."""
    byte_ranks: tuple[int, ...] = (2, 4, 8, 16, 32)
    """Ranks for which bytes of split and un-split fine-tuning are worked out."""
    byte_tokens: tuple[int, ...] = (8, 32, 128, 512)
    """Tokens of a sample for which they are."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        for name in ("ways", "byte_ranks", "byte_tokens"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ConfigurationError(f"{name} are {given}; each may be given once")
        if self.num_seeds < 1:
            raise ConfigurationError(f"num_seeds is {self.num_seeds}; it must be at least 1")
        if any(value < 1 for value in (*self.byte_ranks, *self.byte_tokens)):
            raise ConfigurationError(
                f"byte_ranks are {self.byte_ranks} and byte_tokens {self.byte_tokens}; each must be at least 1"
            )

    def under(self, config: Config, way: str) -> Config:
        """Return the configuration of a run in one way, without a study. Raises ConfigurationError."""
        learning, full = config.learning, config.learning.lora.rank
        changes: dict[str, dict[str, Any]] = {
            "split": {},
            "lora": {},
            "ia3": {"tuning": "ia3"},
            "full": {"tuning": "full"},
            "int8-backbone": {"frozen_weights": "int8"},
            "int4-backbone": {"frozen_weights": "int4"},
            "personalised": {"aggregation": "fedsa-lora"},
            "mixed-ranks": {
                "aggregation": "hetlora", "ranks": tuple(max(1, full // part) for part in (1, 2, 4)),
            },
        }  # fmt: skip
        rate = learning.learning_rate * FACTORS.get(way, 1.0)
        learning = dataclasses.replace(learning, learning_rate=rate, **changes[way])
        method: Any = "split-fedft" if way == "split" else "fed-lora"
        return dataclasses.replace(config, learning=learning, methods=(method,), tunings=PeftStudy())
