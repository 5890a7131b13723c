# SPDX-License-Identifier: GPL-2.0-only
"""The network and devices of a run, and the changes of a replay."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.runs import experiments
from edgelam.runs.configuration import from_toml
from edgelam.runs.folders.load import Run
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network, holds_network, network_of, with_network
from edgelam.text import parse_pairs


@dataclasses.dataclass(frozen=True)
class Plain:
    """The configuration of a replay of a run whose experiment is not installed, or holds no `Network`."""

    network: Network
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """A configuration that holds a network; experiment: to which it belongs, None for a `Plain` one."""

    config: Any
    experiment: experiments.Experiment | None = None

    @property
    def network(self) -> Network:
        """The network of the run."""
        network = network_of(self.config)
        assert network is not None
        return network

    @property
    def needs(self) -> Needs:
        """What the experiment needs of a scenario."""
        return Needs() if self.experiment is None else self.experiment.needs(self.config)

    @property
    def scenario(self) -> str:
        """The scenario's name or path, or none."""
        return self.network.scenario

    @property
    def scenario_options(self) -> dict[str, str]:
        """The options of the scenario, with those that the experiment itself sets."""
        return self.network.scenario_options(self.needs)

    @property
    def devices(self) -> dict[str, str]:
        """Node name pattern to device profile."""
        return self.network.device_profiles()

    @property
    def compute(self) -> str:
        """modelled, measured or free."""
        return self.network.compute

    @property
    def seed(self) -> int:
        """The seed of the network."""
        return int(self.config.seed)

    def changed(
        self,
        *,
        scenario: str | None,
        options: Mapping[str, Any] | None,
        devices: Mapping[str, str] | None,
        compute: str | None,
        seed: int | None,
    ) -> Settings:
        """Return these settings with the given changes. With another scenario, no options are kept; traces are off."""
        before = self.network
        kept = parse_pairs(before.options, "--options") if scenario in (None, before.scenario) else {}
        changes: dict[str, Any] = {"options": _pairs(kept | dict(options or {})), "traces": ()}
        if devices is not None:
            changes["devices"] = _pairs(devices)
        changes |= {name: value for name, value in {"scenario": scenario, "compute": compute}.items() if value}
        network = dataclasses.replace(before, **changes)
        if network.is_ideal and network.options:
            raise ConfigurationError(f"--options {' '.join(network.options)}: scenario none has no options")
        config = with_network(self.config, network)
        return Settings(config if seed is None else dataclasses.replace(config, seed=seed), self.experiment)

    def differences(self, after: Settings) -> dict[str, list[Any]]:
        """Return what differs: {name: [in the run, in the replay]}."""
        names = ("scenario", "scenario_options", "devices", "compute", "seed")
        pairs = {name: [getattr(self, name), getattr(after, name)] for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def recorded_settings(run: Run) -> Settings:
    """Return the settings of a run: its configuration or, if that holds no network, the settings of its simulations."""
    try:
        experiment = experiments.find(run.manifest["experiment"])
    except ConfigurationError:
        experiment = None
    if experiment is not None and holds_network(experiment.config):
        return Settings(from_toml(run.path / "config.toml", experiment.config), experiment)
    facts = run.manifest["simulations"][0]
    options, devices = _pairs(facts["options"]), _pairs(facts["devices"])
    return Settings(Plain(Network(facts["scenario"], options, devices, facts["compute"]), facts["seed"]))


def _pairs(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in values.items())
