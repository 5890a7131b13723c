# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam torchrun`` runs an unchanged program of torch.distributed with its ranks at nodes of a scenario."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from edgelam.errors import ConfigurationError
from edgelam.parallel.collectives import ALGORITHMS
from edgelam.runs.network import Network
from edgelam.text import suggest

if TYPE_CHECKING:
    import pandas as pd

USAGE = "edgelam torchrun --ranks ue0 ue1 edge0 [options] PROGRAM.py [arguments]; or -m MODULE [arguments]"
SEVERAL = ("--ranks", "--clusters", "--options", "--devices", "--traces")
"""Options that take several words."""
FLAGS = ("--no-report", "-h", "--help")
"""Options that take none."""
_NODES = "ranks are named by their nodes: --ranks ue0 ue1 edge0"
_MEETING = "leave it out: ranks find one another through the launcher"
_FAILING = "leave it out: a rank that fails ends the run, and nothing is started again"
NOT_HERE = {
    "--resume": "a simulated network begins at time 0 and cannot be taken up in the middle. Let the program load the "
    "checkpoint that it has written itself, as after any crash, and start it anew",
    **dict.fromkeys(("--nproc-per-node", "--nnodes", "--node-rank"), _NODES),
    **dict.fromkeys(
        ("--standalone", "--master-addr", "--master-port", "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id",
         "--rdzv-conf", "--local-addr"), _MEETING,
    ),
    **dict.fromkeys(("--max-restarts", "--monitor-interval"), _FAILING),
}  # fmt: skip
"""Options of torchrun, and of other programs, that this command does not have: what to do instead."""


@dataclasses.dataclass(frozen=True)
class Torchrun:
    """Run a program of torch.distributed, its ranks at nodes of a simulated network, its tensors as packets.

    Options of the program stand behind it: edgelam torchrun --ranks ue0 ue1 edge0 train.py --epochs 3
    """

    network: Network = dataclasses.field(default_factory=Network)
    ranks: tuple[str, ...] = ()
    """The node of each rank, in their order: ue0 ue1 edge0, or ue0,ue1,edge0."""
    algorithm: str = "ring"
    """How collectives are carried out (docs/collectives.md)."""
    server: str | None = None
    """The node through which the algorithm star goes. None: the first edge server that is no rank, or rank 0's node."""
    clusters: tuple[str, ...] = ()
    """For the algorithm hierarchical, the ranks that are near one another, a word for each cluster: ue0,ue1 ue2,edge0.
    None: blocks of about the square root of their number."""
    protocol: Literal["tcp", "udp"] = "tcp"
    """By which messages cross the network; what udp loses is repaired."""
    rate_bps: float | None = None
    """udp: pace of a transfer that has its links to itself, bits of payload a second. None: the scenario's."""
    clock: Literal["wall", "simulated"] = "wall"
    """What time.time, perf_counter and sleep mean in the program."""
    hold_timeout: float = 60.0
    """End the run once a rank has held the clock for so many seconds without using a processor; 0: never."""
    seed: int = 1
    """Of the network."""
    out: Path = Path("runs")
    """The folder that holds all runs."""
    no_report: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Do not write report.html at the end."""
    program: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()
    """The program and its arguments."""


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The options of the command, and the program with its arguments."""
    place = 0
    while place < len(arguments):
        word = arguments[place]
        if word == "--":
            return arguments[:place], arguments[place + 1 :]
        if word == "-m" or not word.startswith("-"):
            return arguments[:place], arguments[place:]
        place += 1
        if word in FLAGS or ("=" in word and word.partition("=")[0] not in SEVERAL):
            continue
        if word.partition("=")[0] in SEVERAL:
            while place < len(arguments) and _is_value(word.partition("=")[0], arguments[place]):
                place += 1
        else:
            place += 1
    return arguments, []


def _is_value(option: str, word: str) -> bool:
    """Whether a word behind an option that takes several is one of them."""
    if word.startswith("-"):
        return False
    if option in ("--ranks", "--clusters"):
        return re.fullmatch(r"[\w.-]+(,[\w.-]+)*,?", word) is not None and not word.endswith(".py")
    return "=" in word if option in ("--options", "--devices") else not word.endswith(".py")


def run(arguments: list[str]) -> int:
    """``edgelam torchrun ARGUMENTS``."""
    own, program = split(arguments)
    for word in own:
        option = word.partition("=")[0].replace("_", "-")
        if option in NOT_HERE:
            raise ConfigurationError(f"edgelam torchrun has no {word.partition('=')[0]}: {NOT_HERE[option]}")
    settings = tyro.cli(
        Torchrun,
        args=own or (["--help"] if not program else []),
        prog="edgelam torchrun",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    names = tuple(name for word in settings.ranks for name in word.split(",") if name)
    if "--options" in own and not settings.network.options:
        from edgelam.scenarios.asking import scenario_help

        print(scenario_help(settings.network.scenario), end="")
        return 0
    if not names:
        raise ConfigurationError(f"--ranks: the node of each rank is needed; {USAGE}")
    if not program or program == ["-m"]:
        raise ConfigurationError(f"which program? {USAGE}")
    if program[0] != "-m" and not Path(program[0]).is_file():
        raise ConfigurationError(f"there is no program {program[0]!r}; {USAGE}")
    if not settings.hold_timeout >= 0:
        raise ConfigurationError(f"--hold-timeout {settings.hold_timeout!r}: seconds from 0 on")
    if settings.algorithm not in ALGORITHMS:
        raise ConfigurationError(
            f"--algorithm {settings.algorithm}: no algorithm of collectives is called so; "
            f"{suggest(settings.algorithm, ALGORITHMS)}"
        )
    return _run(dataclasses.replace(settings, ranks=names, program=tuple(program)))


def _run(settings: Torchrun) -> int:
    from edgelam.output import terminal
    from edgelam.parallel.job import Job
    from edgelam.parallel.launch import run_ranks
    from edgelam.runs.folders.folder import RunFolder
    from edgelam.runs.rank_recording import RankRecorder
    from edgelam.runs.recording import SimulationRecorder

    network = settings.network
    needs = needs_of([*settings.ranks, *([settings.server] if settings.server else [])])
    job = Job(
        settings.ranks,
        devices=network.device_profiles(),
        compute=network.compute,
        clock=settings.clock,
        algorithm=settings.algorithm,
        server=settings.server,
        clusters=tuple(tuple(name for name in word.split(",") if name) for word in settings.clusters),
        protocol=settings.protocol,
        rate_bps=settings.rate_bps,
    )
    network.check(needs)
    label = Path(settings.program[1] if settings.program[0] == "-m" else settings.program[0]).stem
    folder = RunFolder.create("torchrun", settings, seed=settings.seed, out=settings.out)
    with folder:
        print(f"run folder: {folder.path}", flush=True)
        recorder = SimulationRecorder(folder, label, {"program": label})
        simulate = functools.partial(
            network.simulate, needs=needs, folder=folder, label=label, recorder=recorder, seed=settings.seed
        )
        run_ranks(
            settings.program,
            job,
            simulate,
            on_record=RankRecorder(recorder).record,
            idle_timeout_s=settings.hold_timeout,
        )
    console = terminal.results()
    console.print(summary(folder.path), markup=False, highlight=False, soft_wrap=True)
    if not settings.no_report:
        from edgelam.report import write_report

        console.print(f"report: {write_report(folder.path)}", markup=False, highlight=False, soft_wrap=True)
    return 0


def needs_of(names: list[str]) -> Any:
    """What a scenario must have for these nodes: an installed one makes so many of each role."""
    from edgelam.runs.needs import Needs

    roles: dict[str, int] = {}
    for name in names:
        if found := re.fullmatch(r"(ue|edge)(\d+)", name):
            role, index = found[1], int(found[2])
            roles[role] = max(roles.get(role, 0), index + 1)
    return Needs(roles)


def show(path: Path) -> int:
    """``edgelam plot`` of a run of ranks: the summary, and a figure with its numbers beside it."""
    from edgelam.files.storage import write_atomically
    from edgelam.output import figures, terminal

    console, rows = terminal.results(), collectives_of(path)
    console.print(summary(path), markup=False, highlight=False, soft_wrap=True)
    rows = rows[rows["size_bytes"] > 0]
    if not len(rows):
        return 0
    write_atomically(path / "collectives.csv", rows.to_csv(index=False, float_format="%.9g").encode())
    with figures.figure(path / "collectives", height_in=2.9) as (figure, (axes,)):
        for index, ((operation, algorithm), group) in enumerate(rows.groupby(["operation", "algorithm"])):
            style = figures.line_style(index) | {"linestyle": ""}
            axes.loglog(group["size_bytes"], group["took_s"], label=f"{operation}, {algorithm}", **style)
        axes.set_xlabel("bytes of a rank's tensors")
        axes.set_ylabel("simulated s from when the last rank begins")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, fontsize=6)
    console.print(f"figure: {path / 'collectives.svg'}", markup=False, highlight=False, soft_wrap=True)
    return 0


def collectives_of(path: Path) -> pd.DataFrame:
    """The collectives of a run, with took_s: from when the last rank began until the last one had its result."""
    import pandas as pd

    from edgelam.runs.folders.load import load_run
    from edgelam.runs.rank_recording import TABLE

    run = load_run(path)
    if TABLE not in run:
        return pd.DataFrame(columns=["operation", "algorithm", "size_bytes", "took_s"])
    return run[TABLE].assign(took_s=lambda rows: rows["end_s"] - rows["last_start_s"])


def summary(path: Path) -> str:
    """What the collectives of a run took, by operation and algorithm."""
    rows = collectives_of(path)
    if not len(rows):
        return "no collective crossed the network"
    lines = [f"{'collective':16} {'algorithm':14} {'times':>6} {'bytes':>14} {'mean s':>10}"]
    for (operation, algorithm), group in rows.groupby(["operation", "algorithm"]):
        mean = group["took_s"].mean()
        lines.append(f"{operation:16} {algorithm:14} {len(group):6} {group['size_bytes'].sum():14,} {mean:10.6f}")
    return "\n".join(lines)
