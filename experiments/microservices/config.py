# SPDX-License-Identifier: GPL-2.0-only
"""Configuration of microservices: what all studies share, and the settings of each.

A study is a folder beside this file that has ``run``, ``plot``, ``report``, ``needs``, ``check`` and ``SCORES`` as an
experiment has them, and its settings. Its name is in `Study`, its settings are a field of `Config`, and what it is
started with is a file in recipes/.
"""

import dataclasses
from typing import Literal

from edgelam.errors import ConfigurationError
from edgelam.runs.network import Network

from .deployment.settings import DeploymentSettings
from .migration.settings import MigrationSettings
from .orchestration.settings import OrchestrationSettings
from .paper.settings import PaperSettings
from .serving.settings import ServingSettings

Study = Literal["serving", "deployment", "migration", "orchestration", "paper"]
STREET = Network("nr-urban-micro", devices=("edge0=jetson-orin,memory_bytes=4e9", "edge1=cpu-server,memory_bytes=8e9"))
"""A cell with a server at its site, one behind the core with more memory, and the cloud."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run of microservices. The defaults are the declared recipe."""

    seed: int = 1
    """Root of every random stream: requests, inputs, solvers, network. 1 to 2147483647."""
    network: Network = STREET
    """The network; nodes of the roles edge and cloud run services, and users are of the role ue."""
    study: Study = "serving"
    """What is done. serving: requests are served by services that are placed by each of some methods. deployment:
    learned policies are trained, and compared with solvers on the model and by ns-3. migration: sessions of a language
    model move with their users, when each of some policies says so. paper: the setting of arXiv 2601.19563.
    orchestration: requests of moving users are routed over replicas, by rules and by learned routers."""
    serving: ServingSettings = dataclasses.field(default_factory=ServingSettings)
    """Of the study serving; its settings need no prefix. deployment takes users, requests and seeds from here, and
    paper the number of seeds."""
    deployment: DeploymentSettings = dataclasses.field(default_factory=DeploymentSettings)
    """Of the study deployment."""
    migration: MigrationSettings = dataclasses.field(default_factory=MigrationSettings)
    """Of the study migration."""
    orchestration: OrchestrationSettings = dataclasses.field(default_factory=OrchestrationSettings)
    """Of the study orchestration."""
    paper: PaperSettings = dataclasses.field(default_factory=PaperSettings)
    """Of the study paper."""

    def __post_init__(self) -> None:
        """Refuse what is not legal whatever the machine."""
        seeds = max(getattr(getattr(self, self.study), "num_seeds", self.serving.num_seeds), 1)
        if not 1 <= self.seed <= 2**31 - seeds:
            raise ConfigurationError(f"seed is {self.seed}; with num_seeds it must be from 1 to 2147483647")
