# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of split-fedft and its recipes."""

import dataclasses
from typing import Annotated, Literal

import tyro

from edgelam.errors import ConfigurationError
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.decomposition.settings import DecompositionSettings
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network

from .allocation.settings import ALL_RULES, FEW_RULES, AllocationStudy
from .decomposition.settings import OBJECTIVES, SMALL, DecompositionStudy

Method = Literal["split-fedft", "decomposed", "fed-lora", "fedbuff", "dp-fed-lora", "local", "centralised"]
Control = Literal["random-weights", "linear", "majority"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of split-fedft. The defaults are the quick recipe."""

    learning: Annotated[SplitFedFTSettings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=SplitFedFTSettings
    )
    """What the devices and the server learn, and how."""
    seed: int = 1
    """Root of every random stream: data, model, network. 1 to 2147483647."""

    network: Network = Network(devices=("ue*=jetson-orin",))
    """The network over which the methods run."""

    methods: tuple[Method, ...] = ("split-fedft",)
    """The methods to run over the network, one after the other. All use the same data order and number of samples."""
    controls: tuple[Control, ...] = ("random-weights", "linear", "majority")
    """Rows of the result table that show whether pre-training matters. random-weights: split-fedft on the same backbone
    with random weights, without a network; linear: logistic regression on TF-IDF (text) or raw tokens, with all data in
    one place; majority: always the largest class. --controls without a value runs none of them."""

    search_factors: tuple[float, ...] = ()
    """Factors of the search for learning rates: before each method runs, the configured rates times each factor are
    tried without a network, and judged on training samples held out from each device. Empty: no search."""
    search_rounds: int = 20
    """Optimiser steps of each try in the search, at least 1."""
    search_holdout: float = 0.1
    """Share of each device's training samples that is held out to judge the tries, between 0 and 1."""

    allocations: AllocationStudy = dataclasses.field(default_factory=AllocationStudy)
    """With rules: instead of comparing methods, learn with each rule of allocation, and compare these."""

    decompositions: DecompositionStudy = dataclasses.field(default_factory=DecompositionStudy)
    """With ways: instead of comparing methods, cut the model in each of these ways, and compare them."""

    threads: int = 0
    """Number of PyTorch threads; 0: PyTorch's choice. The same seed gives the same bytes only with the same number."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        if not 1 <= self.seed < 2**31:
            raise ConfigurationError(f"seed is {self.seed}; it must be a whole number from 1 to 2147483647")
        if self.threads < 0:
            raise ConfigurationError(f"threads is {self.threads}; it must be 0 (PyTorch's choice) or more")
        if self.search_rounds < 1:
            raise ConfigurationError(f"search_rounds is {self.search_rounds}; it must be at least 1")
        if not 0.0 < self.search_holdout < 1.0:
            raise ConfigurationError(f"search_holdout is {self.search_holdout}; it must be between 0 and 1 (exclusive)")
        if any(not 0.0 < factor < float("inf") for factor in self.search_factors):
            raise ConfigurationError(f"search_factors are {self.search_factors}; they must be positive numbers")
        for name in ("methods", "controls"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ConfigurationError(f"{name} are {', '.join(given)}; each may be given once")
        if self.search_factors and self.learning.privacy.clip is not None:
            raise ConfigurationError(
                "search_factors are given with privacy.clip: the search looks at labels without noise, so epsilon "
                "would not hold; search without privacy, or with other data, and give the rates"
            )
        if "fed-lora" in self.methods and self.learning.allocation.decides:
            rounds = -(-self.learning.rounds // self.learning.local_steps)
            self.learning.allocation.check(self.learning.num_devices, rounds)
        for studied in self.allocations.rules:
            self.allocations.under(self, studied)
        for way in self.decompositions.ways:
            self.decompositions.under(self, way)
        if self.allocations.rules and self.decompositions.ways:
            raise ConfigurationError("allocations.rules and decompositions.ways are both given; one study is legal")
        if not self.methods and not self.controls:
            raise ConfigurationError("methods and controls are both empty: there is nothing to run")


def needs(config: Config) -> Needs:
    """Devices that hold data, and a server; with allocation, a 5G cell whose band can be divided."""
    roles = {"ue": config.learning.num_devices, "edge|cloud": 1}
    rule = config.learning.allocation.rule
    if rule == "none" and config.allocations.rules:
        # the one that needs most: all others but proportional-fair need the same
        rule = "equal-split" if set(config.allocations.rules) != {"proportional-fair"} else "proportional-fair"
    if rule == "none":
        return Needs(roles=roles)
    from edgelam.federated.allocation.allocator import OBSERVABLES
    from edgelam.learning.band import CONTROLS, OPTIONS

    if rule == "proportional-fair":
        return Needs(roles=roles, observables=OBSERVABLES, options={"scheduler": "pf"})
    return Needs(roles=roles, observables=OBSERVABLES, controls=CONTROLS, options=OPTIONS)


def check(config: Config) -> None:
    """Refuse what this installation cannot run: an unknown backbone or task.

    A backbone, task or LoRA target of the user's own is prepared as the run will do it: its faults cost no run folder.
    """
    from edgelam.data import BUILT_IN, check_task
    from edgelam.models import OFFLINE_NAME, check_backbone

    check_task(config.learning.task)
    check_backbone(config.learning.backbone)
    own = config.learning.backbone != OFFLINE_NAME or config.learning.task not in BUILT_IN
    if own or config.learning.lora.targets:
        from edgelam.federated import prepare

        prepare(config.learning, config.seed).unsplit()


def quick() -> Config:
    """Split federated fine-tuning of MiniLM over a 5G cell, with its controls: at most 4 minutes on 2 cores."""
    return Config()


def full() -> Config:
    """Split, un-split (FedIT), local-only and centralised fine-tuning, each with a search for its learning rates."""
    learning = SplitFedFTSettings(rounds=200, test_samples=0, evaluations=10, head_averaging="server")
    return Config(
        learning=learning,
        methods=("split-fedft", "fed-lora", "local", "centralised"),
        search_factors=(0.1, 0.3, 1.0, 3.0),
        search_rounds=40,
    )


def allocation() -> Config:
    """Online allocation of devices and band within budgets, beside three simple rules, on uneven data."""
    learning = SplitFedFTSettings(
        task="digits", num_devices=8, alpha=0.3, rounds=10, batch_size=4, evaluations=5, test_samples=100,
        allocation=AllocationSettings(v=2.0, deadline_s=0.2, cost_budget=4.0, devices=4),
    )  # fmt: skip
    return Config(
        learning=learning, methods=("split-fedft",), controls=(), allocations=AllocationStudy(rules=FEW_RULES),
        network=Network(devices=("ue*=jetson-orin",), options=("bandwidth=20",)),
    )  # fmt: skip


def allocation_seeds() -> Config:
    """All rules of allocation, with free decisions and with shares that are no caps beside them, over five seeds."""
    config = allocation()
    return dataclasses.replace(config, allocations=AllocationStudy(rules=ALL_RULES, num_seeds=5))


def decomposition() -> Config:
    """Fixed cuts of the model beside cuts that are chosen for each device, on two boards and two phones."""
    learning = SplitFedFTSettings(
        task="digits", num_devices=4, rounds=10, batch_size=16, evaluations=2, test_samples=100,
        decomposition=DecompositionSettings(installed_blocks=6),
    )  # fmt: skip
    ways = ("blocks-0", "blocks-2", "blocks-6", "int8", "adaptive-time", "adaptive-bytes", "adaptive-arithmetic")
    return Config(
        learning=learning, methods=("decomposed",), controls=(), decompositions=DecompositionStudy(ways=ways),
        network=Network(devices=("ue0=jetson-orin", "ue1=jetson-orin", "ue*=phone"), options=("bandwidth=20",)),
    )  # fmt: skip


def decomposition_seeds() -> Config:
    """Every fixed cut, smaller messages and every objective, over five seeds."""
    ways = (*(f"blocks-{blocks}" for blocks in range(7)), *SMALL, *(f"adaptive-{each}" for each in OBJECTIVES))
    return dataclasses.replace(decomposition(), decompositions=DecompositionStudy(ways=ways, num_seeds=5))


RECIPES = {
    "quick": quick, "full": full, "allocation": allocation, "allocation-seeds": allocation_seeds,
    "decomposition": decomposition, "decomposition-seeds": decomposition_seeds,
}  # fmt: skip
