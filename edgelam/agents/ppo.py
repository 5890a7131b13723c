# SPDX-License-Identifier: GPL-2.0-only
"""Proximal policy optimisation (Schulman et al., arXiv 1707.06347) for two kinds of decisions: a node, and a box.

Advantages are estimated by GAE (arXiv 1506.02438) in a task that goes on: what comes after a rollout counts as the
value that the critic gives it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgelam.errors import ConfigurationError

HIDDEN = 32
SHARPNESS = 8.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a policy is updated. The defaults are usual ones."""

    learning_rate: float = 1e-3
    gamma: float = 0.99
    """Discount of a step."""
    trace: float = 0.95
    """Lambda of GAE."""
    clip: float = 0.2
    epochs: int = 2
    minibatches: int = 4
    entropy: float = 0.01
    """Weight of the entropy."""
    value: float = 0.5
    """Weight of the critic's loss."""
    most_norm: float = 0.5
    """Bound on the norm of the gradient."""

    def __post_init__(self) -> None:
        """Refuse what is not legal."""
        for name, most in (("learning_rate", math.inf), ("gamma", 1), ("trace", 1), ("clip", 1)):
            if not 0 < getattr(self, name) <= most:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; it must be above 0 and at most {most}")
        for name in ("epochs", "minibatches"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} are {getattr(self, name)!r}; there must be at least one")


class NodePolicy(nn.Module):
    """Chooses one of the nodes that may be chosen; it treats all nodes alike, so their number may vary.

    Its input is (rows float32 [B, N, R], context float32 [B, K], legal bool [B, N]).
    """

    def __init__(self, num_rows: int, num_context: int, prior: Sequence[int] = ()) -> None:
        """Make the weights.

        num_rows: columns of a node's row; num_context: columns of what is the same for all nodes; prior: columns of a
        row whose sum is a cost. At first, the logits are minus `SHARPNESS` times that cost; what is learned is added.
        """
        super().__init__()
        self.prior = list(prior)
        self.node = nn.Linear(num_rows + num_context, HIDDEN)
        self.joint = nn.Linear(2 * HIDDEN, HIDDEN)
        self.score = nn.Linear(HIDDEN, 1)
        if prior:
            nn.init.zeros_(self.score.weight)
            nn.init.zeros_(self.score.bias)
        self.critic = nn.Sequential(nn.Linear(HIDDEN + num_context, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))

    def _features(self, rows: Tensor, context: Tensor, legal: Tensor) -> tuple[Tensor, Tensor]:
        each = torch.cat([rows, context[:, None].expand(-1, rows.shape[1], -1)], dim=2)
        each = torch.tanh(self.node(each))
        share = legal.float() / legal.float().sum(dim=1, keepdim=True)
        return each, (each * share[..., None]).sum(dim=1)

    def logits(self, rows: Tensor, context: Tensor, legal: Tensor) -> Tensor:
        """Return [B, N]; minus infinity where a node may not be chosen."""
        return self._scores(rows, *self._features(rows, context, legal), legal)

    def _scores(self, rows: Tensor, each: Tensor, mean: Tensor, legal: Tensor) -> Tensor:
        joint = torch.cat([each, mean[:, None].expand_as(each)], dim=2)
        learned: Tensor = self.score(torch.tanh(self.joint(joint)))[..., 0]
        return (learned - SHARPNESS * rows[..., self.prior].sum(dim=2)).masked_fill(~legal, -math.inf)

    def both(self, observation: Sequence[Tensor]) -> tuple[torch.distributions.Distribution, Tensor]:
        """Return the distribution of actions and the value [B]."""
        rows, context, legal = observation
        each, mean = self._features(rows, context, legal)
        value = self.critic(torch.cat([mean, context], dim=1))[:, 0]
        return torch.distributions.Categorical(logits=self._scores(rows, each, mean, legal)), value

    def act(self, observation: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw actions; return them, their log-probabilities, and the values, all [B]."""
        distribution, value = self.both(observation)
        probabilities = distribution.probs  # type: ignore[attr-defined]
        action = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
        return action, distribution.log_prob(action), value

    def operations(self, nodes: int) -> int:
        """Return the floating-point operations of the logits of one decision: those of its linear layers.

        A multiplication and an addition are two. The tanh and the softmax are not counted.
        """
        layers = (self.node, self.joint, self.score)
        return sum(2 * nodes * layer.in_features * layer.out_features for layer in layers)


class BoxPolicy(nn.Module):
    """Chooses a point of [-1, 1]^A: a normal distribution whose draws are cut off there.

    Its input is (float32 [B, K],). Log-probabilities are those of the draw before it is cut off, as usual with PPO.
    """

    def __init__(self, num_in: int, num_out: int) -> None:
        """num_in: K; num_out: A."""
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(num_in, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, num_out), nn.Tanh())
        self.critic = nn.Sequential(nn.Linear(num_in, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
        self.log_deviation = nn.Parameter(torch.full((num_out,), -0.5))

    def both(self, observation: Sequence[Tensor]) -> tuple[torch.distributions.Distribution, Tensor]:
        """Return the distribution of actions and the value [B]."""
        (seen,) = observation
        normal = torch.distributions.Normal(self.actor(seen), self.log_deviation.exp())
        return torch.distributions.Independent(normal, 1), self.critic(seen)[:, 0]

    def act(self, observation: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw actions [B, A]; return them, their log-probabilities and the values [B]."""
        distribution, value = self.both(observation)
        mean = distribution.mean
        action = mean + distribution.stddev * torch.randn(mean.shape, generator=generator)
        return action, distribution.log_prob(action), value


Policy = NodePolicy | BoxPolicy


@dataclasses.dataclass(frozen=True)
class Rollout:
    """T steps of E copies of a task. Observations are lists of tensors [T, E, ...]; the others are [T, E]."""

    observations: list[Tensor]
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    rewards: Tensor
    last_value: Tensor
    """Of what comes after the rollout, [E]."""


def advantages(rollout: Rollout, settings: Settings) -> tuple[Tensor, Tensor]:
    """Return GAE's advantages and the returns that the critic is to learn, both [T, E]."""
    found = torch.zeros_like(rollout.rewards)
    following, sum_ = rollout.last_value, torch.zeros_like(rollout.last_value)
    for t in range(len(rollout.rewards) - 1, -1, -1):
        error = rollout.rewards[t] + settings.gamma * following - rollout.values[t]
        sum_ = error + settings.gamma * settings.trace * sum_
        found[t], following = sum_, rollout.values[t]
    return found, found + rollout.values


def update(
    policy: Policy, optimiser: torch.optim.Optimizer, rollout: Rollout, settings: Settings, generator: torch.Generator
) -> int:  # fmt: skip
    """Improve a policy by a rollout; return the number of gradient steps. generator: of the minibatches."""
    advantage, target = (each.flatten() for each in advantages(rollout, settings))
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    seen = [each.flatten(0, 1) for each in rollout.observations]
    actions, before = rollout.actions.flatten(0, 1), rollout.log_probabilities.flatten()
    steps = 0
    for _ in range(settings.epochs):
        for chosen in torch.randperm(len(advantage), generator=generator).chunk(settings.minibatches):
            distribution, value = policy.both([each[chosen] for each in seen])
            ratio = (distribution.log_prob(actions[chosen]) - before[chosen]).exp()
            bounded = ratio.clamp(1 - settings.clip, 1 + settings.clip)
            gain = torch.minimum(ratio * advantage[chosen], bounded * advantage[chosen]).mean()
            error = (value - target[chosen]).square().mean()
            loss = settings.value * error - gain - settings.entropy * distribution.entropy().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), settings.most_norm)
            optimiser.step()
            steps += 1
    return steps
