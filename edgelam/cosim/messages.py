# SPDX-License-Identifier: GPL-2.0-only
"""The messages of the bridge as Python sees them, made from the declarations that were compiled into `_bridge`.

`bridge/include/edgelam/bridge/protocol.h` declares every message once; the compiled module describes them in
`SCHEMA`, and here each becomes a NumPy structured dtype (for arrays of them) and a packer (fast, for one). A field
that is a struct itself (an ArrayRef, a TransferSpec) is packed as its bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np


def dtype_of(description: Any) -> np.dtype[Any]:
    """Return the NumPy dtype of a description: a dtype string, a list of fields, or an object with `fields`."""
    if isinstance(description, str):
        return np.dtype(description)
    if isinstance(description, list):
        description = {"fields": description}
    fields = description["fields"]
    if fields and not isinstance(fields[0], dict):  # NumPy's own descr: [name, dtype] or [name, dtype, shape]
        return np.dtype([tuple(tuple(x) if isinstance(x, list) else x for x in field) for field in fields])
    names = [f["name"] for f in fields]
    formats = [np.dtype((dtype_of(f["dtype"]), tuple(f.get("shape", ())))) for f in fields]
    if "itemsize" not in description:
        return np.dtype(list(zip(names, formats, strict=True)))
    return np.dtype(
        {
            "names": names,
            "formats": formats,
            "offsets": [f["offset"] for f in fields],
            "itemsize": description["itemsize"],
        }
    )


class Layout:
    """A struct of the bridge: `dtype`, `fields`; `pack` and `unpack`."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        """Make it from its dtype."""
        self.dtype = dtype
        names = self.dtype.names or ()
        self.fields: tuple[str, ...] = names
        layout, at = "<", 0
        for name in names:
            field, offset = self.dtype.fields[name][:2]  # type: ignore[index]
            layout += "x" * (offset - at) + _code(field)
            at = offset + field.itemsize
        self._struct = struct.Struct(layout + "x" * (self.dtype.itemsize - at))
        assert self._struct.size == self.dtype.itemsize
        self.pack = self._struct.pack
        """Makes the struct's bytes from its fields' values, in order."""
        self.unpack = self._struct.unpack
        """Returns the fields' values, in order, from the struct's bytes."""

    def pack_named(self, values: Mapping[str, Any]) -> bytes:
        """Make the struct's bytes from its fields' values, by name; each must be given."""
        return self.pack(*map(values.__getitem__, self.fields))


class MessageType(Layout):
    """One message: `number` on the wire, `name`, and its layout."""

    def __init__(self, description: dict[str, Any]) -> None:
        """Make it from its description in the schema."""
        super().__init__(dtype_of(description))
        self.number: int = description["type"]
        self.name: str = description["name"]


def _code(dtype: np.dtype[Any]) -> str:
    """Return the `struct` code of a field; anything but a plain number is packed as its bytes."""
    if dtype.kind in "iufb" and dtype.subdtype is None:
        return {"b1": "?", "f4": "f", "f8": "d"}.get(dtype.str[1:]) or {1: "b", 2: "h", 4: "i", 8: "q"}[
            dtype.itemsize
        ].translate({ord(c): c.upper() for c in "bhiq"} if dtype.kind == "u" else {})
    return f"{dtype.itemsize}s"


class Protocol:
    """All messages, by name and by number."""

    def __init__(self, schema: str) -> None:
        """Make them from the module's `SCHEMA`."""
        self.by_name = {d["name"]: MessageType(d) for d in json.loads(schema)}
        self.by_number = {m.number: m for m in self.by_name.values()}

    def __getitem__(self, name: str) -> MessageType:
        """Return the message type of this name."""
        return self.by_name[name]
