# SPDX-License-Identifier: GPL-2.0-only
"""Who takes part in a round and with how much of the band; importing this imports no torch."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from edgelam.errors import ConfigurationError

Rule = Literal[
    "none", "drift-plus-penalty", "equal-split", "all-devices", "random-k", "channel-greedy", "top-data",
    "proportional-fair",
]  # fmt: skip
OF_K: tuple[Rule, ...] = ("random-k", "channel-greedy", "top-data")


@dataclass(frozen=True)
class AllocationSettings:
    """Devices and band of each round, decided from the channel (docs/allocation.md)."""

    rule: Rule = "none"
    """Who decides. none: nobody, all devices drawn for a round share the cell as they can. drift-plus-penalty: online,
    within budgets. equal-split: all devices, with equal parts of the band. all-devices: all of them, with the parts
    that make the slowest one fastest. random-k, channel-greedy, top-data: `devices` of them, at random, with the best
    channels, or with the most data, in equal parts. proportional-fair: all devices, left to that scheduler."""
    v: float = 1.0
    """drift-plus-penalty: weight V of the devices that take part against the budgets' queues, above 0. A larger V gets
    nearer to the best that the budgets allow, and takes longer to keep to them."""
    deadline_s: float = 0.2
    """drift-plus-penalty: simulated seconds that a device may spend in a round on sending, receiving and computing;
    each gets the least band with which it is predicted to keep to that. A report that takes longer is not waited for,
    and a round without devices lasts so long."""
    cost_budget: float | None = None
    """drift-plus-penalty: what devices may be paid for a round, on average over rounds; None: no limit."""
    energy_budget_j: float | None = None
    """drift-plus-penalty: joules that devices may spend on sending and computing in a round, all together, on average
    over rounds; None: no limit."""
    prices: tuple[float, ...] = (1.0,)
    """What ue0, ue1, ... are paid for a round in which they take part; repeated as often as needed."""
    weights: Literal["data", "equal"] = "data"
    """drift-plus-penalty: what taking part is worth. data: a device's share of the samples times the number of devices;
    equal: 1 for each."""
    devices: int = 2
    """random-k, channel-greedy, top-data: how many devices take part in a round."""
    cap: bool = True
    """Whether a share of the band is also the most that a device gets. False: it is a minimum, and the base station
    gives away what is idle; a device is then rather faster than predicted."""
    charge: bool = True
    """Whether reports, the decision and its way to the base station take time. False: all of it is free and at once,
    which shows what deciding costs."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal."""
        if self.rule not in get_args(Rule):
            raise ConfigurationError(f"allocation rule is {self.rule!r}; legal are {', '.join(get_args(Rule))}")
        for name, value in (("v", self.v), ("deadline_s", self.deadline_s)):
            if not 0.0 < value < math.inf:
                raise ConfigurationError(f"allocation {name} is {value}; it must be above 0 and finite")
        for name, budget in (("cost_budget", self.cost_budget), ("energy_budget_j", self.energy_budget_j)):
            if budget is not None and not 0.0 < budget < math.inf:
                raise ConfigurationError(
                    f"allocation {name} is {budget}: no device could ever take part; it must be above 0, or None for "
                    "no limit"
                )
        if not self.prices or not all(0.0 <= price < math.inf for price in self.prices):
            raise ConfigurationError(f"allocation prices are {self.prices}; at least one number, each 0 or more")
        if self.devices < 1:
            raise ConfigurationError(f"allocation devices is {self.devices}; it must be at least 1")

    @property
    def decides(self) -> bool:
        """Whether there is a rule."""
        return self.rule != "none"

    @property
    def budgets(self) -> tuple[float, float]:
        """Cost and energy (J) of a round; inf: no limit."""
        return (
            math.inf if self.cost_budget is None else self.cost_budget,
            math.inf if self.energy_budget_j is None else self.energy_budget_j,
        )

    def price(self, device: int) -> float:
        """What device number `device` is paid for a round."""
        return self.prices[device % len(self.prices)]

    def check(self, num_devices: int, rounds: int) -> None:
        """Refuse what so many devices cannot do in so many rounds. Raises ConfigurationError."""
        if self.rule in OF_K and self.devices > num_devices:
            raise ConfigurationError(
                f"allocation devices is {self.devices} with num_devices {num_devices}; legal is 1 to {num_devices}"
            )
        least = min(self.price(device) for device in range(num_devices))
        if self.rule == "drift-plus-penalty" and self.budgets[0] * rounds < least:
            raise ConfigurationError(
                f"allocation cost_budget {self.cost_budget:g} over {rounds} rounds is {self.budgets[0] * rounds:g}, "
                f"less than the price {least:g} of the cheapest device for one round: nothing meets it; legal is from "
                f"{least / rounds:.4g}"
            )
