# SPDX-License-Identifier: GPL-2.0-only
"""The network of an experiment as one value: the scenario, its options, and the machine of each node.

An experiment holds a `Network` in its configuration, says what it needs from a scenario (`Needs`), and runs its main
coroutine with `Network.simulate`, which records everything. Its settings are the options --scenario, --options,
--devices, --compute and --traces of the command line, and have these names in config.toml.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import tempfile
import typing
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import tyro

from edgelam.errors import ConfigurationError
from edgelam.runs.configuration import flat
from edgelam.runs.needs import Needs
from edgelam.scenarios import is_path
from edgelam.scenarios.asking import NO_SCENARIO, check_scenario
from edgelam.text import parse_pairs

if TYPE_CHECKING:
    from edgelam.cosim.simulation import Simulation
    from edgelam.runs.folders.folder import RunFolder
    from edgelam.runs.recording import SimulationRecorder

T = TypeVar("T")
Main = Callable[["Simulation"], Coroutine[Any, Any, T]]


@flat
@tyro.conf.configure(tyro.conf.OmitArgPrefixes)
@dataclasses.dataclass(frozen=True)
class Network:
    """The network over which an experiment runs."""

    scenario: str = "nr-urban-micro"
    """The network: an installed scenario (edgelam list), a file .cc or .py of your own (edgelam scenario new), the path
    of a program, or none (every transfer takes no time)."""
    options: tuple[str, ...] = ()
    """Options of the scenario, as NAME=VALUE; '--options' alone lists them. An installed scenario makes as many nodes
    as the experiment needs, unless an option here sets their number."""
    devices: tuple[str, ...] = ()
    """The machine of each node, as PATTERN=PROFILE: phone, jetson-nano, jetson-orin-nano, jetson-orin, cpu-server,
    datacentre-gpu or sensor. PROFILE,NUMBER=VALUE changes numbers of a profile: with
    ue*=phone,battery_j=500,storage_bytes=2e9 phones have a battery of 500 J and a storage of 2 GB. A pattern that
    matches no name is a pattern of roles. A node that matches no pattern gets the profile of its role."""
    compute: Literal["modelled", "measured", "free"] = "modelled"
    """How much simulated time computing takes: by a roofline of the profile, this machine's wall time, or none."""
    traces: tuple[str, ...] = ()
    """Record what happens in the network as tables trace_NAME; a 5G scenario has the traces blocks, csi and packets."""

    def __post_init__(self) -> None:
        """Refuse values that are not legal on any machine."""
        if len(set(self.traces)) < len(self.traces):
            raise ConfigurationError(f"traces are {', '.join(self.traces)}; each may be given once")

    @property
    def is_ideal(self) -> bool:
        """Whether there is no network, so that every transfer takes no time."""
        return self.scenario == NO_SCENARIO

    def ideal(self) -> Network:
        """The same machines without a network."""
        return dataclasses.replace(self, scenario=NO_SCENARIO, options=(), traces=())

    def scenario_options(self, needs: Needs) -> dict[str, str]:
        """`options` as a dict; an installed scenario has as many nodes as are needed unless they say otherwise."""
        given = parse_pairs(self.options, "--options")
        return given if self.is_ideal or is_path(self.scenario) else needs.installed_options | given

    def device_profiles(self) -> dict[str, str]:
        """Return `devices` as a dict from node name pattern to profile name."""
        return parse_pairs(self.devices, "--devices")

    def check(self, needs: Needs, *, start: bool = True) -> None:
        """Refuse what cannot be run, before anything is made.

        Raises ConfigurationError if the scenario or a device profile does not exist, or if the scenario does not take
        an option; with `start`, the scenario is started, and a missing trace or anything missing of `needs` is an
        error.
        """
        from edgelam.runs import traces

        async def look(sim: Simulation) -> None:
            needs.check(sim)
            traces.refuse_unknown(self.traces, sim)

        check_devices(self.device_profiles())
        check_scenario(self.scenario, self.scenario_options(needs))
        if not start:
            return
        with tempfile.TemporaryDirectory(prefix="edgelam-") as folder:  # for what the scenario writes
            self.simulate(look, needs, scenario_folder=folder)

    def simulate(
        self,
        main: Main[T],
        needs: Needs,
        folder: RunFolder | None = None,
        label: str = "",
        *,
        seed: int = 1,
        recorder: SimulationRecorder | None = None,
        **settings: Any,
    ) -> T:
        """Run `main(sim)` over this network and return its result.

        Args:
            main: the main coroutine function, as for `cosim.simulate`.
            needs: what is needed from the scenario; without a scenario, the nodes are those of `needs.ideal_nodes`.
            folder: the run folder that gets the tables of the simulation (edgelam/runs/recording.py), its traces, its
                program for `edgelam replay`, and what the scenario prints (scenario-LABEL.log). None: nothing is kept.
            label: the name of the simulation there; rows of other tables whose column ``method`` has this value belong
                to it.
            seed: of the network, and of `Simulation.rng`.
            recorder: writes the tables, if a `SimulationRecorder` with this label is not enough.
            settings: more arguments of `cosim.simulate`, which override others.

        Raises what `cosim.simulate` raises.
        """
        from edgelam import cosim

        options = self.scenario_options(needs)
        settings = {
            "scenario": None if self.is_ideal else self.scenario,
            "options": options,
            "nodes": needs.ideal_nodes if self.is_ideal else None,
            "seed": seed,
            "devices": self.device_profiles(),
            "compute": self.compute,
        } | settings
        if folder is None:
            return cosim.simulate(main, **settings)

        from edgelam.replay import programs
        from edgelam.runs import traces
        from edgelam.runs.recording import SimulationRecorder

        recording = recorder or SimulationRecorder(folder, label, {"method": label})

        async def recorded(sim: Simulation) -> T:
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(recording.following(sim, options))
                await stack.enter_async_context(traces.recording(sim, self.traces, folder, labels=recording.labels))
                return await main(sim)

        result = cosim.simulate(
            recorded,
            on_transfer=recording.on_transfer,
            on_compute=recording.on_compute,
            program=programs.record(folder, label, self.scenario),
            scenario_log=None if self.is_ideal else folder.path / f"scenario-{_file_name(label)}.log",
            **settings,
        )
        recording.done()
        return result


def network_of(config: Any) -> Network | None:
    """Return the network that a configuration holds; None if it holds none."""
    name = _field(type(config))
    return None if name is None else getattr(config, name)


def with_network(config: T, network: Network) -> T:
    """Return a configuration that holds a network, with another network."""
    changed: T = dataclasses.replace(config, **{str(_field(type(config))): network})  # type: ignore[type-var]
    return changed


def holds_network(kind: type) -> bool:
    """Return whether a configuration's dataclass has a field that is a network."""
    return _field(kind) is not None


def _field(kind: type) -> str | None:
    hints = typing.get_type_hints(kind)
    return next((field.name for field in dataclasses.fields(kind) if hints[field.name] is Network), None)


def check_devices(profiles: Mapping[str, str]) -> None:
    """Refuse unknown device profiles; profiles: node name pattern -> profile, as `devices.profile` takes it."""
    from edgelam.cosim import devices  # imported here: listing experiments needs no devices

    for pattern, text in profiles.items():
        try:
            devices.profile(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"--devices {pattern}={text}: {error}") from None


def _file_name(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-") or "simulation"
