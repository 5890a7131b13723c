# SPDX-License-Identifier: GPL-2.0-only
r"""The default text task: which ns-3 module does a Doxygen comment belong to?

The headers of the installed `ns3` wheel have thousands of Doxygen comments. So this task exists wherever the testbed
runs, needs no download, and is naturally uneven (one module has a third of the samples). A header's
module is the one whose aggregate header `<module>-module.h` includes it. A sample is the description of a comment:
its sections (`@param`, `@return`, ...), markup and formulas are left out. Comments that name their module (as a
word or within an identifier such as `LteRlcAm`), comments of fewer than seven words, and texts that occur in two
modules are left out, and duplicates are kept once. The twelve largest modules are the classes.
"""

import hashlib
import importlib.util
import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from edgelam.data.task import Examples, Task
from edgelam.errors import ConfigurationError

NUM_MODULES = 12
MIN_WORDS = 7
TEST_SHARE_OF_256 = 51  # a text is in the test set if the first byte of its SHA-256 is below this: 20 %

_INCLUDE = re.compile(r"#include <ns3/([^>]+)>")
# /** ... */ and /*! ... */, or a run of lines that start with ///, //! or ///<
_COMMENT = re.compile(r"/\*[*!](?P<block>.*?)\*/|(?P<lines>(?:[ \t]*//[/!][^\n]*\n?)+)", re.DOTALL)
_LINE_START = re.compile(r"^[ \t]*(?:\*+|//[/!])?<?[ \t]?", re.MULTILINE)
_GROUP = re.compile(
    r"^[ \t]*[@\\](?:ingroup|addtogroup|defgroup|name|file|brief|class|struct|relates)\b(?P<rest>[^\n]*)",
    re.MULTILINE,
)
_SECTION = re.compile(
    r"^[ \t]*[@\\](?:t?param|returns?|retval|see|sa|note|todo|internal|deprecated|throws?|author|copydoc)\b",
    re.MULTILINE,
)
_FORMULA = re.compile(r"[@\\]f\$.*?[@\\]f\$|[@\\]f\[.*?[@\\]f\]", re.DOTALL)
_LISTING = re.compile(r"[@\\](?:verbatim|code|rst)\b.*?[@\\]end(?:verbatim|code|rst)\b", re.DOTALL)
_COMMAND = re.compile(r"[@\\][A-Za-z]+[{}]?")
_MARKUP = re.compile(r"</?[A-Za-z][^>\n]{0,20}>|[{}*#`|]")
_SUBWORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def description(comment: str) -> str:
    """Return the text of one comment's inside (without `/**` and `*/`), as one line."""
    text = _LINE_START.sub("", comment)
    text = _GROUP.sub(lambda match: match["rest"] if "brief" in match[0][:7] else "", text)
    section = _SECTION.search(text)
    if section:
        text = text[: section.start()]
    for pattern in (_LISTING, _FORMULA, _COMMAND, _MARKUP):
        text = pattern.sub(" ", text)
    return " ".join(text.split())


def names_module(text: str, module: str) -> bool:
    """Whether the module's name, or its plural, occurs as words or parts of identifiers (`Wi-Fi`, `LrWpanMac`)."""
    name = module.replace("-", "")
    subwords = [word.lower() for word in _SUBWORD.findall(text)]
    for start in range(len(subwords)):
        joined = ""
        for word in subwords[start : start + 4]:
            joined += word
            if joined in (name, name + "s"):
                return True
    return False


def collect(include_folder: Path) -> list[tuple[str, str]]:
    """Return all usable (text, module) pairs below a folder of ns-3 headers, of every module, sorted by text."""
    modules: dict[str, set[str]] = {}
    spelling: dict[str, str] = {}
    for aggregate in sorted(include_folder.glob("*-module.h")):
        module = aggregate.name.removesuffix("-module.h")
        for header in _INCLUDE.findall(aggregate.read_text(errors="replace")):
            path = include_folder / header
            if not path.is_file():
                continue
            for match in _COMMENT.finditer(path.read_text(errors="replace")):
                text = description(match["block"] or match["lines"])
                if len(text.split()) < MIN_WORDS or names_module(text, module):
                    continue
                key = " ".join(re.findall(r"[a-z0-9]+", text.lower()))
                modules.setdefault(key, set()).add(module)
                spelling.setdefault(key, text)
    return sorted((spelling[key], next(iter(found))) for key, found in modules.items() if len(found) == 1)


def header_folder() -> Path:
    """The folder of the installed ns-3 headers. Raises ConfigurationError if the ns3 package is not installed."""
    spec = importlib.util.find_spec("ns3")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        headers = Path(folder) / "include" / "ns3"
        if headers.is_dir():
            return headers
    raise ConfigurationError(
        "task 'ns3-comments' reads the headers of the ns3 package, which is not installed: pip install ns3"
    )


@cache
def load() -> Task:
    """Return the task of the installed wheel: about 9,500 comments in 12 modules, about one in five for testing."""
    samples = collect(header_folder())
    largest = Counter(module for _, module in samples).most_common(NUM_MODULES)
    label_names = tuple(sorted(module for module, _ in largest))
    number = {module: index for index, module in enumerate(label_names)}
    parts: dict[bool, tuple[list[str], list[int]]] = {False: ([], []), True: ([], [])}
    for text, module in samples:
        if module in number:
            is_test = hashlib.sha256(text.encode()).digest()[0] < TEST_SHARE_OF_256
            parts[is_test][0].append(text)
            parts[is_test][1].append(number[module])
    train, test = (Examples(texts, np.array(labels, dtype=np.int64)) for texts, labels in (parts[False], parts[True]))
    return Task("ns3-comments", "text", train, test, label_names)
