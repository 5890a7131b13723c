# SPDX-License-Identifier: GPL-2.0-only
"""A grid of settings times seeds: every cell's configuration is made and checked before anything runs."""

import csv
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from edgelam.errors import ConfigurationError
from edgelam.runs.configuration.settings import Setting, find_setting, settings_of


@dataclasses.dataclass(frozen=True)
class Grid:
    """The settings that vary and their values, in the order in which they were given; the last varies fastest."""

    values: Mapping[Setting, tuple[Any, ...]]

    def cells(self) -> Iterator[dict[Setting, Any]]:
        """Every combination of values."""
        for combination in itertools.product(*self.values.values()):
            yield dict(zip(self.values, combination, strict=True))

    def configurations(self, base: Any, seeds: Iterable[int]) -> Iterator[tuple[dict[Setting, Any], Any]]:
        """Yield each cell with each seed; all cells of a seed come before the next seed, so pairs are complete early.

        All cells have the same seeds, and so the same random numbers: differences between cells come from the settings.
        Raises ConfigurationError for combinations that are not legal.
        """
        for seed in seeds:
            for cell in self.cells():
                try:
                    config = _replace_all(base, {("seed",): seed} | {key.path: value for key, value in cell.items()})
                except ConfigurationError as error:
                    where = " ".join(f"{setting.name}={value}" for setting, value in cell.items())
                    raise ConfigurationError(
                        f"--grid {where}, seed {seed}: {error}" if where else str(error)
                    ) from error
                yield cell, config


def parse_grid(texts: Sequence[str], kind: type) -> Grid:
    """Parse texts ``KEY=VALUE,VALUE,...``; a value with a comma is in double quotes: ``options="a=1,b=2",a=3``.

    kind: the configuration's dataclass. Raises ConfigurationError, which says what is wrong and what is legal.
    """
    settings = settings_of(kind)
    found: dict[Setting, tuple[Any, ...]] = {}
    for text in texts:
        name, sign, rest = text.partition("=")
        if not (name and sign):
            raise ConfigurationError(f"--grid takes KEY=VALUE,VALUE,..., got {text!r}")
        setting = find_setting(name, settings, "--grid")
        if setting.path == ("seed",):
            raise ConfigurationError("--grid seed: every cell gets the same seeds; give their number with --seeds")
        if setting in found:
            raise ConfigurationError(f"--grid gives {setting.name} twice; give all its values at once, KEY=VALUE,VALUE")
        found[setting] = tuple(setting.parse(value, "--grid") for value in _split(setting, rest))
        for index, value in enumerate(found[setting]):
            if value in found[setting][:index]:
                raise ConfigurationError(f"--grid {setting.name} gives {value!r} twice")
    return Grid(found)


def parse_baseline(texts: Sequence[str], grid: Grid) -> dict[Setting, Any]:
    """Parse texts ``KEY=VALUE`` of the grid, with which every cell is compared; other keys keep the cell's own value.

    Without any text, the baseline is the first value of every key.
    """
    if not texts:
        return {setting: values[0] for setting, values in grid.values.items()}
    settings = {setting.name: setting for setting in grid.values}
    found: dict[Setting, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise ConfigurationError(f"--baseline takes KEY=VALUE, got {text!r}")
        setting = find_setting(name, settings, "--baseline takes a key of the grid")
        (value,) = _split(setting, value)[:1]
        found[setting] = setting.parse(value, "--baseline")
        if found[setting] not in grid.values[setting]:
            legal = ", ".join(map(str, grid.values[setting]))
            raise ConfigurationError(f"--baseline {setting.name}={value} is not in the grid; there are: {legal}")
    return found


def _replace_all(config: Any, values: Mapping[tuple[str, ...], Any]) -> Any:
    """Replace all values at once, group by group: a pair of settings may be legal only together."""
    changes: dict[str, Any] = {}
    for name in dict.fromkeys(path[0] for path in values):
        inner = {path[1:]: value for path, value in values.items() if path[0] == name}
        changes[name] = inner[()] if () in inner else _replace_all(getattr(config, name), inner)
    return dataclasses.replace(config, **changes)


def _split(setting: Setting, text: str) -> list[str]:
    try:
        (values,) = csv.reader([text], strict=True) if text else [[""]]
    except csv.Error as error:
        raise ConfigurationError(f"--grid {setting.name}={text}: {error} (double quotes hold commas)") from error
    if "" in values and not _takes_empty(setting):
        raise ConfigurationError(f"--grid {setting.name}={text}: a value is empty")
    return values


def _takes_empty(setting: Setting) -> bool:
    return getattr(setting.kind, "__origin__", None) is tuple
