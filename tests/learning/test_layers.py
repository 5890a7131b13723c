# SPDX-License-Identifier: GPL-2.0-only
"""Arrows point one way: what every way of learning shares knows none of them, and they do not know one another."""

import ast
from pathlib import Path

import pytest

EDGELAM = Path(__file__).parents[2] / "edgelam"


def imported(package):
    """Modules that a package's files import, wherever in the file, with the file's name."""
    for path in sorted((EDGELAM / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((alias.name, path.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((f"{node.module}.{alias.name}", path.name) for alias in node.names)


@pytest.mark.parametrize(
    ("package", "unknown"),
    [
        ("learning", ("edgelam.federated", "edgelam.air", "edgelam.parallel", "edgelam.runs", "edgelam.data")),
        ("air", ("edgelam.federated", "edgelam.parallel", "edgelam.runs")),
        ("federated", ("edgelam.air", "edgelam.parallel", "edgelam.runs")),
        ("parallel", ("edgelam.air", "edgelam.federated", "edgelam.privacy", "edgelam.runs")),
        ("inference", ("edgelam.air", "edgelam.federated", "edgelam.parallel", "edgelam.privacy", "edgelam.runs")),
        ("privacy", ("edgelam.air", "edgelam.federated", "edgelam.parallel", "edgelam.cosim", "edgelam.runs")),
        ("scenarios", ("edgelam.runs",)),
        ("cosim", ("edgelam.runs", "edgelam.output")),
        ("output", ("edgelam.runs", "edgelam.cosim")),
        ("files", ("edgelam.runs", "edgelam.cosim")),
    ],
)
def test_a_package_does_not_know(package, unknown):
    found = [
        (module, file) for module, file in imported(package) if f"{module}.".startswith(tuple(f"{u}." for u in unknown))
    ]
    assert not found
