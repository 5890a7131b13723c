# SPDX-License-Identifier: GPL-2.0-only
"""Gymnasium environments over the Problem of `edgelam.inference`: others' agents can try what ours do.

Importing this package registers them: ``gymnasium.make("edgelam/Deployment-v0")``. Start with docs/gym.md.
"""

try:
    import gymnasium
except ImportError as error:
    from edgelam.errors import ConfigurationError

    raise ConfigurationError(
        "edgelam.gym needs the package gymnasium, which is not installed: pip install 'edgelam[gym]'"
    ) from error

from edgelam.gym.deployment import DeploymentEnv
from edgelam.gym.migration import MigrationEnv
from edgelam.gym.node_choice import NodeChoice, Observation
from edgelam.gym.offloading import OffloadingEnv
from edgelam.gym.routing import RoutingEnv

__all__ = ["DeploymentEnv", "MigrationEnv", "NodeChoice", "Observation", "OffloadingEnv", "RoutingEnv"]

gymnasium.register("edgelam/Deployment-v0", entry_point="edgelam.gym.deployment:DeploymentEnv")
gymnasium.register("edgelam/Migration-v0", entry_point="edgelam.gym.migration:MigrationEnv")
gymnasium.register("edgelam/Routing-v0", entry_point="edgelam.gym.routing:RoutingEnv")
gymnasium.register("edgelam/Offloading-v0", entry_point="edgelam.gym.offloading:OffloadingEnv")
