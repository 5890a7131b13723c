# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of split-fedft and its recipes."""

import dataclasses
from typing import Annotated, Literal

import tyro

from edgelam.errors import ConfigurationError
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.decomposition.settings import DecompositionSettings
from edgelam.federated.settings import SplitFedFTSettings
from edgelam.learning.privacy.user import UserPrivacySettings
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network

from .allocation.settings import ALL_RULES, FEW_RULES, AllocationStudy
from .decomposition.settings import OBJECTIVES, SMALL, DecompositionStudy
from .few_labels.settings import KINDS, TEXT_KINDS, FewLabelsStudy
from .over_the_air.settings import OverTheAirStudy
from .peft.settings import ALL_WAYS as ALL_TUNINGS
from .peft.settings import PeftStudy
from .privacy.settings import PrivacyStudy
from .synchronisation.settings import ALL_WAYS, SynchronisationStudy

STUDIES = {"decompositions": "decomposition", "synchronisations": "synchronisation", "privacies": "privacy",
           "tunings": "peft", "scarcities": "few_labels", "sums": "over_the_air"}  # fmt: skip
"""Studies of ways: settings, and the folder that has the study."""
Method = Literal[
    "split-fedft", "decomposed", "fed-lora", "fedbuff", "dp-fed-lora", "air-fed-lora", "local", "centralised"
]
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
    with random weights, without a network; linear: logistic regression on TF-IDF (text), raw tokens or pixels, with all
    data in one place; majority: always the largest class. --controls without a value runs none of them."""

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

    synchronisations: SynchronisationStudy = dataclasses.field(default_factory=SynchronisationStudy)
    """With ways: instead of comparing methods, wait for devices in each of these ways, and compare them."""

    privacies: PrivacyStudy = dataclasses.field(default_factory=PrivacyStudy)
    """With ways: instead of comparing methods, protect data in each of these ways, attack it, and compare them."""

    tunings: PeftStudy = dataclasses.field(default_factory=PeftStudy)
    """With ways: instead of comparing methods, fine-tune in each of these ways, and compare them."""

    checkpoints: str = ""
    """A folder for checkpoints: a method that is in it goes on where an earlier run was, and what is complete is not
    repeated. Empty: no checkpoints are kept."""
    checkpoint_every: int = 10
    """With checkpoints: rounds between two of them, at least 1."""

    scarcities: FewLabelsStudy = dataclasses.field(default_factory=FewLabelsStudy)
    """With ways: instead of comparing methods, compare models with few labels."""

    sums: OverTheAirStudy = dataclasses.field(default_factory=OverTheAirStudy)
    """With ways: instead of comparing methods, sum updates in the air of the cell, and compare with messages."""

    threads: int = 0
    """Number of PyTorch threads; 0: PyTorch's choice. The same seed gives the same bytes only with the same number."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        if not 1 <= self.seed < 2**31:
            raise ConfigurationError(f"seed is {self.seed}; it must be a whole number from 1 to 2147483647")
        if self.threads < 0:
            raise ConfigurationError(f"threads is {self.threads}; it must be 0 (PyTorch's choice) or more")
        if self.checkpoint_every < 1:
            raise ConfigurationError(f"checkpoint_every is {self.checkpoint_every}; it must be at least 1")
        if self.checkpoints and (self.learning.allocation.decides or self.allocations.rules):
            raise ConfigurationError(
                "checkpoints are given with allocation: its queues and what it has measured are in none; legal is no "
                "folder of checkpoints, or allocation rule none"
            )
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
        if self.learning.objective != "classification" and set(self.controls) - {"random-weights"}:
            raise ConfigurationError(
                f"objective is {self.learning.objective!r} with controls {', '.join(self.controls)}, of which "
                "linear and majority tell classes; legal is --controls random-weights, or none"
            )
        if self.learning.objective == "contrastive":
            self._check_contrastive()
        if "fed-lora" in self.methods and self.learning.allocation.decides:
            rounds = -(-self.learning.rounds // self.learning.local_steps)
            self.learning.allocation.check(self.learning.num_devices, rounds)
        for studied in self.allocations.rules:
            self.allocations.under(self, studied)
        given = [name for name in STUDIES if getattr(self, name).ways]
        for name in given:
            for way in getattr(self, name).ways:
                getattr(self, name).under(self, way)
        names = [f"{name}.ways" for name in given]
        names = ["allocations.rules", *names] if self.allocations.rules else names
        if len(names) > 1:
            raise ConfigurationError(f"{' and '.join(names)} are both given; one study is legal")
        if not self.methods and not self.controls:
            raise ConfigurationError("methods and controls are both empty: there is nothing to run")

    def _check_contrastive(self) -> None:
        if set(self.methods) - {"split-fedft"}:
            raise ConfigurationError(
                f"objective is 'contrastive' with methods {', '.join(self.methods)}; legal is split-fedft alone"
            )
        if self.search_factors:
            raise ConfigurationError("objective is 'contrastive', which does not know search_factors; legal is none")

    @property
    def study(self) -> str:
        """The study that is run, by the name of its settings; "" if methods are compared."""
        return next((name for name in STUDIES if getattr(self, name).ways), "")


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
    own = own or config.learning.objective == "contrastive"
    if own or config.learning.lora.targets:
        from edgelam.federated import prepare

        setup = prepare(config.learning, config.seed)
        if config.learning.objective == "contrastive":
            from edgelam.federated.alignment.pair import pair_of

            pair_of(setup)
        else:
            setup.unsplit()


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


def few_labels() -> Config:
    """A pre-trained model beside its controls with 5 and 25 labelled comments on each device."""
    ways = tuple(f"{kind}-{labels}" for labels in (5, 25) for kind in TEXT_KINDS)
    return dataclasses.replace(Config(), controls=(), scarcities=FewLabelsStudy(ways=ways))


def few_labels_seeds() -> Config:
    """The same with 5 to 100 labelled comments, over five seeds."""
    ways = tuple(f"{kind}-{labels}" for labels in (5, 12, 25, 50, 100) for kind in TEXT_KINDS)
    return dataclasses.replace(few_labels(), scarcities=FewLabelsStudy(ways=ways, num_seeds=5))


def few_labels_images() -> Config:
    """DINOv2 on images of digits, beside classical classifiers and random weights, over five seeds."""
    learning = SplitFedFTSettings(
        task="mnist-5000", backbone="dinov2-small", max_tokens=17, rounds=20, evaluations=1
    )  # fmt: skip
    ways = tuple(f"{kind}-{labels}" for labels in (20, 100) for kind in KINDS)
    return dataclasses.replace(
        Config(), learning=learning, controls=(), scarcities=FewLabelsStudy(ways=ways, num_seeds=5)
    )  # fmt: skip


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


def allocation_grid() -> Config:
    """The same over three cells that disturb one another, with devices that are handed over as they drive."""
    config = allocation()
    learning = dataclasses.replace(
        config.learning, rounds=20, allocation=dataclasses.replace(config.learning.allocation, deadline_s=0.5)
    )
    options = ("sites=3", "sectors=1", "bandwidth=20", "speed=30", "carSpeed=30")
    network = Network(scenario="nr-urban-grid", devices=("ue*=jetson-orin",), options=options)
    return dataclasses.replace(config, learning=learning, network=network)


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


def synchronisation() -> Config:
    """Rounds that wait for all, rounds with a deadline, and asynchronous updates, on two boards and two phones."""
    learning = SplitFedFTSettings(
        task="digits", num_devices=4, alpha=0.3, rounds=40, local_steps=4, batch_size=16, evaluations=10,
        test_samples=200, installed=True,
    )  # fmt: skip
    return Config(
        learning=learning, methods=("fed-lora",), controls=(), synchronisations=SynchronisationStudy(ways=ALL_WAYS),
        network=Network(devices=("ue0=jetson-orin", "ue1=jetson-orin", "ue*=phone"), options=("bandwidth=20",)),
    )  # fmt: skip


def synchronisation_seeds() -> Config:
    """The same over five seeds."""
    return dataclasses.replace(synchronisation(), synchronisations=SynchronisationStudy(ways=ALL_WAYS, num_seeds=5))


def privacy() -> Config:
    """Noise for budgets of labels, noise on embeddings and privacy of whole devices, each attacked."""
    learning = SplitFedFTSettings(rounds=30, evaluations=3, test_samples=300, installed=True)
    return Config(
        learning=learning, methods=("split-fedft",), controls=(), privacies=PrivacyStudy(ways=PROTECTIONS),
        network=Network(devices=("ue*=jetson-orin",)),
    )  # fmt: skip


def privacy_seeds() -> Config:
    """The same over five seeds."""
    return dataclasses.replace(privacy(), privacies=PrivacyStudy(ways=PROTECTIONS, num_seeds=5))


def peft() -> Config:
    """Adapters on the server or on the devices, other weights that are trained, rounded and personal models."""
    learning = SplitFedFTSettings(
        task="digits", num_devices=4, alpha=0.3, rounds=20, local_steps=5, batch_size=8, evaluations=4,
        test_samples=200,
    )  # fmt: skip
    return Config(
        learning=learning, methods=("fed-lora",), controls=(), tunings=PeftStudy(ways=ALL_TUNINGS),
        network=Network(devices=("ue*=jetson-orin",)),
    )  # fmt: skip


def peft_seeds() -> Config:
    """The same over five seeds."""
    return dataclasses.replace(peft(), tunings=PeftStudy(ways=ALL_TUNINGS, num_seeds=5))


def over_the_air() -> Config:
    """Updates that add up in the air of the cell, beside messages, with 2 to 8 devices."""
    learning = SplitFedFTSettings(
        task="digits", rounds=16, local_steps=4, batch_size=8, evaluations=4, test_samples=100, installed=True,
        user_privacy=UserPrivacySettings(clip=100.0),  # longer than any update: nothing is clipped, as in fed-lora
    )  # fmt: skip
    return Config(
        learning=learning, methods=("fed-lora",), controls=(), sums=OverTheAirStudy(ways=SUMS),
        network=Network(devices=("ue*=jetson-orin",)),
    )  # fmt: skip


def over_the_air_seeds() -> Config:
    """The same over five seeds."""
    return dataclasses.replace(over_the_air(), sums=OverTheAirStudy(ways=SUMS, num_seeds=5))


SUMS = ("air-2", "messages-2", "air-4", "messages-4", "air-8", "messages-8")
"""Ways of the recipes of sums over the air."""
PROTECTIONS = ("none", "clip", "epsilon-500", "epsilon-50", "epsilon-5", "eta-200", "eta-50", "user-epsilon-50")
"""Ways of the recipes of privacy."""

RECIPES = {
    "quick": quick, "full": full, "few-labels": few_labels, "few-labels-seeds": few_labels_seeds,
    "few-labels-images": few_labels_images,
    "allocation": allocation, "allocation-seeds": allocation_seeds,
    "allocation-grid": allocation_grid,
    "decomposition": decomposition, "decomposition-seeds": decomposition_seeds,
    "synchronisation": synchronisation, "synchronisation-seeds": synchronisation_seeds,
    "privacy": privacy, "privacy-seeds": privacy_seeds, "peft": peft, "peft-seeds": peft_seeds,
    "over-the-air": over_the_air, "over-the-air-seeds": over_the_air_seeds,
}  # fmt: skip
