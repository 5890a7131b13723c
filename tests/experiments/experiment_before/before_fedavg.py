# SPDX-License-Identifier: GPL-2.0-only
"""Federated averaging of a linear model, written before there was Network: with cosim.simulate and its recorder."""

import asyncio
import dataclasses
from pathlib import Path

import torch

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.runs import experiments, figures, load, programs
from edgelam.runs.configuration import parse_pairs
from edgelam.runs.recording import SimulationRecorder


@dataclasses.dataclass(frozen=True)
class Config:
    """Every field is an option of the command line; the text below a field is its help."""

    seed: int = 1
    """Seed of the network, of the data and of the first model."""
    scenario: str = "nr-urban-micro"
    """The network: a scenario that `edgelam list` shows, or a file of your own."""
    options: tuple[str, ...] = ()
    """Options of the scenario, NAME=VALUE each."""
    devices: int = 4
    """Devices that learn."""
    rounds: int = 5
    """Rounds of averaging."""
    learning_rate: float = 0.5
    """Of the gradient steps on the devices."""


def quick() -> Config:
    """Five rounds over a 5G cell."""
    return Config()


def long() -> Config:
    """Fifty rounds."""
    return Config(rounds=50)


RECIPES = {"quick": quick, "long": long}  # the first is the default


def check(config: Config) -> None:
    """Refuse what cannot be run before anything is made."""
    if config.devices < 1 or config.rounds < 1:
        raise ConfigurationError(f"devices is {config.devices}, rounds {config.rounds}; both must be at least 1")
    experiments.check_scenario(config.scenario, network_options(config))


def network_options(config: Config) -> dict[str, str]:
    """Of the scenario: as many devices as learn, and what the command line gives."""
    ours = {} if config.scenario == experiments.NO_SCENARIO else {"numUe": str(config.devices)}
    return ours | parse_pairs(config.options, "--options")


def nodes(config: Config) -> dict[str, str] | None:
    """Without a network (scenario none) the nodes are ours to name; otherwise the scenario has them."""
    devices = {f"ue{i}": "ue" for i in range(config.devices)}
    return devices | {"edge0": "edge"} if config.scenario == experiments.NO_SCENARIO else None


def run(config, folder, progress) -> None:
    """Do the work; write tables into the run folder."""
    generator = torch.Generator().manual_seed(config.seed)
    true = torch.randn(1000, generator=generator)
    data = []
    for _ in range(config.devices):
        x = torch.randn(200, 1000, generator=generator) / 1000**0.5
        data.append((x, x @ true))
    recorder = SimulationRecorder(folder, "fedavg", {"method": "fedavg"})  # for report, compare, trace and replay
    metrics = folder.table("metrics", {"method": str, "round": int, "time_s": float, "loss": float})

    async def device(sim, name, x, y):
        node, edge = sim.node(name), sim.node("edge0")
        for _ in range(config.rounds):
            model = (await node.receive(edge, tag="model")).data
            async with node.compute("gradient steps"):  # takes simulated time, as the node's device profile says
                for _ in range(10):
                    model = model - config.learning_rate * x.T @ (x @ model - y)
            await node.send(edge, model, tag="update")

    async def server(sim):
        edge, model = sim.node("edge0"), torch.zeros(1000)
        names = [f"ue{i}" for i in range(config.devices)]
        for number in range(1, config.rounds + 1):
            await asyncio.gather(*(edge.send(sim.node(name), model, tag="model") for name in names))
            updates = [await edge.receive(sim.node(name), tag="update") for name in names]
            async with edge.compute("average"):
                model = torch.stack([update.data for update in updates]).mean(0)
            loss = sum(float((x @ model - y).square().mean()) for x, y in data) / len(data)
            metrics.append({"method": "fedavg", "round": number, "time_s": sim.now_s, "loss": loss})
            progress.step(number, simulated_s=sim.now_s, loss=loss)

    async def main(sim):
        async with recorder.following(sim, network_options(config)), asyncio.TaskGroup() as tasks:
            for i, (x, y) in enumerate(data):
                tasks.create_task(device(sim, f"ue{i}", x, y))
            tasks.create_task(server(sim))

    progress.begin("fedavg", config.rounds)
    cosim.simulate(
        main,
        scenario=config.scenario,
        options=network_options(config),
        nodes=nodes(config),
        seed=config.seed,
        scenario_log=folder.path / "scenario.log",  # what the scenario prints
        on_transfer=recorder.on_transfer,
        on_compute=recorder.on_compute,
        program=programs.record(folder, "fedavg"),  # for replay
    )
    recorder.done()


def plot(path: Path) -> list[Path]:
    """Draw the figures, from the files of the run folder alone."""
    run = load(path)
    if "metrics" not in run or run.metrics.empty:
        return []
    metrics = run.metrics
    with figures.figure(path / "loss") as (_, (axes,)):
        axes.plot(metrics["time_s"], metrics["loss"], **figures.line_style(0))
        axes.set(xlabel="simulated time (s)", ylabel="mean squared error", yscale="log")
    return [path / "loss.svg"]


def report(path: Path, console) -> None:
    """Print the result tables, from the files of the run folder alone."""
    run = load(path)
    if "metrics" not in run or run.metrics.empty:  # it was killed, or goes on: edgelam plot shows such runs as well
        console.print("no round has ended")
        return
    last = run.metrics.iloc[-1]
    console.print(f"after {last['round']:.0f} rounds, {last['time_s']:.3f} simulated s: loss {last['loss']:.4g}")
