# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of tensor-parallel and its recipes."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from edgelam.errors import ConfigurationError
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network

if TYPE_CHECKING:
    from edgelam.parallel.looped_model import LoopedConfig

TensorParallel = Literal[
    "tp-optimised", "tp-free-decision", "tp-smallest-memory", "tp-equal", "tp-by-compute", "tp-by-bandwidth",
    "tp-all-devices", "tp-paba",
]  # fmt: skip
Fault = Literal["none", "leaves", "stops", "silenced", "coverage", "straggler", "straggler-left"]
FAULTS: tuple[Fault, ...] = ("none", "leaves", "stops", "silenced", "coverage", "straggler", "straggler-left")
Method = Literal[TensorParallel, "edge-server", "ddp", "pipeline"]
COVERAGE_IN = "nr-urban-micro"
"""The scenario whose area can be so large that a device drives out of coverage."""
BASELINES: tuple[Method, ...] = (
    "tp-smallest-memory", "tp-equal", "tp-by-compute", "tp-by-bandwidth", "tp-all-devices", "tp-paba",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Model:
    """The looped transformer and its batch."""

    width: int = 48
    """Features of a token."""
    num_heads: int = 6
    """Attention heads."""
    feed_forward: int = 192
    """Columns of the feed-forward part."""
    loops: int = 4
    """How many times the block is applied."""
    length: int = 32
    """Characters of a sequence."""
    batch: int = 8
    """Sequences of a global batch."""
    column_groups: int = 12
    """Groups in which columns are given to devices; must divide feed_forward."""
    encoding: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    """Number format of activations on the wire."""
    nonlinearity: Literal["device", "server"] = "device"
    """Who applies GELU."""
    downlink: Literal["unicast", "multicast"] = "unicast"
    """How what is the same for all devices goes down."""
    learning_rate: float = 3e-3
    """Of AdamW."""

    def looped(self, vocabulary: int, owner: str | None) -> "LoopedConfig":
        """The configuration of looped tensor parallelism for a vocabulary of characters."""
        from edgelam.parallel.looped_model import LoopedConfig

        return LoopedConfig(
            width=self.width, num_heads=self.num_heads, feed_forward=self.feed_forward, loops=self.loops,
            vocabulary=vocabulary, max_length=self.length, num_outputs=vocabulary, nonlinearity=self.nonlinearity,
            owner=owner, downlink=self.downlink, encoding=self.encoding, learning_rate=self.learning_rate,
            checkpoint_every=0,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of tensor-parallel. The defaults are the quick recipe."""

    model: Annotated[Model, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Model)
    """The looped transformer and its batch."""
    seed: int = 1
    """Root of every random stream: data, model, memory, network. 1 to 2147483647."""
    network: Network = Network()
    """The cell over which the methods run; it must have shares of resource blocks that can be set."""

    methods: tuple[Method, ...] = ("tp-optimised", "tp-equal", "edge-server", "ddp", "pipeline")
    """tp-RULE: looped tensor parallelism with widths and shares by a rule; tp-free-decision: tp-optimised whose
    decision takes no time; edge-server: the device that owns the data uploads them, and the server trains alone; ddp
    and pipeline: PyTorch's own, with the ranks on the devices."""
    num_devices: tuple[int, ...] = (4,)
    """Numbers of devices, one after the other."""
    num_seeds: int = 1
    """Every method runs with so many seeds, from `seed` on."""
    steps: int = 20
    """Optimiser steps of each method over the network."""
    curve_steps: int = 300
    """Optimiser steps of the learned curve, which is the same for all methods. Beyond the steps over the network, the
    time axis is extrapolated, and marked so."""

    mix: tuple[str, ...] = ("jetson-orin-nano", "phone", "jetson-nano", "phone")
    """Device profiles of ue0, ue1, ...; repeated as often as needed."""
    stands_for_gb: float = 10.0
    """The whole model on one device counts as so many GB: the memory of all devices is scaled by what it needs over
    that number, so that small models meet the limits of large ones. 0: memory is what the profiles say."""
    free_memory: tuple[float, float] = (0.5, 1.0)
    """The part of a device's memory that training may use: drawn between these two for each device and seed."""
    replan_every: int = 10
    """Steps after which states are reported, and widths and shares decided again; 0: only at the beginning."""
    enforcement: Literal["share", "cap", "none"] = "share"
    """How the cell keeps to the shares: guaranteed, with what is left over going to others; hard caps; or not."""
    algorithm: str = "ring"
    """How collectives of ddp and pipeline are carried out (docs/collectives.md): ring, star, tree, ..."""
    probe_bytes: int = 100_000
    """What each device sends and receives before each decision so that its rate can be measured."""
    bench: bool = False
    """Measure all-reduces over this scenario by size and algorithm, as edgelam bench collectives does, instead."""
    attacks: bool = False
    """Attack encoded inputs, and train with each remedy, instead of comparing methods."""
    faults: tuple[Fault, ...] = ()
    """Instead of comparing methods, train by tp-optimised while this happens to the device with the largest share: it
    leaves in good order; its program stops; a control takes all resource blocks from it (silenced); it drives out of
    coverage (over nr-urban-micro); another program takes its processor, and it is waited for (straggler) or left behind
    (straggler-left)."""
    fault_step: int = 6
    """The step after which it happens, from 0."""
    checkpoint_every: int = 4
    """With faults: steps between two checkpoints on the server; 0: a loss begins the training anew."""
    patience: float = 2.0
    """With faults silenced, coverage, straggler-left: seconds without an answer after which a device counts as lost."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        if not 1 <= self.seed <= 2**31 - max(self.num_seeds, 1):
            raise ConfigurationError(f"seed is {self.seed}; with num_seeds it must be from 1 to 2147483647")
        for name in ("num_seeds", "steps", "probe_bytes"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("curve_steps", "replan_every", "fault_step", "checkpoint_every"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("methods", "num_devices", "mix", "faults"):
            given = getattr(self, name)
            if name == "faults" and not given:
                continue
            if not given or (name != "mix" and len(set(given)) < len(given)):
                raise ConfigurationError(f"{name} are {given!r}; at least one, each once")
        if min(self.num_devices) < 1:
            raise ConfigurationError(f"num_devices are {self.num_devices!r}; numbers from 1 are legal")
        if "ddp" in self.methods and max(self.num_devices) > self.model.batch:
            raise ConfigurationError(
                f"ddp over {max(self.num_devices)} devices needs at least as many sequences as devices; batch is "
                f"{self.model.batch}"
            )
        if not 0.0 < self.free_memory[0] <= self.free_memory[1] <= 1.0:
            raise ConfigurationError(f"free_memory is {self.free_memory!r}; two numbers above 0 and at most 1")
        if self.faults and self.fault_step >= self.steps:
            raise ConfigurationError(
                f"fault_step is {self.fault_step}; a step before the last of {self.steps} is legal"
            )
        if not 0.0 < self.patience < float("inf"):
            raise ConfigurationError(f"patience is {self.patience!r}; it must be above 0")
        if not 0.0 <= self.stands_for_gb < float("inf"):
            raise ConfigurationError(f"stands_for_gb is {self.stands_for_gb!r}; it must be 0 or more")
        model = self.model
        if model.column_groups < 1 or model.feed_forward % model.column_groups:
            raise ConfigurationError(
                f"column_groups is {model.column_groups}; a number that divides feed_forward {model.feed_forward}"
            )

    def needs_for(self, num_devices: int) -> Needs:
        """What a scenario must have for so many devices."""
        from edgelam.parallel.widths.cell import CONTROLS, OBSERVABLES, OPTIONS

        return Needs(
            roles={"ue": num_devices, "edge": 1}, observables=OBSERVABLES, controls=CONTROLS, options=OPTIONS
        )  # fmt: skip


def needs(config: Config) -> Needs:
    """A cell with enough devices, and a server at its site."""
    return config.needs_for(max(config.num_devices))


def check(config: Config) -> None:
    """Refuse an unknown device profile or algorithm, and a model that cannot be made."""
    from edgelam.cosim.devices import profile
    from edgelam.parallel.collectives import algorithm_of

    algorithm_of("all_reduce", config.algorithm)
    if "coverage" in config.faults and config.network.scenario != COVERAGE_IN:
        raise ConfigurationError(
            f"fault coverage over {config.network.scenario}: a device can drive out of coverage in {COVERAGE_IN}; "
            "name the other faults with --faults"
        )
    for name in config.mix:
        profile(name)
    config.model.looped(2, None)


def quick() -> Config:
    """A small looped transformer on characters: loss against simulated time of five methods. At most 4 minutes."""
    return Config()


def paper() -> Config:
    """One BERT-base block (768, 12 heads, 3072 columns), 12 loops, sequences of 128: 5 steps of each method."""
    model = Model(
        width=768, num_heads=12, feed_forward=3072, loops=12, length=128, batch=4, column_groups=48, encoding="fp16",
        learning_rate=1e-4,
    )  # fmt: skip
    return Config(
        model=model, methods=("tp-optimised", *BASELINES, "edge-server", "ddp", "pipeline"), num_devices=(4,), steps=5,
        curve_steps=0, replan_every=0, probe_bytes=400_000,
    )  # fmt: skip


def widths() -> Config:
    """Optimised widths and shares against six simpler rules, over five seeds; prediction against simulation."""
    model = Model(width=96, num_heads=12, feed_forward=384, column_groups=12, length=64, encoding="fp16")
    return Config(
        model=model, methods=("tp-optimised", "tp-free-decision", *BASELINES), num_devices=(8,), num_seeds=5, steps=3,
        curve_steps=0, replan_every=2,
        mix=("jetson-orin-nano", "phone", "jetson-nano", "phone", "jetson-nano", "phone", "jetson-nano",
             "jetson-orin-nano"),
    )  # fmt: skip


def scaling() -> Config:
    """2 to 16 devices: optimised and equal widths, and data parallelism."""
    model = Model(width=96, num_heads=12, feed_forward=384, column_groups=12, batch=16, encoding="fp16")
    return Config(
        model=model, methods=("tp-optimised", "tp-equal", "tp-all-devices", "ddp"), num_devices=(2, 4, 8, 16), steps=3,
        curve_steps=0, replan_every=0, stands_for_gb=6.0,
    )  # fmt: skip


def faults() -> Config:
    """A device that leaves, stops, is cut off or is slow: what is lost, and how the others go on."""
    return Config(num_devices=(5,), steps=14, curve_steps=0, replan_every=0, faults=FAULTS)


def encoding() -> Config:
    """What encoding inputs by shards protects: attacks by all who see some of it, and what remedies cost."""
    return Config(attacks=True, num_devices=(3,), steps=4, curve_steps=60, stands_for_gb=0.0)


def collectives() -> Config:
    """All-reduces of four devices over the cell, by size and algorithm, as edgelam bench collectives measures them."""
    return Config(bench=True, num_devices=(4,))


RECIPES = {
    "quick": quick,
    "paper": paper,
    "widths": widths,
    "scaling": scaling,
    "faults": faults,
    "encoding": encoding,
    "collectives": collectives,
}
