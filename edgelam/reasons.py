# SPDX-License-Identifier: GPL-2.0-only
"""Why something ended, in one line: the most informative line of an error or of a program's output."""

import re

# NS_FATAL_ERROR, NS_ASSERT, NS_ABORT and similar; the message in between may have several lines
_NS3 = re.compile(
    r'^[ \t]*((?:NS_ASSERT failed, |aborted\. |msg=")(?:(?!^[ \t]*(?:NS_ASSERT failed, |aborted\. |msg="))[^\0])*?'
    r"file=[^\n]*, line=\d+)",
    re.MULTILINE,
)
_CPP = re.compile(
    r"^[ \t]*terminate called after throwing an instance of '([^'\n]*)'\n(?:[ \t]*what\(\): +([^\n]*))?", re.MULTILINE
)
_OWN = "edgelam: "


def of_output(text: str) -> str | None:
    """Return what ns-3, or else C++, said when it ended a program that wrote `text`; None: neither said anything."""
    if found := _NS3.findall(text):
        return " ".join(found[-1].split())
    if found := _CPP.findall(text):
        kind, what = found[-1]
        return f"{kind}: {what}" if what else f"an exception of type {kind}"
    return None


def of_log(text: str) -> str:
    """Return why a run failed, from what its process wrote to stderr: the first line of the error that ended it."""
    lines = [line for line in text.splitlines() if line.strip()]
    own = max((i for i, line in enumerate(lines) if line.startswith(_OWN)), default=-1)
    if own >= 0 and not any(line.startswith("Traceback ") for line in lines[own:]):
        return lines[own].removeprefix(_OWN)
    return of_output(text) or (lines[-1].strip() if lines else "")
