# SPDX-License-Identifier: GPL-2.0-only
"""Robust adversarial reinforcement learning of a router (RARL, Pinto et al., arXiv 1703.02702).

A protagonist routes calls. An adversary shifts demand and places of users inside a box whose size is the radius; its
reward is minus the protagonist's. They learn in turn. With several adversaries (arXiv 2008.01825), each has an equal
share of the copies of the model. With radius 0 the box is a point, and the protagonist learns exactly what it learns
without adversaries. At first, it goes where a call is expected to end first (PropAvg's rule); it learns what to add.

The box, for radius r: the rate of each flow is 1 - r to 1 + r times its own (0.05 times at least), and places are drawn
with weights from exp(-3 r) to exp(3 r).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from edgelam.agents import ppo
from edgelam.errors import ConfigurationError
from edgelam.inference.routing_model import CONTEXT, EXPECTED, ROWS, WORST, Model, Shift, Tables, View
from edgelam.random_streams import derive_seed, from_numbers, torch_generator, torch_seeded

ATTRACTION, LEAST_DEMAND = 3.0, 0.05


@dataclasses.dataclass(frozen=True)
class Training:
    """How a router learns. Each iteration is a rollout of `copies` times `steps` calls, and an update by it."""

    iterations: int = 60
    copies: int = 64
    steps: int = 64
    radius: float = 0.0
    """Size of the box, 0 to 1."""
    adversaries: int = 0
    """How many there are; 0: nominal training."""
    period: int = 32
    """Calls for which a shift stays."""
    periods: int = 8
    """Shifts of each copy in an adversary's rollout."""
    router: ppo.Settings = dataclasses.field(default_factory=ppo.Settings)
    adversary: ppo.Settings = dataclasses.field(default_factory=lambda: ppo.Settings(gamma=0.9))
    evaluations: int = 10
    """How often the learning curve is measured."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        if not 0 <= self.radius <= 1:
            raise ConfigurationError(f"radius is {self.radius!r}; legal is 0 to 1")
        if self.radius > 0 and not self.adversaries:
            raise ConfigurationError("a radius above 0 needs at least one adversary")
        for name in ("iterations", "copies", "steps", "period", "periods", "evaluations"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; it must be at least 1")
        if not 0 <= self.adversaries <= self.copies:
            raise ConfigurationError(f"adversaries are {self.adversaries!r}; legal is 0 to copies, {self.copies}")


@dataclasses.dataclass(frozen=True)
class Demand:
    """How users behave, beside the rates of the problem."""

    moves_per_s: float
    report_every_s: float


@dataclasses.dataclass(frozen=True)
class Trained:
    """What was learned."""

    policy: ppo.NodePolicy
    curve: list[dict[str, float]]
    """Rows: iteration, calls, updates, cost (mean of delay over deadline, at most `WORST`, most likely actions, nominal
    demand), on_time."""
    adversary_calls: int
    """Calls that adversaries have learned from, beside those of the curve."""


def tensors(view: View) -> list[Tensor]:
    """Return a view as a policy takes it."""
    return [torch.from_numpy(each) for each in (view.rows, view.context, view.legal)]


def costs(tables: Tables, delays: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return the cost of each copy's step, [E]; 0: no request was complete."""
    return np.nan_to_num(np.minimum(delays / tables.deadline[flow], WORST), nan=0.0)


def shift_of(actions: np.ndarray, radius: float, num_flows: int) -> Shift:
    """Return the shift that actions [E, F + P] mean; what is outside [-1, 1] is cut off."""
    inside = radius * np.clip(actions, -1, 1)
    return Shift(np.maximum(1 + inside[:, :num_flows], LEAST_DEMAND), ATTRACTION * inside[:, num_flows:])


class Adversary:
    """Sees the backlog of each node, the share of users at each place, and the router's estimate of demand."""

    def __init__(self, tables: Tables, number: int, seed: int, settings: ppo.Settings) -> None:
        """number: of the adversary, for its random streams."""
        places, flows = len(tables.places.up_latency_s), len(tables.rates)
        with torch_seeded(derive_seed(seed, f"weights of adversary {number}") % 2**63):
            self.policy = ppo.BoxPolicy(len(tables.problem.nodes) + places + 1, flows + places)
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=settings.learning_rate)
        self.generator = torch_generator(derive_seed(seed, f"actions of adversary {number}"))
        self.batches = torch_generator(derive_seed(seed, f"minibatches of adversary {number}"))


def seen_by_adversary(model: Model) -> Tensor:
    """Return float32 [E, N + P + 1]."""
    view, places = model.view(), np.arange(len(model.tables.places.up_latency_s))
    share = (model.place[:, :, None] == places).mean(axis=1)
    both = np.concatenate([view.rows[:, :, ROWS.index("backlog")], share, view.context[:, -1:]], axis=1)
    return torch.from_numpy(both.astype(np.float32))


class _Game:
    """One training."""

    def __init__(self, tables: Tables, demand: Demand, training: Training, seed: int) -> None:
        self.tables, self.demand, self.training, self.seed = tables, demand, training, seed
        with torch_seeded(derive_seed(seed, "weights of the router") % 2**63):
            self.policy = ppo.NodePolicy(len(ROWS), len(CONTEXT), prior=EXPECTED)
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=training.router.learning_rate)
        self.actions, self.batches, self.other = (
            torch_generator(derive_seed(seed, name))
            for name in ("actions of the router", "minibatches of the router", "actions against adversaries")
        )
        self.model = self._model("demand of the router")
        self.against = self._model("demand of the adversaries")
        self.adversaries = [Adversary(tables, i, seed, training.adversary) for i in range(training.adversaries)]
        self.mine = [np.arange(i, training.copies, training.adversaries) for i in range(training.adversaries)]

    def _model(self, name: str, copies: int = 0) -> Model:
        rng = from_numbers(derive_seed(self.seed, name))
        return Model(
            self.tables, rng, copies=copies or self.training.copies, moves_per_s=self.demand.moves_per_s,
            report_every_s=self.demand.report_every_s,
        )  # fmt: skip

    def shifted(self, model: Model) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Have each adversary shift its copies; return what each saw, did, its log-probabilities and values."""
        seen, told = seen_by_adversary(model), []
        actions = np.zeros((model.copies, len(self.tables.rates) + len(self.tables.places.up_latency_s)))
        for adversary, mine in zip(self.adversaries, self.mine, strict=True):
            with torch.no_grad():
                action, log_probability, value = adversary.policy.act([seen[mine]], adversary.generator)
            actions[mine] = action.numpy()
            told.append((seen[mine], action, log_probability, value))
        model.shift = shift_of(actions, self.training.radius, len(self.tables.rates))
        return told

    def improve_router(self) -> int:
        """A rollout of the router, and an update."""
        model, training, steps = self.model, self.training, []
        for step in range(training.steps):
            if self.adversaries and step % training.period == 0:
                self.shifted(model)
            seen = tensors(model.view())
            with torch.no_grad():
                action, log_probability, value = self.policy.act(seen, self.actions)
            reward = -costs(self.tables, *model.step(action.numpy()))
            steps.append((*seen, action, log_probability, value, torch.from_numpy(reward).float()))
        *seen, actions, log_probabilities, values, rewards = map(torch.stack, zip(*steps, strict=True))
        with torch.no_grad():
            last = self.policy.both(tensors(model.view()))[1]
        rollout = ppo.Rollout(seen, actions, log_probabilities, values, rewards, last)
        return ppo.update(self.policy, self.optimiser, rollout, training.router, self.batches)

    def improve_adversaries(self) -> int:
        """A rollout against the router as it is, and an update of each adversary; return the calls of the rollout."""
        model, training = self.against, self.training
        told, rewards = [], []
        for _ in range(training.periods):
            told.append(self.shifted(model))
            total = np.zeros(model.copies)
            for _ in range(training.period):
                with torch.no_grad():
                    action, _, _ = self.policy.act(tensors(model.view()), self.other)
                total += costs(self.tables, *model.step(action.numpy()))
            rewards.append(torch.from_numpy(total / training.period).float())
        after = seen_by_adversary(model)
        for i, (adversary, mine) in enumerate(zip(self.adversaries, self.mine, strict=True)):
            seen, actions, log_probabilities, values = map(torch.stack, zip(*(each[i] for each in told), strict=True))
            with torch.no_grad():
                last = adversary.policy.both([after[mine]])[1]
            reward = torch.stack(rewards)[:, mine]
            rollout = ppo.Rollout([seen], actions, log_probabilities, values, reward, last)
            ppo.update(adversary.policy, adversary.optimiser, rollout, training.adversary, adversary.batches)
        return training.periods * training.period * model.copies

    def evaluated(self) -> dict[str, float]:
        """Measure the router without shifts, always over the same draws."""
        return evaluate(self.tables, self.demand, self.policy, derive_seed(self.seed, "demand of evaluations"))


def evaluate(
    tables: Tables, demand: Demand, policy: ppo.NodePolicy, seed: int, *, copies: int = 32, calls: int = 150,
    shift: Shift | None = None,
) -> dict[str, float]:  # fmt: skip
    """Return cost and on_time of a policy's most likely actions in the model, over all requests of a run."""
    model = Model(
        tables, from_numbers(seed), copies=copies, moves_per_s=demand.moves_per_s, report_every_s=demand.report_every_s,
        shift=shift,
    )  # fmt: skip
    cost, on_time, count = 0.0, 0, 0
    for _ in range(calls):
        with torch.no_grad():
            action = policy.logits(*tensors(model.view())).argmax(dim=1)
        delays, flow = model.step(action.numpy())
        complete = ~np.isnan(delays)
        cost += float(costs(tables, delays, flow).sum())
        on_time += int((delays[complete] <= tables.deadline[flow][complete]).sum())
        count += int(complete.sum())
    return {"cost": cost / count if count else math.nan, "on_time": on_time / count if count else math.nan}


def train(tables: Tables, demand: Demand, training: Training, seed: int) -> Trained:
    """Train a router; seed: of all its streams, the same for every radius and number of adversaries."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors are small, and the same bits come whatever the machine
    try:
        game = _Game(tables, demand, training, seed)
        marks = {round((i + 1) * training.iterations / training.evaluations) for i in range(training.evaluations)}
        curve = [{"iteration": 0, "calls": 0, "updates": 0} | game.evaluated()]
        updates = against = 0
        for iteration in range(1, training.iterations + 1):
            updates += game.improve_router()
            if game.adversaries:
                against += game.improve_adversaries()
            if iteration in marks:
                calls = iteration * training.copies * training.steps
                row = {"iteration": iteration, "calls": calls, "updates": updates}
                curve.append(row | game.evaluated())
        return Trained(game.policy, curve, against)
    finally:
        torch.set_num_threads(threads)
