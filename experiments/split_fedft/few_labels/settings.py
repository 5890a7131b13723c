# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the study of few labels; importing this imports no torch."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from ..config import Config

PRETRAINED, RANDOM, LINEAR, MAJORITY = "pretrained", "random", "linear", "majority"
SVM, HOG = "svm", "hog"
TEXT_KINDS = (PRETRAINED, RANDOM, LINEAR, MAJORITY)
KINDS = (*TEXT_KINDS, SVM, HOG)
_WAY = re.compile(rf"({'|'.join(KINDS)})-(\d+)")


@dataclasses.dataclass(frozen=True)
class FewLabelsStudy:
    """Which models are compared with how many labels, over how many seeds."""

    ways: tuple[str, ...] = ()
    """KIND-N, with N labelled samples on each device. pretrained: split-fedft over the network; random: the same with
    random weights, without a network; linear: logistic regression on TF-IDF (text), raw tokens or pixels, which sees
    the labels of all devices in one place; svm: a support vector machine on the same; hog: logistic regression on
    histograms of oriented gradients, of images; majority: always the largest class. Empty: no study."""
    num_seeds: int = 1
    """Every way runs with so many seeds, from `seed` on."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if len(set(self.ways)) < len(self.ways):
            raise ConfigurationError(f"ways are {self.ways}; each may be given once")
        for way in self.ways:
            if parse(way)[1] < 1:
                raise ConfigurationError(f"way {way!r} has no labels; legal is 1 or more")
        if self.num_seeds < 1:
            raise ConfigurationError(f"num_seeds is {self.num_seeds}; it must be at least 1")

    def under(self, config: Config, way: str) -> Config:
        """Return the configuration of a run in one way, without a study. Raises ConfigurationError."""
        kind, labels = parse(way)
        weights: Any = "random" if kind == RANDOM else "pretrained"
        learning = dataclasses.replace(config.learning, labels_per_device=labels, weights=weights)
        network = config.network.ideal() if kind == RANDOM else config.network
        return dataclasses.replace(
            config, learning=learning, network=network, methods=("split-fedft",), scarcities=FewLabelsStudy()
        )


def parse(way: str) -> tuple[str, int]:
    """Return the kind of a way and its number of labels. Raises ConfigurationError."""
    found = _WAY.fullmatch(way)
    if found is None:
        raise ConfigurationError(f"way {way!r} is not known; legal are {', '.join(f'{kind}-N' for kind in KINDS)}")
    return found[1], int(found[2])
