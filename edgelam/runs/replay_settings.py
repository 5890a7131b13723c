# SPDX-License-Identifier: GPL-2.0-only
"""What a run's network and devices were, and what a replay makes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.runs import experiments
from edgelam.runs.configuration import from_toml, parse_pairs
from edgelam.runs.folders.load import Run


@dataclasses.dataclass(frozen=True)
class Plain:
    """The configuration of a replay of a run whose experiment is not installed, or has settings of its own."""

    scenario: str
    options: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    compute: str = "modelled"
    seed: int = 1

    def scenario_options(self) -> dict[str, str]:
        """`options` as a dict."""
        return parse_pairs(self.options, "--options")

    def device_profiles(self) -> dict[str, str]:
        """`devices` as a dict."""
        return parse_pairs(self.devices, "--devices")


@dataclasses.dataclass(frozen=True)
class Settings:
    """A configuration that says what the network, its options, the devices and the seed are."""

    config: Any

    @property
    def scenario(self) -> str:
        """The scenario's name or path, or none."""
        return str(self.config.scenario)

    @property
    def scenario_options(self) -> dict[str, str]:
        """Its options, with those that the experiment gives by itself."""
        return {} if self.scenario == experiments.NO_SCENARIO else dict(self.config.scenario_options())

    @property
    def devices(self) -> dict[str, str]:
        """Node name pattern to device profile."""
        return dict(self.config.device_profiles())

    @property
    def compute(self) -> str:
        """modelled, measured or free."""
        return str(self.config.compute)

    @property
    def seed(self) -> int:
        """Of the network."""
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
        """As this, but for what is given. Options of another scenario do not stay."""
        changes: dict[str, Any] = {}
        kept: dict[str, Any] = {}
        if scenario is None or scenario == self.scenario:
            kept = parse_pairs(self.config.options, "--options")
        changes["options"] = _pairs(kept | dict(options or {}))
        if devices is not None:
            changes["devices"] = _pairs(devices)
        given = {"scenario": scenario, "compute": compute, "seed": seed}
        changes |= {name: value for name, value in given.items() if value is not None}
        if hasattr(self.config, "traces"):
            changes["traces"] = ()  # a replay records none
        after = Settings(dataclasses.replace(self.config, **changes))
        if after.scenario == experiments.NO_SCENARIO and after.config.options:
            raise ConfigurationError(f"--options {' '.join(after.config.options)}: scenario none has no options")
        return after

    def differences(self, after: Settings) -> dict[str, list[Any]]:
        """What differs: {name: [in the run, in the replay]}."""
        names = ("scenario", "scenario_options", "devices", "compute", "seed")
        pairs = {name: [getattr(self, name), getattr(after, name)] for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def settings_of(run: Run) -> Settings:
    """Those of a run: of its experiment's configuration, or, where that cannot say, of its simulations."""
    try:
        kind = experiments.find(run.manifest["experiment"]).config
    except ConfigurationError:
        kind = Plain
    wanted = {"scenario", "options", "devices", "compute", "seed"}
    names = {field.name for field in dataclasses.fields(kind)}
    if kind is not Plain and wanted <= names and hasattr(kind, "scenario_options"):
        return Settings(from_toml(run.path / "config.toml", kind))
    facts = run.manifest["simulations"][0]
    options, devices = _pairs(facts["options"]), _pairs(facts["devices"])
    return Settings(Plain(facts["scenario"], options, devices, facts["compute"], facts["seed"]))


def _pairs(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in values.items())
