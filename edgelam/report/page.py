# SPDX-License-Identifier: GPL-2.0-only
"""A page that needs no other file: template, style and scripts of this folder around data.

All data goes in as one JSON text, and is put on the page as text, never as HTML. The page's own policy lets it run its
own two blocks (by their hashes), and load nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from pathlib import Path
from string import Template
from typing import Any

from edgelam.files.storage import write_atomically

SCRIPTS = ("basics", "simulation", "map", "timeline", "player", "chart", "main")
_HERE = Path(__file__).parent


def write_page(path: Path, data: dict[str, Any]) -> None:
    """Write the page that shows `data` (plain values; `title` is one). Raises StorageError."""
    own = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    library = f"/*\n{_part('uplot/LICENSE')}*/\n{_part('uplot/uPlot.iife.min.js')}"  # draws the charts
    script = f'{library}\n(() => {{\n"use strict";\n{own}\n}})();\n'
    style = _part("uplot/uPlot.min.css") + _part("style.css")
    policy = f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}"
    text = json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    page = Template(_part("page.html")).substitute(
        policy=html.escape(policy),
        title=html.escape(str(data["title"])),
        style=style,
        script=script,
        data=text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
    )
    write_atomically(path, page.encode("utf-8", "replace"))


def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _finite(value: Any) -> Any:
    """Return the value, with None for numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
