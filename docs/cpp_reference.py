# SPDX-License-Identifier: GPL-2.0-only
"""The public members of a C++ class, read off its header: enough for the headers of this project, no C++ parser.

A member is what stands between two others at the top of the class: its comment of `///` lines, and its declaration up
to the `;` or the body.
"""

import re
from pathlib import Path


def members(header: Path, name: str) -> list[tuple[str, str]]:
    """(declaration, comment) of each public function of the class, in the header's order. Raises ValueError."""
    text = header.read_text()
    found = re.search(rf"^class {name}\b[^;{{]*\{{\n", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{header} has no class {name}")
    body = text[found.end() : _closing(text, found.end() - 2)]
    public, place, members, comment = False, 0, [], []
    while place < len(body):
        line = body[place:].partition("\n")[0]
        stripped = line.strip()
        if stripped in ("public:", "private:", "protected:"):
            public = stripped == "public:"
        elif stripped.startswith("///"):
            comment.append(stripped.removeprefix("///").strip())
        elif stripped:
            declaration, place = _declaration(body, place)
            if public and "(" in declaration and not declaration.startswith(("struct ", "class ", "using ", "~")):
                members.append((declaration, _plain(" ".join(comment))))
            comment = []
            continue
        else:
            comment = []
        place += len(line) + 1
    return members


def table(header: Path, name: str) -> str:
    """The members as a table in Markdown."""
    rows = [f"| `{declaration}` | {comment} |\n" for declaration, comment in members(header, name)]
    return "| declaration | what |\n|---|---|\n" + "".join(rows)


def _declaration(body: str, place: int) -> tuple[str, int]:
    """The declaration that begins at `place`, in one line, and the place of the line after it."""
    depth, start, end = 0, place, 0
    while depth or body[place] not in ";{" or (end and body[place] == "{" and body[place - 1].isalnum()):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(body[place], 0)
        if not depth and not end and re.match(r"\)\s*:[^:]", body[place:]):
            end = place + 1  # what follows are a constructor's initialisers
        place += 1
    text = " ".join(body[start : end or place].split())
    if body[place] == "{":
        place = _closing(body, place)
    end = body.find("\n", place)
    return text, len(body) if end < 0 else end + 1


def _closing(text: str, opening: int) -> int:
    """The place of the brace that closes the one at `opening`."""
    depth, place = 0, opening
    while True:
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
        place += 1


def _plain(comment: str) -> str:
    """Doxygen's words as text, and nothing that Markdown would read."""
    comment = re.sub(r"\\p(?:aram)? (\w+)", r"`\1`", comment).replace("\\return", "Returns:")
    return re.sub(r"(?<!`)([|*<])", r"\\\1", comment)
