# SPDX-License-Identifier: GPL-2.0-only
"""Decides before each round, from reports, who takes part and with how much band, and has the cells keep to it.

    server --report?--> every device --report--> server     (reports.py; who does not answer in time is left out)
    server              the rule's operations, one floating-point operation and 24 bytes each
    server --shares--> base stations, which keep to them: minimum, and with `cap` most, up and down (learning/band.py)

All of that is transfers and computing, and none of it knows anything of the round to come. With `charge` False it
takes no time. Rules that look at no report (`WITHOUT_REPORTS`) ask for none. proportional-fair leaves the scheduler
alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgelam.cosim.work import Work
from edgelam.errors import BatteryEmpty, ConfigurationError, TransferError
from edgelam.federated.allocation import (
    all_devices,
    bisection,
    channel_greedy,
    drift_plus_penalty,
    equal_split,
    prices,
    proportional_fair,
    random_k,
    top_data,
)
from edgelam.federated.allocation.estimates import Estimates
from edgelam.federated.allocation.problem import COST, ENERGY, Choice, RoundProblem
from edgelam.federated.allocation.reports import END, Agent, Coming, Report
from edgelam.federated.allocation.settings import AllocationSettings
from edgelam.federated.records import AllocationRecord, DecisionRecord
from edgelam.learning.band import CONTROLS, Band, refuse_without
from edgelam.learning.channels import Channels
from edgelam.learning.conversation import expect, number
from edgelam.lyapunov import VirtualQueues

if TYPE_CHECKING:
    from edgelam import cosim
    from edgelam.federated.records import Report as Told

Decide = Callable[[RoundProblem, VirtualQueues, AllocationSettings, int], Choice]
RULES: dict[str, Decide] = {
    "drift-plus-penalty": drift_plus_penalty.decide,
    "equal-split": equal_split.decide,
    "all-devices": all_devices.decide,
    "random-k": random_k.decide,
    "channel-greedy": channel_greedy.decide,
    "top-data": top_data.decide,
    "proportional-fair": proportional_fair.decide,
}
WITHOUT_REPORTS = ("equal-split", "random-k", "top-data", "proportional-fair")
CSI_EVERY_S = 0.02
OBSERVABLES = ("cell", "trace_csi", "ue_radio_j", "control_slot")
"""What a scenario must have, beside controls of the band."""
BYTES_AN_OPERATION = 24
"""Two values of 8 bytes are read, and one is written."""


@dataclasses.dataclass(frozen=True)
class _Decided:
    """The decision before a round, until it is known how that went."""

    record: DecisionRecord
    problem: RoundProblem
    choice: Choice


class Allocator:
    """Chooses the devices of each round: `choose` is what `server_loop` calls."""

    def __init__(
        self, sim: cosim.Simulation, server: cosim.Node, devices: Sequence[cosim.Node], settings: AllocationSettings, *,
        rounds: int, samples: Sequence[int], seed: int, method: str, told: Told, coming: Sequence[Coming] = (),
    ) -> None:  # fmt: skip
        """rounds: how many there are. samples, coming: of each device. told: gets the records.

        Raises ConfigurationError for a scenario without a cell whose band can be divided, and as `settings.check`.
        """
        settings.check(len(devices), rounds)
        refuse_without(sim, OBSERVABLES, () if settings.rule == "proportional-fair" else CONTROLS)
        self._rounds = rounds
        self.sim, self.server, self.settings, self.seed = sim, server, settings, seed
        self.method, self._told = method, told
        self.devices = {node.name: node for node in devices}
        self.band, self.queues = Band(sim, server), VirtualQueues(settings.budgets, settings.v)
        self.estimates = Estimates()
        self._channels = Channels(sim, CSI_EVERY_S)
        self.agents = {
            node.name: Agent(sim, node, server, self._channels, coming[k] if coming else None)
            for k, node in enumerate(devices)
        }
        mean = sum(samples) / len(samples)
        self._samples = dict(zip(self.devices, samples, strict=True))
        equal = settings.weights == "equal"
        self._weights = {name: 1.0 if equal else count / mean for name, count in self._samples.items()}
        self._prices = {name: settings.price(k) for k, name in enumerate(self.devices)}
        self._before: _Decided | None = None
        self._begun = False
        self._prices_of_budgets = prices.FirstPrices(self.queues)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the channels, and let devices answer, while the body goes on."""
        async with self._channels.following(), asyncio.TaskGroup() as group:
            for name, agent in self.agents.items():
                group.create_task(agent.answer(), name=f"reports of {name}")
            yield
            await asyncio.gather(
                *(self.server.send(node, number(END), tag="report?") for node in self.devices.values())
            )
            await self._ended({name: await agent.report(END) for name, agent in self.agents.items()})

    async def choose(self, round_number: int) -> list[cosim.Node]:
        """Return who takes part; their shares of the band are in force."""
        asked_s, settings = self.sim.now_s, self.settings
        quiet = settings.rule in WITHOUT_REPORTS or not settings.charge
        if quiet:
            reports = {name: await agent.report(round_number) for name, agent in self.agents.items()}
        else:
            reports = await self._ask(round_number)
            if self._before is None:  # the first messages of a connection set it up: ask again for latencies
                reports = await self._ask(round_number)
                if not reports:
                    raise ConfigurationError(
                        f"allocation deadline_s is {self.settings.deadline_s:g}, and no device's report arrives in "
                        "that time; legal is longer (or allocation.charge False, with reports that take no time)"
                    )
        await self._ended(reports)
        problem = await self._problem(round_number, reports)
        begun = self._begin(problem)
        choice = RULES[settings.rule](problem, self.queues, settings, self.seed)
        choice = dataclasses.replace(choice, operations=choice.operations + begun)
        if not quiet:
            work = Work(flops=choice.operations, bytes=BYTES_AN_OPERATION * choice.operations)
            async with self.server.compute("decide allocation", work=work):
                pass
        shares = choice.units / problem.units if choice.capped else np.zeros(len(problem.devices))
        slot = await self._in_force(problem, choice, tell=settings.charge) if choice.capped else -1
        for k in choice.admitted if choice.capped else ():
            name = problem.devices[k]
            predicted_s = float(problem.seconds(np.maximum(shares, 1e-9))[k]) if problem.measured[k] else 0.0
            self.estimates.decided(name, round_number, reports[name], share=float(shares[k]), predicted_s=predicted_s)
        self._before = _Decided(
            DecisionRecord(
                self.method, round_number, asked_s, self.sim.now_s, slot, choice.operations, len(reports),
                len(choice.admitted), float(problem.prices[choice.admitted].sum()), 0.0, 0.0, 0.0, 0.0, 0.0,
            ),
            problem, choice,
        )  # fmt: skip
        if not len(choice.admitted):
            await asyncio.sleep(settings.deadline_s)
        return [self.devices[problem.devices[k]] for k in choice.admitted]

    async def _ask(self, round_number: int) -> dict[str, Report]:
        """Return the reports that arrive in time."""
        found: dict[str, Report] = {}

        async def one(name: str, node: cosim.Node) -> None:
            try:
                async with asyncio.timeout(self.settings.deadline_s):
                    await self.server.send(node, number(round_number), tag="report?")
                    answer = await expect(self.server, node, "report", round_number)
                found[name] = Report(*answer.data["report"].tolist())
            except (TimeoutError, TransferError, BatteryEmpty):
                pass

        async with asyncio.TaskGroup() as group:
            for name, node in self.devices.items():
                group.create_task(one(name, node), name=f"report of {name}")
        return {name: found[name] for name in self.devices if name in found}

    async def _problem(self, round_number: int, reports: dict[str, Report]) -> RoundProblem:
        cells = await self.band.cells()
        there = {name: report for name, report in reports.items() if cells[self.agents[name].ue] >= 0}
        at = [int(cells[self.agents[name].ue]) for name in there]
        prbs, group = await self.band.size()
        most = max(map(at.count, at), default=0)
        units = prbs // group if most <= prbs // group else prbs
        return self.estimates.problem(
            round_number, there, cells=at, units=units, settings=self.settings, weights=self._weights,
            prices=self._prices, samples=self._samples,
        )  # fmt: skip

    async def _in_force(self, problem: RoundProblem, choice: Choice, *, tell: bool) -> int:
        prbs, group = await self.band.size()
        each = group if problem.units == prbs // group else 1
        shares = np.zeros(len(self.band.ues))
        for k, name in enumerate(problem.devices):
            shares[self.agents[name].ue] = choice.units[k] * each / prbs
        await self.band.keep(shares, capped=self.settings.cap, tell=tell)
        return await self.band.slot()

    def _begin(self, problem: RoundProblem) -> int:
        """Let the queues begin at the prices of the first measured rounds; return the operations.

        Raises ConfigurationError, at the first, for a deadline or budget under which nobody could ever take part.
        """
        if self.settings.rule != "drift-plus-penalty" or not problem.measured.any():
            return 0
        if not self._begun:
            self._refuse_what_nothing_meets(problem)
        self._begun = True
        needs, looking = bisection.least_units(problem)
        pricing = self._prices_of_budgets.seen(problem, needs)
        return looking + pricing if pricing else 0

    def _refuse_what_nothing_meets(self, problem: RoundProblem) -> None:
        alone = problem.seconds(np.ones(len(problem.devices)))
        if alone.min() > self.settings.deadline_s:
            raise ConfigurationError(
                f"allocation deadline_s is {self.settings.deadline_s:g}: no device keeps to it, even with the whole "
                f"band; {problem.devices[int(alone.argmin())]} would need {alone.min():.4g} s; legal is from there"
            )
        budget_j, least_j = self.settings.budgets[ENERGY], problem.uses(np.ones(len(problem.devices)))[:, ENERGY].min()
        if budget_j * self._rounds < least_j:
            raise ConfigurationError(
                f"allocation energy_budget_j {budget_j:g} over {self._rounds} rounds is less than the {least_j:.4g} J "
                f"that one device takes in one round: nothing meets it; legal is from {least_j / self._rounds:.4g}"
            )

    async def _ended(self, reports: dict[str, Report]) -> None:
        """Learn from what the devices report of the round before; count what it has cost."""
        joules = sum(self.estimates.learn(name, report) for name, report in reports.items())
        if self._before is None:
            return
        record, problem, choice = self._before.record, self._before.problem, self._before.choice
        uses = np.zeros(2)
        uses[COST], uses[ENERGY] = record.cost, joules
        if not record.admitted and joules > self.settings.budgets[ENERGY]:
            raise ConfigurationError(
                f"allocation energy_budget_j is {self.settings.budgets[ENERGY]:g}, and a round in which nobody took "
                f"part has taken {joules:.4g} J for reports alone: nothing meets it; legal is above that"
            )
        self.queues.update(uses)
        cost_q, energy_q = self.queues.values.tolist()
        cost_g, energy_g = self.queues.given.tolist()
        self._told(
            dataclasses.replace(
                record, energy_j=joules, cost_queue=cost_q, energy_queue=energy_q, cost_given=cost_g,
                energy_given=energy_g,
            )
        )  # fmt: skip
        share = np.maximum(choice.units, 1) / problem.units
        seconds, uses_k = problem.seconds(share), problem.uses(share)
        for k, name in enumerate(problem.devices):
            agent, takes = self.agents[name], bool(choice.units[k])
            done = takes and agent.last_round == record.round
            predicted = takes and choice.capped and bool(problem.measured[k])
            last = agent.last
            self._told(
                AllocationRecord(
                    self.method, record.round, name, int(problem.cells[k]), takes,
                    float(share[k]) if takes and choice.capped else 0.0,
                    float(seconds[k]) if predicted else float("nan"),
                    last.uplink_s + last.downlink_s + last.compute_s if done else float("nan"),
                    float(uses_k[k, ENERGY]) if predicted else float("nan"),
                    problem.units, bool(problem.measured[k]),
                    *(float(getattr(problem, column)[k]) for column in AllocationRecord.OF_PROBLEM),
                )
            )  # fmt: skip
