# SPDX-License-Identifier: GPL-2.0-only
"""An experiment that takes no time: noise of the seed plus what the settings say. For tests of campaigns."""

import dataclasses
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import tyro

from edgelam.errors import ConfigurationError, EdgelamError


@dataclasses.dataclass(frozen=True)
class Inner:
    rank: int = 4
    """A nested one."""


@dataclasses.dataclass(frozen=True)
class Learning:
    rounds: int = 2
    """Rows."""
    low_rank: Inner = dataclasses.field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigurationError(f"rounds is {self.rounds}; it must be at least 1")


@dataclasses.dataclass(frozen=True)
class Config:
    learning: Annotated[Learning, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Learning)
    seed: int = 1
    scale: float = 1.0
    """Multiplies the score."""
    deadline_s: float | None = None
    mode: Literal["work", "fail", "crash", "wait"] = "work"
    """crash: SIGSEGV; wait: with a child process, until a file named go is there."""
    options: tuple[str, ...] = ()
    file: str = ""
    """Its text is added to the score."""
    switch: bool = False


def small() -> Config:
    """The only one."""
    return Config()


RECIPES = {"small": small}


def check(config: Config) -> None:
    if config.scale > 1000:
        raise ConfigurationError(f"scale is {config.scale}; at most 1000")


def run(config: Config, folder, progress) -> None:
    if config.mode == "fail":
        raise EdgelamError(f"seed {config.seed} fails as it was told")
    if config.mode == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if config.mode == "wait":
        Path(f"pid-{config.seed}").write_text(str(os.getpid()))
        while not Path("go").exists():
            time.sleep(0.02)
    noise = random.Random(config.seed).random()
    added = float(Path(config.file).read_text()) if config.file else 0.0
    table = folder.table("metrics", {"round": int, "score": float, "method": str})
    progress.begin("tiny", config.learning.rounds)
    for r in range(config.learning.rounds):
        progress.step(r + 1)
        table.append({"round": r, "score": noise + config.scale * (r + 1) + added, "method": "tiny"})
    folder.table("calls", {"pid": int}).append({"pid": os.getpid()})


def scores(found) -> pd.DataFrame:
    return found.metrics.groupby("method").tail(1)[["method", "score"]]


def plot(path: Path) -> list[Path]:
    return []


def report(path: Path, console) -> None:
    console.print("tiny")
