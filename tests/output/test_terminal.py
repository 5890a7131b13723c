# SPDX-License-Identifier: GPL-2.0-only
"""Tables at any width: every word whole, every cell there, and nothing beyond the edge that fits otherwise."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgelam.output import terminal
from edgelam.output.terminal import TextTable

HEADS = ("run", "state", "simulated", "delivered", "accuracy")
ROWS = [
    ("split-fedft/20261129-180000-1", "completed", "5.6712 s", "33.6 MB", "0.7131"),
    ("split-fedft/20261129-180000-2", "failed as it was told", "0.1 s", "1 B", "-"),
    ("split-fedft/20261129-180000-3", "[/x] killed", "12.25 s", "33.6 MB", "0.5"),
]


def printed(table: TextTable, width: int) -> str:
    out = io.StringIO()
    table.print(Console(file=out, width=width))
    return out.getvalue()


def table(rows=ROWS, heads=HEADS) -> TextTable:
    made = TextTable("Runs", *heads, left=len(heads))
    made.rows += rows
    return made


@pytest.mark.parametrize("width", [10_000, 120, 80, 60, 40, 10])
def test_every_word_is_whole_at_any_width(width):
    text = printed(table(), width)
    for word in " ".join([*HEADS, *(cell for row in ROWS for cell in row)]).split():
        assert word in text.split(), (width, text)
    longest = max(len(line.rstrip()) for line in text.splitlines())
    assert longest <= max(width, len("simulated") + 5 + len(ROWS[0][0])), text


def test_rows_stay_rows_where_they_fit():
    lines = [line.split() for line in printed(table(), 120).splitlines()]
    assert list(HEADS) in lines
    assert ["split-fedft/20261129-180000-1", "completed", "5.6712", "s", "33.6", "MB", "0.7131"] in lines


def test_rows_become_columns_where_they_do_not_and_as_many_as_fit():
    lines = [line.split() for line in printed(table(), 77).splitlines()]
    assert ["run", ROWS[0][0], ROWS[1][0]] in lines
    assert ["run", ROWS[2][0]] in lines
    assert ["accuracy", "0.7131", "-"] in lines


def test_numbers_are_not_broken_at_their_unit():
    made = TextTable("Sizes", "what it is", "up to the server")
    made.add_row("all of the embeddings together", "33.6 MB")
    for width in (60, 40, 24):
        assert "33.6 MB" in printed(made, width)


cells = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5), st.integers(8, 100))
def test_no_cell_is_lost(rows, width):
    text = printed(table(rows, ("one", "two", "three")), width).split()
    for cell in (cell for row in rows for cell in row):
        assert cell in text


def test_a_kept_output_has_no_edge_unless_columns_says_so(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.results().width == terminal.WIDE
    monkeypatch.setenv("COLUMNS", "80")
    assert terminal.results().width == 80
