# SPDX-License-Identifier: GPL-2.0-only
"""The settings of a configuration by their names on the command line: ``rounds``, ``lora.rank``."""

import dataclasses
import shlex
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from edgelam.errors import ConfigurationError
from edgelam.runs.configuration import is_flat
from edgelam.text import suggest


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a configuration that is not itself a group of fields."""

    name: str
    """The name as on the command line, without the leading dashes: ``num-devices``, ``lora.rank``."""
    path: tuple[str, ...]
    """The fields that lead to it: ``("learning", "lora", "rank")``."""
    kind: Any
    """The type of the field."""

    @property
    def column(self) -> str:
        """The name in a table: ``num_devices``, ``lora.rank``."""
        return self.name.replace("-", "_")

    def of(self, config: Any) -> Any:
        """Return the value in a configuration."""
        for name in self.path:
            config = getattr(config, name)
        return config

    def parse(self, text: str, what: str) -> Any:
        """Parse a value; a list's items are separated by spaces (items with spaces are quoted as in a shell).

        what: the option that the ConfigurationError names if the value is not legal.
        """
        if text.lower() == "none" and type(None) in typing.get_args(self.kind):
            return None
        plain: Any = text
        if typing.get_origin(self.kind) is tuple:
            try:
                plain = shlex.split(text)
            except ValueError as error:
                raise ConfigurationError(f"{what} {self.name}: {text!r}: {error}") from error
        try:
            return msgspec.convert(plain, self.kind, strict=False, dec_hook=lambda kind, value: kind(value))
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{what} {self.name}: {text!r} is not legal; {_legal(self.kind, text)}") from error

    def arguments(self, value: Any) -> list[str]:
        """Return the command line arguments that give it this value."""
        if isinstance(value, bool):
            head, dot, last = self.name.rpartition(".")
            return [f"--{self.name}" if value else f"--{head}{dot}no-{last}"]
        return [f"--{self.name}", *(_texts(value) if isinstance(value, list | tuple) else [_text(value)])]


def settings_of(kind: type) -> dict[str, Setting]:
    """Return all settings of a configuration's dataclass by name, in the order of its fields."""
    return {setting.name: setting for setting in _settings(kind, (), "")}


def find_setting(name: str, settings: Mapping[str, Setting], what: str) -> Setting:
    """The setting of this name (dashes or underscores). Raises ConfigurationError with `what` and similar names."""
    plain = name.replace("_", "-")
    if plain not in settings:
        raise ConfigurationError(f"{what}: no setting is called {name!r}; {suggest(name, settings)}")
    return settings[plain]


def plain_text(value: Any) -> str:
    """Return a value as a table shows it; the items of a list are separated by spaces."""
    return " ".join(_texts(value)) if isinstance(value, list | tuple) else _text(value)


def differing_arguments(base: Any, config: Any) -> list[str]:
    """Return the options that turn the configuration `base` into `config`, of the same dataclass."""
    return [
        argument
        for setting in settings_of(type(base)).values()
        if setting.of(base) != setting.of(config)
        for argument in setting.arguments(setting.of(config))
    ]


def _settings(kind: type, path: tuple[str, ...], prefix: str) -> Iterable[Setting]:
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        notes = getattr(hint, "__metadata__", ())
        plain = typing.get_args(hint)[0] if notes else hint
        named = [note.name for note in notes if getattr(note, "name", None) is not None]
        # an empty group: its fields stand for themselves
        name = "" if is_flat(plain) else named[0] if named else field.name.replace("_", "-")
        if dataclasses.is_dataclass(plain):
            assert isinstance(plain, type)
            yield from _settings(plain, (*path, field.name), f"{prefix}{name}." if name else prefix)
        else:
            yield Setting(f"{prefix}{name}", (*path, field.name), typing.get_type_hints(kind)[field.name])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(values: Iterable[Any]) -> list[str]:
    return [_text(value) for value in values]


def _legal(kind: Any, text: str) -> str:
    """Return in words which values a type takes."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " or ".join(_legal(option, text) for option in typing.get_args(kind))
    if typing.get_origin(kind) is typing.Literal:
        return suggest(text, [str(value) for value in typing.get_args(kind)])
    if typing.get_origin(kind) is tuple:
        return f"items separated by spaces, each: {_legal(typing.get_args(kind)[0], text)}"
    words = {int: "a whole number", float: "a number", bool: "true or false", type(None): "none"}
    return words.get(kind, f"a {getattr(kind, '__name__', kind)}")
