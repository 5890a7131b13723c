# SPDX-License-Identifier: GPL-2.0-only
"""A configuration is a dataclass (of dataclasses); this file converts it to TOML and JSON and back.

A dataclass in it becomes a table of TOML. If it is `flat`, it does not: its settings are beside those of the dataclass
that holds it, as on the command line.
"""

import dataclasses
import json
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgelam.errors import ConfigurationError
from edgelam.files import digests
from edgelam.files.storage import StorageError
from edgelam.text import suggest

Config = TypeVar("Config")
_flat: set[type] = set()


def flat(kind: type[Config]) -> type[Config]:
    """Decorate a dataclass whose settings are beside those of the configuration that holds it."""
    _flat.add(kind)
    return kind


def is_flat(kind: Any) -> bool:
    """Return whether a field of this type adds its settings to those of the dataclass that holds it."""
    return isinstance(kind, type) and kind in _flat


def fields_of(kind: Any) -> dict[str, Any]:
    """Return the settings of a configuration's dataclass by their names outside Python, and their types.

    Raises ConfigurationError if a flat part of it has a name that is taken.
    """
    found: dict[str, Any] = {}
    for name, inner in _hints(kind).items():
        for key, hint in fields_of(inner).items() if is_flat(inner) else [(name, inner)]:
            if key in found:
                raise ConfigurationError(
                    f"{kind.__qualname__} has two settings {key!r}, one of them of its {inner.__name__}: rename its own"
                )
            found[key] = hint
    return found


def to_plain(config: Any) -> dict[str, Any]:
    """Return the configuration as dicts, lists, strings, numbers, booleans and None."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ConfigurationError(f"a configuration is a dataclass, not {type(config).__name__}")
    plain = msgspec.to_builtins(dataclasses.asdict(config), enc_hook=str)  # asdict: msgspec leaves defaults out
    return _flattened(plain, type(config))


def leaves(plain: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every setting of a plain configuration, in its order: where it is (("lora", "rank")), and its value."""
    for name, value in plain.items():
        if isinstance(value, dict):
            yield from leaves(value, (*place, name))
        else:
            yield (*place, name), value


def texts(plain: Any) -> Iterator[str]:
    """Yield every text in a plain configuration, also in lists."""
    if isinstance(plain, Mapping):
        plain = list(plain.values())
    if isinstance(plain, list | tuple):
        for item in plain:
            yield from texts(item)
    elif isinstance(plain, str):
        yield plain


def to_toml(config: Any) -> str:
    """Return the configuration as TOML, nested dataclasses as tables. Settings that are None are left out."""
    _refuse_lost_none(config, "")
    lines: list[str] = []
    _write_table(to_plain(config), (), lines)
    return "\n".join(lines).strip() + "\n"


def from_toml(path: Path, kind: type[Config]) -> Config:
    """Read a TOML file into the dataclass `kind`; what the file leaves out keeps its default.

    Raises ConfigurationError, which names the file and the place, if a name does not exist (with the nearest one that
    does), if a value has the wrong type, or if the syntax is wrong; StorageError if the file cannot be read, or is in a
    run folder and is not what the run wrote.
    """
    try:
        content = Path(path).read_bytes()
        digests.check_of_run(content, Path(path))
        plain = tomllib.loads(content.decode())
    except OSError as error:
        raise StorageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ConfigurationError:
        raise
    except RecursionError:
        raise ConfigurationError(f"{path} is not TOML of a configuration: it is nested too deeply") from None
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    _refuse_unknown(plain, kind, str(path), "")
    try:
        return msgspec.convert(_nested(plain, kind), kind, strict=True, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _flattened(plain: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Return `plain` from msgspec, with the settings of flat parts beside the others."""
    found: dict[str, Any] = {}
    for name, inner in _hints(kind).items():
        value = plain[name]
        if dataclasses.is_dataclass(inner) and isinstance(value, dict):
            value = _flattened(value, inner)
        found |= value if is_flat(inner) else {name: value}
    return found


def _nested(plain: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Do the opposite; settings left out of a flat part are as the dataclass that holds it says."""
    found = dict(plain)
    hints = _hints(kind)
    for field in dataclasses.fields(kind):
        inner = hints[field.name]
        if is_flat(inner):
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            start = {} if default is dataclasses.MISSING else to_plain(default)
            found[field.name] = start | {name: found.pop(name) for name in fields_of(inner) if name in found}
        elif dataclasses.is_dataclass(inner) and isinstance(found.get(field.name), dict):
            found[field.name] = _nested(found[field.name], inner)
    return found


def _refuse_unknown(plain: Mapping[str, Any], kind: Any, file: str, prefix: str) -> None:
    fields = fields_of(kind)
    for name, value in plain.items():
        if name not in fields:
            place = f" in [{prefix.rstrip('.')}]" if prefix else ""
            raise ConfigurationError(f"{file}: no setting is called {name!r}{place}; {suggest(name, fields)}")
        if dataclasses.is_dataclass(fields[name]):
            if not isinstance(value, dict):
                raise ConfigurationError(f"{file}: {prefix}{name} is a table, got {value!r}")
            _refuse_unknown(value, fields[name], file, f"{prefix}{name}.")
        legal = typing.get_args(fields[name]) if typing.get_origin(fields[name]) is typing.Literal else ()
        if legal and value not in legal:
            raise ConfigurationError(f"{file}: {prefix}{name} is {value!r}; legal are {', '.join(map(str, legal))}")


def _refuse_lost_none(config: Any, prefix: str) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _refuse_lost_none(value, f"{prefix}{field.name}.")
        elif value is None and field.default is not None:
            raise ConfigurationError(
                f"{prefix}{field.name} is None but defaults to {field.default!r}: TOML has no None"
            )


def _decode(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    raise ConfigurationError(f"a setting of type {kind.__name__} cannot be read from TOML (value: {value!r})")


def _write_table(table: Mapping[str, Any], place: tuple[str, ...], lines: list[str]) -> None:
    if place and any(not isinstance(value, dict) for value in table.values()):
        lines += ["", "[" + ".".join(map(_key, place)) + "]"]
    for name, value in table.items():
        if value is not None and not isinstance(value, dict):
            lines.append(f"{_key(name)} = {_value(value)}")
    for name, value in table.items():
        if isinstance(value, dict):
            _write_table(value, (*place, name), lines)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # JSON escapes are TOML's, but DEL must be escaped as well
        if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
            raise ConfigurationError(
                f"a configuration cannot hold {value!r}: TOML takes UTF-8 only, and this is not; rename the file or "
                "folder, or call it from within by a path that is"
            )
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)  # the shortest text that reads back as the same number; inf and nan are TOML's words too
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise ConfigurationError(f"a configuration cannot hold {value!r} ({type(value).__name__})")
