# SPDX-License-Identifier: GPL-2.0-only
"""Settings of the parts of beamforming: the closed loop, and problems beside the downlink."""

import dataclasses
import math
from typing import Literal

from edgelam.errors import ConfigurationError

Phases = Literal["still", "random", "bcd", "policy"]


def _refuse_below(settings: object, part: str, least: dict[str, int]) -> None:
    for name, value in least.items():
        if getattr(settings, name) < value:
            raise ConfigurationError(f"{part}.{name} is {getattr(settings, name)}; it must be at least {value}")


@dataclasses.dataclass(frozen=True)
class LearningSettings:
    """Fine-tuning over the cell that a method drives: the time of its rounds depends on the precoders."""

    method: Literal["none", "split-fedft", "fed-lora"] = "none"
    """Split federated fine-tuning of MiniLM, un-split with averaged adapters, or nothing."""
    task: str = "digits"
    """What is learned, as --task of split-fedft."""
    devices: int = 2
    """How many of the UEs take part, the first ones."""
    background: bool = True
    """Whether the other UEs have full buffers meanwhile."""
    rounds: int = 3
    """Optimiser steps of the adapters."""
    batch_size: int = 8
    """Samples of a device in a step."""
    cut: Literal["tokens", "pooled"] = "tokens"
    """split-fedft: what goes down, as --cut of split-fedft: tokens are more."""
    local_steps: int = 1
    """fed-lora: steps between two exchanges of adapters."""
    test_samples: int = 50
    """Samples on which the model is tested at the end."""
    longest_s: float = 10.0
    """Fine-tuning that has not ended after this simulated time is given up, and counts with this time, s."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 0 < self.longest_s < math.inf:
            raise ConfigurationError(f"loop.learning.longest_s is {self.longest_s:g}; it must be a positive number")
        _refuse_below(self, "loop.learning", {"devices": 1, "rounds": 1, "batch_size": 1, "local_steps": 1,
                                              "test_samples": 1})  # fmt: skip


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """The closed loop: every method drives the network of the options --scenario and so on."""

    ues: int = 6
    """UEs, all of which are sent to at once, a layer each; 1 to 12."""
    ages_ms: tuple[float, ...] = (0.0, 10.0)
    """How old channels are when the gNB gets them, ms; everything is measured for each."""
    pilot_snr_db: float = math.inf
    """SNR of the estimates of channels, dB; inf: they are exact."""
    period_ms: float = 1.0
    """Time between two decisions, ms."""
    filling_ms: float = 30.0
    """Time with full buffers before goodput is measured, ms."""
    measured_ms: float = 120.0
    """Time over which goodput is measured, ms."""
    watch_ms: float = 1.5
    """Mean time between two looks at channels and weights for the predicted rates, ms."""
    tensors: int = 5
    """Tensors that each UE gets afterwards, for latencies."""
    tensor_kb: float = 98.304
    """Size of a tensor, kB: as by default 64 hidden states of MiniLM, 384 values of four bytes."""
    longest_ms: float = 1000.0
    """A tensor that takes longer is given up, and counts with this time, ms."""
    phases: tuple[Phases, ...] = ()
    """How the phases of surfaces are decided: still: not at all; random: drawn once; bcd: by block coordinate descent
    with WMMSE, at each decision; policy: by surface-POLICY, at each decision, for policies only. Every method runs with
    each. Empty: there are no surfaces."""
    coordinated: bool = False
    """In a network: all cells' channels are known at the first gNB, and methods that decide for all cells together
    (coordinated-wmmse, coordinated-POLICY) run beside the others."""
    learning: LearningSettings = dataclasses.field(default_factory=LearningSettings)
    """What is fine-tuned over the cell after goodput and latencies are measured."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if not 1 <= self.ues <= 12:
            raise ConfigurationError(f"loop.ues is {self.ues}; legal are 1 to 12, a layer each (docs/antennas.md)")
        if not self.ages_ms or len(set(self.ages_ms)) < len(self.ages_ms):
            raise ConfigurationError(f"loop.ages_ms are {self.ages_ms}; at least one, each once")
        for age_ms in self.ages_ms:
            if not 0 <= age_ms <= 1000:
                raise ConfigurationError(f"loop.ages_ms have {age_ms:g}; legal are 0 to 1000 ms")
        for name in ("period_ms", "measured_ms", "watch_ms", "tensor_kb", "longest_ms"):
            if not 0.1 <= getattr(self, name) <= 1e5:
                raise ConfigurationError(f"loop.{name} is {getattr(self, name):g}; legal are 0.1 to 100000")
        if not 0 <= self.filling_ms <= 1e5:
            raise ConfigurationError(f"loop.filling_ms is {self.filling_ms:g}; legal are 0 to 100000")
        if len(set(self.phases)) < len(self.phases):
            raise ConfigurationError(f"loop.phases are {self.phases}; each may be given once")
        if self.phases and self.coordinated:
            raise ConfigurationError("loop.phases and loop.coordinated are both given; surfaces are of one cell")
        if {"bcd", "policy"} & set(self.phases) and not math.isinf(self.pilot_snr_db):
            raise ConfigurationError(
                f"loop.pilot_snr_db is {self.pilot_snr_db:g}; where phases of surfaces are decided, channels are known "
                "exactly: legal is inf"
            )
        if self.learning.method != "none" and self.learning.devices > self.ues:
            raise ConfigurationError(
                f"loop.learning.devices is {self.learning.devices}; legal are 1 to loop.ues, {self.ues}"
            )
        if self.tensors < 0:
            raise ConfigurationError(f"loop.tensors is {self.tensors}; it must be 0 or more")
        if math.isnan(self.pilot_snr_db) or self.pilot_snr_db < -40:
            raise ConfigurationError(f"loop.pilot_snr_db is {self.pilot_snr_db:g}; legal are -40 dB and more, or inf")


@dataclasses.dataclass(frozen=True)
class SurfaceSettings:
    """The cell with a surface: 8 antennas, 100 elements, 3 users (arXiv 2009.14404)."""

    samples: int = 0
    """Cells on which all methods are judged; 0: no surfaces."""
    pilots: tuple[int, ...] = ()
    """Numbers of pilots from which channels are estimated, multiples of 3."""
    rounds: int = 8
    """surface-POLICY: rounds of precoder and phases, each with a step of its own."""
    policy_steps: int = 100
    """surface-POLICY: optimiser steps, from the policy without surface on."""
    policy_batch_size: int = 32
    """surface-POLICY: cells in a step."""
    draws: int = 1000
    """Cells of the past: what LMMSE and the pilot encoder know before."""
    codes: int = 3000
    """pilot-encoder: how many of the users of the past it remembers, 3 of each cell."""
    steps: int = 600
    """pilot-encoder: optimiser steps."""
    batch_size: int = 96
    """pilot-encoder: cells in a step."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "surface", {"samples": 0, "rounds": 1, "policy_steps": 1, "policy_batch_size": 1,
                                        "draws": 2, "codes": 1, "steps": 1, "batch_size": 1})  # fmt: skip
        if self.codes > 3 * self.draws:
            raise ConfigurationError(f"surface.codes is {self.codes}; legal are 1 to {3 * self.draws}, 3 of each draw")
        for count in self.pilots:
            if count < 3 or count % 3:
                raise ConfigurationError(f"surface.pilots have {count}; legal are multiples of 3, one of each user")


@dataclasses.dataclass(frozen=True)
class HybridSettings:
    """Precoders of several users behind phase shifters."""

    samples: int = 0
    """Channels on which all methods are judged; 0: none."""
    users: int = 4
    """Users, a stream each; there are as many RF chains, then twice as many, and as many in parts of the antennas."""
    antennas: int = 16
    """Antennas, at least twice as many as users."""
    snr_db: float = 10.0
    """Power over noise, dB."""
    policy_steps: int = 100
    """hybrid-POLICY: optimiser steps, from the policy without phase shifters on."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "hybrid", {"samples": 0, "users": 1, "policy_steps": 1})
        if self.antennas < 2 * self.users:
            raise ConfigurationError(f"hybrid.antennas is {self.antennas}; it must be at least {2 * self.users}")
        if not -40 <= self.snr_db <= 40:
            raise ConfigurationError(f"hybrid.snr_db is {self.snr_db:g}; legal are -40 to 40 dB")


@dataclasses.dataclass(frozen=True)
class FederatedSettings:
    """Federated averaging of policies over sites."""

    sites: int = 0
    """Sites, the nodes of role ue of the network, whose cell is their backhaul; 0: none."""
    rounds: int = 5
    """Rounds of training at all sites and averaging at the node of role cloud."""
    steps: int = 20
    """Optimiser steps of a site in a round."""
    aggregation: Literal["fedit", "ffa-lora", "fedex-lora", "flora"] = "fedit"
    """The rule that combines adapters, of edgelam.learning.aggregation; of all else, the server takes the mean."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "federated", {"sites": 0, "rounds": 1, "steps": 1})


@dataclasses.dataclass(frozen=True)
class CoordinatedSettings:
    """Several cells that coordinate their precoders, each with a power limit of its own."""

    samples: int = 0
    """Networks on which all methods are judged; 0: none."""
    cells: tuple[int, ...] = (3,)
    """Numbers of cells; policies are trained on the first and judged on all."""
    users: int = 2
    """Users of each cell."""
    antennas: int = 4
    """Antennas of each cell."""
    snr_db: float = 10.0
    """Power of a cell over noise, dB."""
    cross_db: tuple[float, float] = (-20.0, -3.0)
    """Least and largest gain of channels to other cells, over that of the own one, dB."""
    policy_steps: int = 150
    """coordinated-POLICY: optimiser steps, from the policy of one cell on."""
    policy_batch_size: int = 48
    """coordinated-POLICY: networks in a step."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "coordinated", {"samples": 0, "users": 1, "antennas": 1, "policy_steps": 1,
                                            "policy_batch_size": 1})  # fmt: skip
        if not self.cells or min(self.cells) < 1 or len(set(self.cells)) < len(self.cells):
            raise ConfigurationError(f"coordinated.cells are {self.cells}; legal are numbers from 1 on, each once")
        if not -40 <= self.snr_db <= 40:
            raise ConfigurationError(f"coordinated.snr_db is {self.snr_db:g}; legal are -40 to 40 dB")
        low, high = self.cross_db
        if not -100.0 <= low <= high <= 20.0:
            raise ConfigurationError(f"coordinated.cross_db is {low:g} to {high:g}; legal are -100 to 20 dB, low first")


@dataclasses.dataclass(frozen=True)
class EnergySettings:
    """Energy efficiency: bits per joule with circuits that need power."""

    samples: int = 0
    """Channels on which all methods are judged; 0: none."""
    users: int = 4
    """Users with one antenna."""
    antennas: int = 4
    """Antennas."""
    power_w: float = 40.0
    """Limit of the radiated power, W."""
    snr_db: float = 30.0
    """Power limit over noise, dB."""
    fixed_w: float = 18.0
    """Power of circuits whatever the size, W; 1 W for each antenna and 0.1 W for each user come to it."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "energy", {"samples": 0, "users": 1, "antennas": 1})
        if not 0.0 < self.power_w < math.inf or not 0.0 <= self.fixed_w < math.inf:
            raise ConfigurationError(
                f"energy.power_w is {self.power_w:g} and energy.fixed_w {self.fixed_w:g}; legal are finite powers, the "
                "first above 0"
            )
        if not -40 <= self.snr_db <= 50:
            raise ConfigurationError(f"energy.snr_db is {self.snr_db:g}; legal are -40 to 50 dB")


@dataclasses.dataclass(frozen=True)
class StreamSettings:
    """Users with several antennas and streams."""

    samples: int = 0
    """Channels on which all methods are judged; 0: none."""
    users: int = 4
    """Users."""
    received: int = 2
    """Antennas of each user."""
    streams: int = 2
    """Streams of each user, at most its antennas."""
    antennas: int = 8
    """Antennas of the base station, at least all streams."""
    snr_db: float = 10.0
    """Power over noise, dB."""
    policy_steps: int = 100
    """streams-POLICY: optimiser steps, from the policy for one antenna on."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "streams", {"samples": 0, "users": 1, "received": 1, "streams": 1, "policy_steps": 1})
        if self.streams > self.received or self.users * self.streams > self.antennas:
            raise ConfigurationError(
                f"streams.streams is {self.streams}; legal are at most {self.received}, a user's antennas, and "
                f"with {self.users} users together at most {self.antennas}, the station's"
            )
        if not -40 <= self.snr_db <= 40:
            raise ConfigurationError(f"streams.snr_db is {self.snr_db:g}; legal are -40 to 40 dB")


@dataclasses.dataclass(frozen=True)
class SeveralSettings:
    """One model for several problems: the downlink, few RF chains, streams and cells."""

    samples: int = 0
    """Channels of each test on which all methods are judged; 0: none."""
    policy_steps: int = 60
    """Optimiser steps on each problem, from the policy of the downlink on."""
    policy_batch_size: int = 32
    """Channels in a step."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "several", {"samples": 0, "policy_steps": 1, "policy_batch_size": 1})


@dataclasses.dataclass(frozen=True)
class SensingSettings:
    """Sensing beside sending: error of the beam pattern against rate."""

    samples: int = 0
    """Channels on which all methods are judged; 0: none."""
    users: int = 3
    """Users with one antenna."""
    antennas: int = 10
    """Antennas in a row, half a wavelength apart."""
    probing: int = 4
    """Streams that carry nothing, at most the antennas that users leave."""
    targets_deg: tuple[float, ...] = (-40.0, 0.0, 40.0)
    """Directions that are to be lit, degrees from broadside."""
    width_deg: float = 10.0
    """Width of each."""
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Shares of sensing in what is made large; all methods are judged with each."""
    snr_db: float = 10.0
    """Power over noise, dB."""
    rounds: int = 8
    """sensing-POLICY: trained steps."""
    policy_steps: int = 60
    """sensing-POLICY: optimiser steps."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        _refuse_below(self, "sensing", {"samples": 0, "users": 1, "antennas": 1, "probing": 0, "rounds": 1,
                                        "policy_steps": 1})  # fmt: skip
        if self.users + self.probing > self.antennas:
            raise ConfigurationError(
                f"sensing.probing is {self.probing}; legal are 0 to {max(self.antennas - self.users, 0)}"
            )
        if not self.targets_deg or any(not -90 <= each <= 90 for each in self.targets_deg):
            raise ConfigurationError(f"sensing.targets_deg are {self.targets_deg}; legal are -90 to 90, at least one")
        if not 0 < self.width_deg <= 180:
            raise ConfigurationError(f"sensing.width_deg is {self.width_deg:g}; legal are above 0 and up to 180")
        if not self.shares or any(not 0 <= each <= 1 for each in self.shares):
            raise ConfigurationError(f"sensing.shares are {self.shares}; legal are 0 to 1, at least one")
        if not -40 <= self.snr_db <= 40:
            raise ConfigurationError(f"sensing.snr_db is {self.snr_db:g}; legal are -40 to 40 dB")
