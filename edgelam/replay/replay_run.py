# SPDX-License-Identifier: GPL-2.0-only
"""Replays a run over another network: it sends and computes the same again, without learning anything again.

``replay(run, scenario="wired-star", options={"rate": "20Mbps"})`` writes a new run folder with the tables of the run:
transfers and computations have their new times, and so has every row whose times came from the simulation (metrics,
rounds, ...). PyTorch is not imported. A replay is exact, or it is refused (`NotReplayable`): docs/replay.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgelam import scenarios
from edgelam.cosim.run import simulate
from edgelam.cosim.simulation import Simulation
from edgelam.errors import ConfigurationError, NotReplayable
from edgelam.host import shell_line
from edgelam.output.progress import Progress
from edgelam.replay import programs
from edgelam.replay import tables as replayed_tables
from edgelam.replay.player import ProgramPlayer
from edgelam.replay.settings import Settings, recorded_settings
from edgelam.runs import experiments
from edgelam.runs.configuration.options import own_texts
from edgelam.runs.experiments import NO_SCENARIO
from edgelam.runs.folders.folder import RunFolder
from edgelam.runs.folders.load import Run, load_run
from edgelam.runs.recording import SimulationRecorder, recorded_names
from edgelam.scenarios import trust as whose

TORCHRUN = "torchrun"
"""What a run of ranks of torch.distributed is called in the place of an experiment."""


def replay(
    run: str | Path | Run,
    *,
    scenario: str | None = None,
    options: Mapping[str, Any] | None = None,
    devices: Mapping[str, str] | None = None,
    compute: str | None = None,
    seed: int | None = None,
    any_order: bool = False,
    trust: Sequence[str] = (),
    out: str | Path = "runs",
    progress: Progress | None = None,
) -> Run:
    """Replay `run` (a run folder, or a loaded run) and return the new run. Arguments that are None stay as in the run.

    Args:
        run: a run that is completed and whose programs were recorded (experiments do).
        scenario: another network: an installed scenario, a path, or "none".
        options: options of the scenario, added to the run's if the scenario stays, otherwise to those that the
            experiment itself gives (numUe).
        devices: node name pattern to device profile, instead of the run's.
        compute: "modelled" or "free".
        seed: of the network only; what was learned stays that of the run.
        any_order: compute blocks of different tasks on one node may change their order: they share no state.
        trust: scenario files that may run although only the run folder names them; for others, the user is asked on a
            terminal, and they are refused without one.
        out: the folder that holds all runs.
        progress: where to show it; None: nowhere.

    Raises:
        NotReplayable: what the run does depends on time, or would have differed over this network; the text says why.
        ConfigurationError: a value that is not legal. StorageError: not a run folder.
    """
    original = run if isinstance(run, Run) else load_run(run)
    simulations = _check_run(original)
    with whose.scope():
        before = recorded_settings(original)
        named = [before.scenario, *(str(facts["scenario"]) for facts in simulations)]
        own = [*trust, *_own_texts(original.manifest["experiment"]), *([] if scenario is None else [scenario])]
        whose.named_by(original.path, named, own)
        after = before.changed(scenario=scenario, options=options, devices=devices, compute=compute, seed=seed)
        _check_settings(after, simulations)
        differs = before.differences(after) | _changed_scenario(after, simulations)
        operations, rows = programs.read(original.path)
        progress = progress or _Nowhere()
        manifest = original.manifest
        recipe = manifest.get("recipe")
        folder = RunFolder.create(
            manifest["experiment"], after.config, seed=after.seed, out=Path(out), recipe=recipe, learning=False
        )
        with folder:
            progress.say(f"run folder: {folder.path}")
            kept = {name: value for name, value in manifest.items() if name not in (*folder.manifest, "simulations")}
            folder.note(
                **kept,
                replay={
                    "of": str(original.path.resolve()),
                    "differs": differs,
                    "any_order": any_order,
                    "seed_of_what_was_learned": before.seed,  # config.toml has that of the network, perhaps another
                },
            )
            names = recorded_names(original)
            ledgers: dict[str, list[dict[str, Any]]] = {}
            players: dict[int, ProgramPlayer] = {}
            for number, facts in enumerate(simulations):
                player = ProgramPlayer(operations[number], any_order=any_order)
                settings = _settings(facts, player, before, after, manifest)
                label = facts["label"]
                progress.begin(f"{label} over {settings['scenario'] or 'no network'}", player.sends, "transfers")
                recorder = _Recorder(folder, *names.get(number, (label, {})))
                for node in replayed_tables.ledger_nodes(original, recorder.name):
                    recorder.ledger.note(node)
                _play(player, settings, folder.path / f"scenario-{number}.log", progress, recorder)
                recorder.done()
                players[number] = player
                ledgers[recorder.name] = recorder.devices
            replayed_tables.write(original, folder, rows, players, ledgers)
        return Run(folder.path)


def _own_texts(experiment: str) -> list[str]:
    """Return the texts in an experiment's recipes; nothing if it is not installed."""
    try:
        return own_texts(experiments.find(experiment))
    except ConfigurationError:
        return []


def _check_run(run: Run) -> list[dict[str, Any]]:
    """Return the simulations of a run, if it can be replayed."""
    if "replay" in run.manifest:
        made_of = run.manifest["replay"]["of"]
        raise NotReplayable(f"{run.path} is itself a replay: replay the run from which it was made, {made_of}")
    if run.manifest["experiment"] == TORCHRUN:
        raise NotReplayable(
            f"{run.path} is a run of edgelam torchrun: each rank is a process of its own, and what it does in which "
            "order is only known while it runs. Run the program again over the other network: edgelam torchrun "
            f"--scenario ... {_program(run)}"
        )
    if run.state != "completed":
        raise NotReplayable(f"{run.path} is {run.state}, and only a completed run can be replayed")
    simulations: list[dict[str, Any]] = run.manifest.get("simulations", [])
    if programs.TABLE not in run or not simulations:
        raise NotReplayable(
            f"{run.path} has no table 'program': experiments record it since runs can be replayed; run it again "
            f"(edgelam run {run.manifest['experiment']} --config {run.path}/config.toml)"
        )
    reasons = [
        f"  {facts['label']}: {reason}" for facts in simulations for reason in facts.get("not_replayable", ["no end"])
    ]
    if reasons:
        raise NotReplayable(
            f"{run.path} cannot be replayed: what it does depends on time, so that over another network it may do "
            "something else\n" + "\n".join(reasons)
        )
    return simulations


def _program(run: Run) -> str:
    """The ranks of a run of torchrun, and its program."""
    configuration = run.manifest.get("configuration", {})
    ranks, program = configuration.get("ranks", ["..."]), configuration.get("program", ["PROGRAM.py"])
    return shell_line(["--ranks", *map(str, ranks), *map(str, program)])


def _check_settings(after: Settings, simulations: list[dict[str, Any]]) -> None:
    if after.compute not in ("modelled", "free"):
        raise ConfigurationError(f"compute is {after.compute!r}; a replay takes modelled or free")
    recorded = {facts["compute"] for facts in simulations}
    if after.compute == "modelled" and "free" in recorded:
        raise NotReplayable("the run was made with compute = free: how much it computes is not known")
    after.network.check(after.needs)


def _changed_scenario(after: Settings, simulations: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return what differs, and say it on stderr, if the replay uses the run's own scenario, whose file has changed."""
    for facts in simulations:
        before = facts.get("scenario_sha256")
        if before is None or facts["scenario"] != after.scenario:
            continue
        now = scenarios.checksum_of(after.scenario)
        if now != before:
            print(
                f"edgelam: the scenario file {after.scenario} has changed since the run: the replay is over what it is "
                "now, not over the run's network (the run folder has a copy of the run's file)",
                file=sys.stderr,
            )
            return {"scenario file changed since the run": [before, now]}
    return {}


def _settings(
    facts: Mapping[str, Any], player: ProgramPlayer, before: Settings, after: Settings, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of `simulate` for one simulation."""
    # a control without a network stays without one, and so does a simulation that sends nothing
    control = facts["label"] in manifest.get("without_network", ()) or not player.sends
    apart = facts["scenario"] == NO_SCENARIO and (before.scenario != NO_SCENARIO or control)
    networked = after.scenario != NO_SCENARIO and not apart
    return {
        "scenario": after.scenario if networked else None,
        "options": after.scenario_options if networked else None,
        "nodes": None if networked else facts["nodes"],
        "seed": facts["seed"] + after.seed - before.seed,
        "network": facts["network"],
        "devices": after.devices,
        "compute": after.compute,
    }


def _play(
    player: ProgramPlayer, settings: Mapping[str, Any], log: Path, progress: Progress, recorder: SimulationRecorder
) -> None:
    async def main(sim: Simulation) -> None:
        async with recorder.following(sim, settings["options"]):
            await player.main(sim)

    sent: set[int] = set()  # one record for each receiver comes: a transfer to several is one

    def on_transfer(record: Any) -> None:
        recorder.ledger.transfer(record)
        sent.add(record.id)
        progress.step(len(sent), simulated_s=record.acknowledged_s)

    networked = settings["scenario"] is not None
    simulate(
        main, **settings, on_transfer=on_transfer, on_compute=recorder.ledger.compute, program=player,
        scenario_log=log if networked else None,
    )  # fmt: skip
    progress.step(player.sends)


class _Recorder(SimulationRecorder):
    """Keeps the ledger, which that of the run completes: nothing is allocated here."""

    devices: list[dict[str, Any]]

    def write_devices(self, rows: list[dict[str, Any]]) -> None:
        """Do nothing yet."""
        self.devices = rows


class _Nowhere(Progress):
    """Shows nothing."""

    def begin(self, label: str, rounds: int, unit: str = "rounds") -> None:
        """Nothing."""

    def step(self, done: int, *, simulated_s: float | None = None, **values: float | None) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""
