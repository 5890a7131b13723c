# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam csi record``, ``show``, ``hold-last``, ``import`` and ``export``: their options, and what they print."""

import dataclasses
from typing import Annotated

import tyro

from edgelam.air.csi.settings import ExportSettings, HoldLastSettings, ImportSettings, RecordSettings, ShowSettings

Command = (
    Annotated[RecordSettings, tyro.conf.subcommand("record")]
    | Annotated[ShowSettings, tyro.conf.subcommand("show")]
    | Annotated[HoldLastSettings, tyro.conf.subcommand("hold-last")]
    | Annotated[ImportSettings, tyro.conf.subcommand("import")]
    | Annotated[ExportSettings, tyro.conf.subcommand("export")]
)


@dataclasses.dataclass(frozen=True)
class Csi:
    """Channel state information: record it from a scenario, show a recording, take and give files of others."""

    command: Command


def run(settings: RecordSettings | ShowSettings | HoldLastSettings | ImportSettings | ExportSettings) -> None:
    """Carry out one of the commands."""
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
        case ImportSettings():
            from edgelam.air.csi.foreign.importing import import_csi

            with Progress() as progress:
                samples = import_csi(settings, progress)
            print(f"{samples} samples, {settings.out.stat().st_size / 1e6:.1f} MB: {settings.out}")
        case ExportSettings():
            from edgelam.air.csi.foreign.exporting import export_csi

            for path in export_csi(settings):
                print(f"{path.stat().st_size / 1e6:.1f} MB: {path}")
