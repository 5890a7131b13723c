# SPDX-License-Identifier: GPL-2.0-only
"""The planner of looped tensor parallelism in a cell: measures, decides, and puts the shares of the band into force.

It is what `looped.train(planner=...)` calls, at the beginning and then every `replan_every` steps, so a plan follows
the channels. Reports, probes and the shares are transfers. The decision takes the server's time: of the exact solver
the operations that it has counted, each one floating-point operation that reads two values of 8 bytes and writes one;
of the other rules, 100 operations for each device and those of finding the best shares. Never wall time. With `charge`
False the decision takes no time, which shows what deciding costs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.parallel.looped_split import Split
from edgelam.parallel.widths import METHODS, all_devices, exact, fluid, shares
from edgelam.parallel.widths.cell import Cell, Enforcement, Measured
from edgelam.parallel.widths.from_looped import Units, problem_of
from edgelam.parallel.widths.problem import Plan, Problem

if TYPE_CHECKING:
    from edgelam import cosim

SEARCHES = {"optimised": exact.search, "all-devices": all_devices.search}
"""Rules whose operations are counted."""
SIMPLE_OPERATIONS = 100
"""Operations of another rule for each device, beside those of the best shares."""
BYTES_AN_OPERATION = 24


@dataclasses.dataclass(frozen=True)
class Decision:
    """A decision, for tables: step, when it was asked for and when it was in force, and what it is."""

    step: int
    start_s: float
    measured_s: float
    """When the states were known."""
    end_s: float
    operations: int
    problem: Problem
    measured: Measured
    plan: Plan
    fluid_s: float
    """Predicted seconds of a step if band that is not used goes to others."""


class Planner:
    """Plans by one rule in one cell; `decisions` has what was decided."""

    def __init__(
        self,
        sim: cosim.Simulation,
        cell: Cell,
        units: Units,
        rule: str,
        *,
        enforcement: Enforcement = "share",
        charge: bool = True,
        told: Callable[[Decision], object] | None = None,
    ) -> None:
        """rule: a name of `METHODS`; told: is called with each decision. Raises ConfigurationError."""
        if rule not in METHODS:
            raise ConfigurationError(f"no rule of widths is called {rule!r}; there are: {', '.join(METHODS)}")
        self.sim, self.cell, self.units, self.rule = sim, cell, units, rule
        self.enforcement, self.charge = enforcement, charge
        self._told = told

    async def __call__(self, step: int, present: tuple[str, ...]) -> Split:
        """The split from this step on, for the devices that are there and answer; their shares are in force.

        Raises OutOfDeviceMemory, with both numbers, if the rule finds no division that fits.
        """
        start_s = self.sim.now_s
        server = self.cell.server
        measured = await self.cell.measure(present)
        problem = problem_of(self.units, measured, server.device)
        measured_s = self.sim.now_s
        plan, operations = self._decide(problem)
        if self.charge:
            work = Work(flops=operations, bytes=BYTES_AN_OPERATION * operations)
            async with server.compute("decide widths", work=work):
                pass
        await self.cell.enforce(measured.devices, plan.shares, self.enforcement)
        predicted = fluid.step_s(problem, plan.widths, plan.shares)
        if self._told is not None:
            self._told(
                Decision(
                    step, start_s, measured_s, self.sim.now_s, operations, problem, measured, plan, predicted
                )
            )  # fmt: skip
        return self.units.split(measured.devices, plan)

    def _decide(self, problem: Problem) -> tuple[Plan, int]:
        if self.rule in SEARCHES:
            solution = SEARCHES[self.rule](problem)
            return solution.plan, solution.operations
        return METHODS[self.rule](problem), SIMPLE_OPERATIONS * len(problem.devices) + shares.operations(problem)
