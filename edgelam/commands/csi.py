# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam csi record``, ``show`` and ``hold-last``: their options, and what they print."""

import dataclasses
from typing import Annotated

import tyro

from edgelam.air.csi.settings import HoldLastSettings, RecordSettings, ShowSettings

Command = (
    Annotated[RecordSettings, tyro.conf.subcommand("record")]
    | Annotated[ShowSettings, tyro.conf.subcommand("show")]
    | Annotated[HoldLastSettings, tyro.conf.subcommand("hold-last")]
)


@dataclasses.dataclass(frozen=True)
class Csi:
    """Record channel state information of a scenario, show a recording, or measure hold-last prediction."""

    command: Command


def run(settings: RecordSettings | ShowSettings | HoldLastSettings) -> None:
    """Carry out one of the three commands."""
    from rich.console import Console

    from edgelam.air import csi
    from edgelam.output.progress import Progress

    match settings:
        case RecordSettings():
            with Progress() as progress:
                csi.record(settings, progress)
            size = settings.out.stat().st_size / 1e6
            print(f"{settings.samples} samples, {size:.1f} MB: {settings.out}")
        case ShowSettings():
            csi.show(settings, Console())
        case HoldLastSettings():
            with Progress() as progress:
                csi.hold_last(settings, Console(), progress)
