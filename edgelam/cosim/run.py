# SPDX-License-Identifier: GPL-2.0-only
"""Starting a run: `simulate` (a scenario and the main coroutine) and `attach` (a further process of a run)."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgelam import scenarios
from edgelam.cosim import files, launch, patience
from edgelam.cosim.bridge_clock import BridgeClock
from edgelam.cosim.clock import Clock, IdealClock
from edgelam.cosim.core import Core
from edgelam.cosim.devices import DeviceProfile
from edgelam.cosim.observer import NOBODY, Observer
from edgelam.cosim.records import ComputeRecord, TransferRecord
from edgelam.cosim.simulation import Simulation
from edgelam.errors import ConfigurationError, DeadlockError, EdgelamError, ScenarioDied, ScenarioEnded
from edgelam.processes import deferred_interrupt

T = TypeVar("T")
Main = Callable[[Simulation], Coroutine[Any, Any, T]]


def simulate(
    main: Main[T],
    scenario: str | os.PathLike[str] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    nodes: Mapping[str, str] | None = None,
    seed: int = 1,
    participants: int = 1,
    network: str | None = None,
    devices: Mapping[str, str | DeviceProfile] | None = None,
    compute: str = "modelled",
    on_transfer: Callable[[TransferRecord], object] | None = None,
    on_compute: Callable[[ComputeRecord], object] | None = None,
    program: Observer | None = None,
    scenario_log: str | os.PathLike[str] | None = None,
    scenario_folder: str | os.PathLike[str] | None = None,
    attach_timeout_s: float | None = None,
    hold_timeout_s: float | None = None,
    idle_timeout_s: float | None = None,
    arena_bytes: int | None = None,
    address: str | None = None,
) -> T:
    """Run `main(sim)` in simulated time over a scenario and return its result.

    Args:
        main: the main coroutine function; it starts everything else in the run. When it returns, the run has
            ended, and tasks that are left are cancelled.
        scenario: the name of an installed scenario, or the path of a scenario program; None or "none": there is no
            network, transfers take no time, and the nodes are those of `nodes`.
        options: the scenario's own options, for example ``{"numUe": 4}`` (``--help`` of the scenario lists them).
        nodes: without a scenario: node names to roles, ``{"ue0": "ue", "edge0": "edge"}``.
        seed: seed of the scenario and of `Simulation.rng` and `generator`; from 1.
        participants: how many processes take part. This one is participant 0 and starts the scenario; the others
            call `attach` (see `Simulation.environment`). Simulated time starts when all have attached.
        network: "ideal": every transfer takes no time, whatever protocol it asks for; None: as each send says.
        devices: node name patterns to device profiles, ``{"ue*": "jetson-orin", "edge*": "cpu-server"}``; the first
            that matches counts. A pattern that matches no name is a pattern of roles. Nodes without a match have the
            profile of their role: ue "phone", edge "cpu-server", cloud "datacentre-gpu", others "cpu-server".
        compute: how long computing takes: "modelled" (deterministic), "measured" (wall time) or "free".
        on_transfer: called with the `TransferRecord` of every transfer of this participant, as it ends.
        on_compute: called with every `ComputeRecord`.
        program: an `Observer`, for example one that records what the tasks do, for a replay (docs/replay.md).
        scenario_log: file for what the scenario writes; otherwise only its last lines are kept, for errors.
        scenario_folder: the folder in which the scenario works, made if it does not exist. Files that it writes with
            relative names (pcap, FlowMonitor, NetAnim) are put there. Files that it reads and that are not there are
            looked for in the current folder. None: in a run of an experiment, a folder ``scenario`` of the run folder;
            otherwise the current folder.
        attach_timeout_s: how long (wall time) the scenario may take to build its network, and then the participants
            to attach; None: no limit for the scenario (stderr says so if it takes long), 60 s for the participants.
        hold_timeout_s: how long (wall time) another participant may hold the clock while this one waits, before a
            StalledError names it and what its program does; None: there is no limit (stderr says so).
        idle_timeout_s: how long (wall time) the participants that hold the clock may use no processor, neither they
            nor what they have started, before a StalledError names them; stderr says after 10 s who holds. 0: never;
            None: there is no check.
        arena_bytes: shared memory for the arrays of each process; a page takes memory when it is first used. Default
            1 GiB.
        address: where the processes meet (default: $EDGELAM_ADDRESS, otherwise a random one).

    Raises:
        ConfigurationError: a value is not legal, or the scenario does not accept it.
        DeadlockError, ScenarioDied, ParticipantDied, ...: see `edgelam.errors`.
        Whatever `main`, or a task that nobody awaited, raises.
    """
    settings: dict[str, Any] = {
        "seed": _check_seed(seed),
        "network": network,
        "devices": devices,
        "compute": compute,
        "on_transfer": on_transfer,
        "on_compute": on_compute,
        "program": program,
    }
    asked: dict[str, Any] = {
        "scenario": "none" if scenario is None else os.fspath(scenario),
        "options": dict(options or {}),
        "seed": seed,
        "network": network,
        "devices": {p: d if isinstance(d, str) else dataclasses.asdict(d) for p, d in (devices or {}).items()},
        "compute": compute,
    }
    observer = program or NOBODY
    if scenario is None or scenario == "none":
        observer.asked(**asked)
        return _simulate_ideal(main, nodes, options, participants, settings)
    if nodes is not None:
        raise ConfigurationError("nodes are given by the scenario; give them yourself only without one")
    if not isinstance(participants, int) or not 1 <= participants <= 200:
        raise ConfigurationError(f"participants = {participants!r}; legal is a whole number from 1 to 200")
    if attach_timeout_s is not None and not attach_timeout_s > 0:
        raise ConfigurationError(f"attach_timeout_s = {attach_timeout_s!r} must be positive")
    if hold_timeout_s is not None and not hold_timeout_s > 0:
        raise ConfigurationError(f"hold_timeout_s = {hold_timeout_s!r} must be positive")
    if idle_timeout_s is not None and not idle_timeout_s >= 0:
        raise ConfigurationError(f"idle_timeout_s = {idle_timeout_s!r} must not be negative")
    address = address or os.environ.get("EDGELAM_ADDRESS") or launch.random_address()
    bridge: dict[str, Any] = {"participants": participants}
    if attach_timeout_s is not None:
        bridge["attach-timeout"] = attach_timeout_s
    if arena_bytes is not None:
        bridge["arena-bytes"] = arena_bytes
    binary = scenarios.find(scenario)
    observer.asked(**asked)
    command = launch.command_line(binary, seed, options or {}, bridge)
    folder = files.working_folder(scenario_folder)
    process: launch.ScenarioProcess | None = None
    try:
        with deferred_interrupt():
            variables = {
                **files.variables(folder), launch.ADDRESS_VARIABLE: address, launch.STARTER_VARIABLE: str(os.getpid())
            }  # fmt: skip
            process = launch.ScenarioProcess(
                Path(binary[-1]).name, command, scenario_log, folder=folder, variables=variables
            )
        clock = BridgeClock(
            address,
            0,
            name="main",
            timeout_s=attach_timeout_s,
            process=process,
            hold_timeout_s=hold_timeout_s,
            idle_timeout_s=idle_timeout_s,
        )
        try:
            result = _run(main, clock, **settings, environment={"EDGELAM_ADDRESS": address})
        except (ScenarioEnded, DeadlockError):  # it has ended by itself, and writes its files
            _wait_for_end(process, participants)
            raise
        _await_end(process, participants, clock.now_ns)
        return result
    finally:
        if process is not None:
            with deferred_interrupt():
                if participants > 1:
                    process.wait(1.0)  # it tells the other participants which one has died, and ends
                process.stop()
        files.leave_folder(folder)


def attach(
    main: Main[T],
    *,
    participant: int | None = None,
    address: str | None = None,
    seed: int | None = None,
    network: str | None = None,
    devices: Mapping[str, str | DeviceProfile] | None = None,
    compute: str = "modelled",
    on_transfer: Callable[[TransferRecord], object] | None = None,
    on_compute: Callable[[ComputeRecord], object] | None = None,
    attach_timeout_s: float = 60.0,
    name: str = "",
) -> T:
    """Take part, as a further process, in the run that participant 0 has started (or is about to start).

    `participant`, `address` and `seed` come from the environment that `Simulation.environment` gives, unless they are
    given here. The other arguments are those of `simulate`; errors call this participant `name`. Returns the result of
    `main`.
    """
    address = address or os.environ.get("EDGELAM_ADDRESS")
    index = os.environ.get("EDGELAM_PARTICIPANT") if participant is None else str(participant)
    if not address or index is None:
        raise ConfigurationError(
            "attach needs the address of the run and this process's participant number: give them, or set "
            "EDGELAM_ADDRESS and EDGELAM_PARTICIPANT (Simulation.environment has them)"
        )
    if not index.isdecimal():
        raise ConfigurationError(f"participant = {index!r}; legal is a whole number from 0")
    if seed is None:
        seed = int(os.environ.get("EDGELAM_SEED", "1"))
    clock = BridgeClock(address, int(index), name=name, timeout_s=attach_timeout_s)
    return _run(
        main,
        clock,
        seed=_check_seed(seed),
        network=network,
        devices=devices,
        compute=compute,
        on_transfer=on_transfer,
        on_compute=on_compute,
        environment={"EDGELAM_ADDRESS": address},
    )


def _simulate_ideal(
    main: Main[T],
    nodes: Mapping[str, str] | None,
    options: Mapping[str, Any] | None,
    participants: int,
    settings: dict[str, Any],
) -> T:
    if options:
        raise ConfigurationError(f"without a scenario there are no options, but got: {', '.join(options)}")
    if participants != 1:
        raise ConfigurationError(f"participants = {participants!r}: several participants need a scenario")
    return _run(main, IdealClock(dict(nodes or {})), **settings)


def _run(main: Main[T], clock: Clock, *, seed: int, environment: Mapping[str, str] | None = None, **settings: Any) -> T:
    """Run `main` on `clock`; detach if all is well, otherwise close, so that the others see it."""
    try:
        core = Core(clock, **settings)
        try:
            coroutine = main(Simulation(core, seed=seed, environment=environment))
            if not inspect.iscoroutine(coroutine):
                raise ConfigurationError(f"main must be a coroutine function (async def), not {main!r}")
            result = core.loop.run(coroutine)
            core.observer.ended()
        except DeadlockError as error:
            raise error from core.loop.tasks.first_error()
        except BaseExceptionGroup as group:
            raise _single(group) from group
        except KeyboardInterrupt as interrupt:
            if isinstance(clock, BridgeClock):
                clock.explain_interrupt(interrupt)
            raise
        finally:
            with deferred_interrupt():
                core.loop.close()
        clock.detach()
        return result
    finally:
        with deferred_interrupt():
            clock.close()


def _single(group: BaseExceptionGroup[Any]) -> BaseException:
    """Return the one error of this package in a task group's error, or the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, EdgelamError) else group


def _await_end(process: launch.ScenarioProcess, participants: int, now_ns: int) -> None:
    """Wait until the other participants have left, too, and the scenario has written its files and ended."""
    status = _wait_for_end(process, participants)
    if status != 0:
        raise ScenarioDied(
            f"scenario {process.name} did not end well after participant 0 had left at simulated time "
            f"{now_ns / 1e9:.9f} s: {process.describe(status)}",
            exit_status=status,
            last_lines=process.last_lines(),
            time_s=now_ns / 1e9,
        )


def _wait_for_end(process: launch.ScenarioProcess, participants: int) -> int | None:
    with patience.told(lambda waited_s: patience.tell_of_a_long_end(process, waited_s, participants)):
        return process.wait()


def _check_seed(seed: int) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 1 <= seed < 2**31:
        raise ConfigurationError(f"seed = {seed!r}; legal is a whole number from 1 to {2**31 - 1}")
    return seed
