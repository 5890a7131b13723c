# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx extension: the pages of docs/reference, written from the installed package before each build.

commands.md     `--help` of every command
scenarios.md    `--help` of every installed scenario: its options
attributes.md   ns-3 attributes of the project's types
cpp.md          what a scenario calls, from the C++ headers
python.md       an index, and a page for each package that says what it offers: those names and their docstrings
internals.md    an index, and a page for each package with what else its modules hold
experiment-*.md the pages that lie beside the experiments' code
"""

import inspect
import os
import pkgutil
import re
import subprocess
import sys
import types
from importlib import import_module
from pathlib import Path
from typing import Any

import cpp_reference

import edgelam
from edgelam import paths

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
HIDDEN = ("edgelam.experiments", "edgelam.edgelam", "edgelam.__main__", "edgelam.commands.main")
SCENARIOS = Path(__file__).parent.parent / "ns3-scenarios"
CPP = {  # class -> header, and what it is for
    "Scenario": ("helper/scenario.h", "The frame: command line, seed, exposed nodes, the run."),
    "Options": ("helper/options.h", "`scenario.options()`: typed options with limits and help."),
    "Registry": ("model/coupling/registry.h", "`scenario.registry()`: what Python may read and set."),
    "BlockFeed": ("model/coupling/block-feed.h", "An observable that is a large array, filled in shared memory."),
    "CsiPublisher": ("helper/csi-publisher.h", "Channel state information of chosen links as observables."),
    "NrHelper": ("helper/nr-helper.h", "IP over a 5G NR cell."),
    "UeMotion": ("helper/ue-motion.h", "UEs that walk."),
}
# Of edgelam.cosim, before all others.
FIRST = ("simulate", "Node", "Simulation", "attach")


def write(app: Any) -> None:
    """Write all pages; a page that is as it was is left alone, so that Sphinx need not read it again."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": _commands(),
        "scenarios": _scenarios(),
        "attributes": _attributes(),
        "cpp": _cpp(),
        **_python(),
        **_experiments(),
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in folder.glob("*.md"):
        if path.stem not in pages:
            path.unlink()


def _commands() -> str:
    text = "# Commands\n\n`edgelam COMMAND --help` shows the same text.\n"
    waiting: list[list[str]] = [[]]
    while waiting:
        words = waiting.pop(0)
        shown = _output([sys.executable, "-m", "edgelam", *words, "--help"])
        text += _block(" ".join(["edgelam", *words]), shown)
        waiting += [[*words, name] for name in _subcommands(shown)]
    return text


def _subcommands(shown: str) -> list[str]:
    """The names in the help's first line: `usage: edgelam [-h] {run,plot,...}`."""
    if "─ subcommands ─" not in shown:
        return []
    names = re.findall(r"\{([\w,\s-]+)\}", shown.partition("\n\n")[0])
    return [name.strip() for name in names[-1].split(",")] if names else []


def _scenarios() -> str:
    text = "# Options of the scenarios\n\nSet them with `--options NAME=VALUE ...` of an experiment.\n"
    for name, binary in paths.scenarios().items():
        text += _block(name, _output([str(binary), "--help"]))
    return text


def _attributes() -> str:
    binary = next(iter(paths.scenarios().values()))
    text = (
        "# ns-3 attributes\n\nEvery scenario can set the default of any ns-3 attribute, with `--options NAME=VALUE`. "
        "`--attributes=ns3::Tcp` of a scenario lists the attributes of ns-3's own types. These are edgelam's own.\n"
    )
    for part in _output([str(binary), "--attributes"]).strip().split("\n\n"):
        kind, *lines = part.splitlines()
        text += f"\n## {kind}\n\n| attribute | default | what |\n|---|---|---|\n"
        for line in lines:
            name, _, rest = line.strip().removeprefix("--").partition("=")
            default, _, what = rest.partition("  ")
            text += f"| `{name.rpartition('::')[2]}` | `{default}` | {what.rpartition(' [')[0]} |\n"
    return text


def _cpp() -> str:
    text = (
        "# C++ for scenarios\n\nNamespace `edgelam`; `#include <edgelam/scenario.h>` has `Scenario`, `Options` and "
        "`Registry`; the others have their own headers. "
        "[writing-a-scenario.md](../writing-a-scenario.md) shows examples.\n"
    )
    for name, (header, what) in CPP.items():
        text += f"\n## {name}\n\n{what} `ns3-scenarios/{header}`\n\n{cpp_reference.table(SCENARIOS / header, name)}"
    return text


def _python() -> dict[str, str]:
    """Page name -> text."""
    names = [module.name for module in pkgutil.walk_packages(edgelam.__path__, "edgelam.")]
    names = [name for name in names if not name.startswith(HIDDEN) and "._" not in name]
    modules = {name: import_module(name) for name in names}  # fails here, with a traceback, rather than as a warning
    offering = [name for name, module in modules.items() if hasattr(module, "__all__")]
    public = {name: [*modules[name].__all__] for name in sorted(offering, key=lambda name: name != "edgelam.cosim")}
    shown = {
        f"{module}.{name}"
        for package, offered in public.items()
        for name in offered
        if (module := getattr(getattr(modules[package], name), "__module__", None))
    }
    pages = {f"python-{_short(package)}": _public(package, modules[package]) for package in public}
    pages["python-errors"] = _module("edgelam.errors", [], "#")
    inside: dict[str, list[str]] = {}
    for name in names:
        if name not in public and name != "edgelam.errors":
            page = name.split(".")[1] if name.count(".") > 1 or hasattr(modules[name], "__path__") else "edgelam"
            inside.setdefault(page, []).append(name)
    for page, members in sorted(inside.items()):
        title = "edgelam, other modules" if page == "edgelam" else f"edgelam.{page}, inside"
        told = [_module(name, [full for full in shown if full.rpartition(".")[0] == name], "##") for name in members]
        pages[f"internals-{page}"] = f"# {title}\n\n{chr(10).join(told)}"
    return {
        "python": "# Python\n\n`from edgelam import cosim`, then [`simulate`](python-cosim.md), `Node` and "
        "`Simulation`: most programs need only these. "
        "Names on these pages stay as they are; [everything else](internals.md) may change.\n\n"
        + _toctree([page for page in pages if page.startswith("python-")]),
        "internals": "# Internals\n\nFor readers and authors of the code: everything in each module that is not "
        "among the names of [Python](python.md).\n\n"
        + _toctree([page for page in pages if page.startswith("internals-")]),
        **pages,
    }


def _short(package: str) -> str:
    return package.removeprefix("edgelam.").replace(".", "-")


def _toctree(pages: list[str]) -> str:
    return "```{toctree}\n:maxdepth: 1\n\n" + "".join(f"{page}\n" for page in pages) + "```\n"


def _public(package: str, module: Any) -> str:
    """What a package offers, the first things first."""
    text = f"# {package}\n\n```{{eval-rst}}\n.. automodule:: {package}\n   :no-members:\n"
    names = sorted(module.__all__, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name.lower()))
    for name in names:
        value = getattr(module, name)
        if not callable(value) or isinstance(value, types.GenericAlias):
            items = f": {', '.join(map(str, value))}" if isinstance(value, dict | list | tuple | set) else ""
            text += f"\n.. py:data:: {package}.{name}\n\n   {type(value).__name__}{items}\n"
            continue
        kind = "class" if inspect.isclass(value) else "function"
        text += f"\n.. auto{kind}:: {package}.{name}\n"
        if f"{package}.{name}" in sys.modules:  # a module is called so, too, and has a page among the internals
            text += "   :no-index:\n"
    return text + "```\n"


def _module(name: str, without: list[str], heading: str) -> str:
    """Everything in a module but what stands on another page."""
    left_out = ", ".join(sorted(full.rpartition(".")[2] for full in without))
    option = f"   :exclude-members: {left_out}\n" if left_out else ""
    return f"{heading} {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n{option}```\n"


def _experiments() -> dict[str, str]:
    """Page name -> text, with links as they are from docs/reference."""
    return {_page(path): _moved(path) for path in sorted(EXPERIMENTS.glob("*/**/*.md"))}


def _moved(path: Path) -> str:
    """The text, with links to files as they are from docs/reference; folders are no pages."""

    def there(link: re.Match[str]) -> str:
        target = (path.parent / link[1]).resolve()
        if not target.is_file():
            return link[0]
        page = f"{_page(target)}.md" if target.suffix == ".md" and EXPERIMENTS in target.parents else None
        return f"]({page or os.path.relpath(target, EXPERIMENTS.parent / 'docs' / 'reference')}"

    def no_folder(link: re.Match[str]) -> str:
        return link[1] if (path.parent / link[2]).resolve().is_dir() else link[0]

    text = re.sub(r"\[([^\]\n]*)\]\(([\w./-]+)\)", no_folder, path.read_text())
    return re.sub(r"\]\(([\w./-]+)", there, text)


def _page(path: Path) -> str:
    """Of a text beside an experiment: its folders, and its name if that is not README."""
    *folders, name = path.relative_to(EXPERIMENTS).with_suffix("").parts
    return "-".join(["experiment", *folders, *([] if name == "README" else [name.lower()])])


def link_outside(app: Any, name: str, source: list[str]) -> None:
    """Links from docs to the experiments' pages lead to their copies here; to the README and to folders, nowhere."""
    text = re.sub(
        r"\]\(\.\./experiments/([\w/]+\.md)", lambda link: f"](reference/{_page(EXPERIMENTS / link[1])}.md", source[0]
    )
    source[0] = re.sub(
        r"\[([^\]]+)\]\(\.\./((?:README|SECURITY|CONTRIBUTING|CHANGELOG)\.md[^)]*|[\w/-]+)\)", r"\1", text
    )


def _output(command: list[str]) -> str:
    plain = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=plain, timeout=60).stdout


def _block(title: str, text: str) -> str:
    return f"\n## {title}\n\n````text\n{text.rstrip()}\n````\n"


def plain_docstring(app: Any, what: str, *rest: Any) -> None:
    """Docstrings are plain text: bars and stars are what they look like, |H| and 4*4; examples are code; drawings and
    tables of modules keep their columns."""
    lines: list[str] = rest[-1]
    done: list[str] = []
    code: int | None = None  # how far the line is indented that began the code we are in
    while lines:
        if code is not None and (not lines[0].strip() or _indent(lines[0]) > code):
            done.append(lines.pop(0))
            continue
        paragraph = []
        while lines and lines[0].strip() and not (paragraph and paragraph[-1].endswith("::")):
            paragraph.append(lines.pop(0))
        code = _indent(paragraph[-1]) if paragraph and paragraph[-1].endswith("::") else None
        if not paragraph:
            done.append(lines.pop(0))
        elif what == "module" and code is None and _is_drawn("\n".join(paragraph)):
            done += ["::", "", *(f"    {line}" for line in paragraph)]
        else:
            done += [line if line.startswith("    ") else _escaped(line) for line in paragraph]
    lines[:] = done


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_drawn(paragraph: str) -> bool:
    return paragraph.startswith(("    ", "|")) or re.search(r"\S {3,}\S", paragraph) is not None


def _escaped(text: str) -> str:
    return re.sub(r"(?<!`)([|*])(?!`)", r"\\\1", text)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    app.connect("source-read", link_outside)
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)  # before Google's sections are read
    return {"parallel_read_safe": True}
