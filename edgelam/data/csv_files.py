# SPDX-License-Identifier: GPL-2.0-only
"""Reads a CSV file as it is written: no types are guessed, and no row is shifted, filled up or left out."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from edgelam.errors import ConfigurationError

_LONGEST_FIELD = 2**31 - 1  # characters; Python's own limit is 131072


def read_rows(path: Path) -> Iterator[list[str]]:
    """Return the header and then every row, each with as many fields as the header.

    The file is UTF-8, with or without a byte order mark. Fields are separated by commas and may be in double quotes
    (RFC 4180). Empty lines are legal only at the end. Raises ConfigurationError, which names the line.
    """
    limit = csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    columns = empty_line = 0
    try:
        for fields in reader:
            if not fields:
                empty_line = empty_line or reader.line_num
                continue
            if empty_line:
                raise ConfigurationError(f"{path}: line {empty_line} is empty; empty lines are legal only at the end")
            columns = columns or len(fields)
            if len(fields) != columns:
                raise ConfigurationError(
                    f"{path}: line {reader.line_num} has {len(fields)} fields where the header has {columns}; a text "
                    'with a comma must stand in double quotes, "like this, for example"'
                )
            yield fields
    except csv.Error as error:
        raise ConfigurationError(f"{path}: line {reader.line_num} cannot be read as CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    fault, place = "", 0
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        fault = "it looks like UTF-16"
    elif b"\0" in data:
        fault, place = "it holds a zero byte", data.index(b"\0")
    try:
        if not fault:
            return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault, place = f"byte 0x{data[error.start]:02x} is not legal there", error.start
    line = data.count(b"\n", 0, place) + 1
    raise ConfigurationError(f"{path}: line {line} is not UTF-8 text ({fault}); save the file as UTF-8")
