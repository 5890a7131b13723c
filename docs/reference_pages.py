# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx extension: the pages of docs/reference, written from the installed package before each build.

commands.md     `--help` of every command
scenarios.md    `--help` of every installed scenario: its options
attributes.md   ns-3 attributes of the project's types
python.md       an index, and a page a package with the docstrings of all its modules
experiment-*.md the pages that lie beside the experiments' code
"""

import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import edgelam
from edgelam import paths

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
HIDDEN = ("edgelam.experiments", "edgelam.edgelam", "edgelam.__main__")


def write(app: Any) -> None:
    """Write all pages; a page that is as it was is left alone, so that Sphinx need not read it again."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": _commands(),
        "scenarios": _scenarios(),
        "attributes": _attributes(),
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
    text = "# Commands\n\n`edgelam COMMAND --help` shows what stands here.\n"
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
    text = "# Options of the scenarios\n\n`--options NAME=VALUE ...` of an experiment passes them on.\n"
    for name, binary in paths.scenarios().items():
        text += _block(name, _output([str(binary), "--help"]))
    return text


def _attributes() -> str:
    binary = next(iter(paths.scenarios().values()))
    text = (
        "# ns-3 attributes\n\nEvery scenario takes the default of any ns-3 attribute, `--options NAME=VALUE`; "
        "`--attributes=ns3::Tcp` of a scenario lists those of ns-3's own types. These are the project's.\n"
    )
    for part in _output([str(binary), "--attributes"]).strip().split("\n\n"):
        kind, *lines = part.splitlines()
        text += f"\n## {kind}\n\n| attribute | default | what |\n|---|---|---|\n"
        for line in lines:
            name, _, rest = line.strip().removeprefix("--").partition("=")
            default, _, what = rest.partition("  ")
            text += f"| `{name.rpartition('::')[2]}` | `{default}` | {what.rpartition(' [')[0]} |\n"
    return text


def _python() -> dict[str, str]:
    """Page name -> text; a package of `edgelam` has a page, what lies beside them shares one."""
    modules: dict[str, list[str]] = {}
    for module in pkgutil.walk_packages(edgelam.__path__, "edgelam."):
        name = module.name
        if name.startswith(HIDDEN) or any(part.startswith("_") for part in name.split(".")):
            continue
        page = ".".join(name.split(".")[1:2]) if module.ispkg or name.count(".") > 1 else "edgelam"
        modules.setdefault(page, []).append(name)
    pages = {}
    index = "# Python\n\nWhat a package offers is imported from the package; its modules say what each part does.\n\n"
    index += "```{toctree}\n"
    for page, names in sorted(modules.items()):
        title = "edgelam" if page == "edgelam" else f"edgelam.{page}"
        text = f"# {title}\n"
        for name in names:
            import_module(name)  # fail here, with a traceback, rather than as a warning
            text += f"\n## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"
        pages[f"python-{page}"] = text
        index += f"python-{page}\n"
    return {"python": index + "```\n", **pages}


def _experiments() -> dict[str, str]:
    """Page name -> text, with links as they are from docs/reference."""
    return {_page(path.parent.name, path.stem): _moved(path) for path in sorted(EXPERIMENTS.glob("*/*.md"))}


def _moved(path: Path) -> str:
    beside = re.sub(r"\]\((\w+)\.md", lambda link: f"]({_page(path.parent.name, link[1])}.md", path.read_text())
    return beside.replace("](../../docs/", "](../")


def _page(experiment: str, stem: str) -> str:
    return f"experiment-{experiment}" + ("" if stem == "README" else f"-{stem.lower()}")


def link_outside(app: Any, name: str, source: list[str]) -> None:
    """Links from docs to the experiments' pages lead to their copies here; to the README and to folders, nowhere."""
    text = re.sub(
        r"\]\(\.\./experiments/(\w+)/(\w+)\.md", lambda link: f"](reference/{_page(link[1], link[2])}.md", source[0]
    )
    source[0] = re.sub(r"\[([^\]]+)\]\(\.\./(README\.md[^)]*|[\w/-]+)\)", r"\1", text)


def _output(command: list[str]) -> str:
    plain = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=plain, timeout=60).stdout


def _block(title: str, text: str) -> str:
    return f"\n## {title}\n\n````text\n{text.rstrip()}\n````\n"


def plain_docstring(app: Any, what: str, *rest: Any) -> None:
    """Docstrings are plain text: bars and stars are what they look like, |H| and 4*4; drawings and tables of modules
    keep their columns."""
    lines: list[str] = rest[-1]
    if what == "module":
        paragraphs = "\n".join(lines).split("\n\n")
        lines[:] = "\n\n".join(_literal(text) if _is_drawn(text) else _escaped(text) for text in paragraphs).split("\n")
    else:
        lines[:] = [line if line.startswith("    ") else _escaped(line) for line in lines]


def _is_drawn(paragraph: str) -> bool:
    return paragraph.startswith(("    ", "|")) or re.search(r"\S {3,}\S", paragraph) is not None


def _literal(paragraph: str) -> str:
    return "::\n\n" + "\n".join(f"    {line}" for line in paragraph.splitlines())


def _escaped(text: str) -> str:
    return re.sub(r"(?<!`)([|*])(?!`)", r"\\\1", text)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    app.connect("source-read", link_outside)
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)  # before Google's sections are read
    return {"parallel_read_safe": True}
