# SPDX-License-Identifier: GPL-2.0-only
"""A user's own file is taken as it is written, or refused with the place: nothing in between."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.data import load_task
from edgelam.data.csv_files import read_rows
from edgelam.errors import ConfigurationError

WORDS = [f"sample {i}" for i in range(12)]
LABELS = [0, 1] * 6


def csv(path: Path, labels: list[str]) -> Path:
    path.write_text("text,label\n" + "".join(f"a {i},{label}\n" for i in range(4) for label in labels))
    return path


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["1e3", "1000", "5"], ("1000", "1e3", "5")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["01", "1", "7a"], ("01", "1", "7a")),
        (["1.0", "1", "x"], ("1", "1.0", "x")),
        (["NA", "None", "nan"], ("NA", "None", "nan")),
        (["True", "true", "1"], ("1", "True", "true")),
        (["9007199254740993", "9007199254740992"], ("9007199254740992", "9007199254740993")),
        (["100000000000000000001", "100000000000000000002"], ("100000000000000000001", "100000000000000000002")),
        (["9" * 5000, "1" + "0" * 5000], ("1" + "0" * 5000, "9" * 5000)),
        (['"1,000"', "1000"], ("1,000", "1000")),
        (["\u0661", "1"], ("1", "\u0661")),
    ],
)
def test_labels_are_what_is_written(tmp_path: Path, labels: list[str], names: tuple[str, ...]) -> None:
    task = load_task(csv(tmp_path / "a.csv", labels))
    assert task.label_names == names
    assert np.bincount(task.train.labels).tolist() == [3] * len(names)


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
@settings(deadline=None)
def test_whatever_a_csv_writer_writes_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    import csv as writer

    path = tmp_path_factory.mktemp("rows") / "a.csv"
    table = [["text", "label"], *rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer.writer(file, quoting=writer.QUOTE_ALL).writerows(table)
    assert list(read_rows(path)) == table


GOOD_CSV = {
    "byte order mark": b"\xef\xbb\xbftext,label\na,x\nb,y\nc,x\nd,y\n",
    "Windows line ends": b"text,label\r\na,x\r\nb,y\r\nc,x\r\nd,y\r\n",
    "an index column": b",text,label\n0,a,x\n1,b,y\n2,c,x\n3,d,y\n",
    "empty lines at the end": b"text,label\na,x\nb,y\nc,x\nd,y\n\n\n",
    "another order": b"label,text\nx,a\ny,b\nx,c\ny,d\n",
}


@pytest.mark.parametrize("case", GOOD_CSV)
def test_a_csv_may_be_written_in_several_ways(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(GOOD_CSV[case])
    task = load_task(path)
    assert sorted([*task.train.inputs, *task.test.inputs]) == ["a", "b", "c", "d"]
    assert task.label_names == ("x", "y")


def test_a_long_text_with_quotes_commas_and_lines_is_one_text(tmp_path: Path) -> None:
    long = "x" * 200_000
    path = tmp_path / "a.csv"
    path.write_text(f'text,label\n"one, ""two""\nthree",a\n{long},b\n q ,a\nNA,b\n')
    task = load_task(path)
    assert {'one, "two"\nthree', long, " q ", "NA"} == {*task.train.inputs, *task.test.inputs}


BAD_CSV = {
    "line 3 has 3 fields where the header has 2": b"text,label\na,x\nb,c,y\n",
    "line 2 has 3 fields": b"text,label\n0,a,x\n1,b,y\n",  # pandas takes the first as an index
    "line 3 has 1 fields": b"text,label\na,x\nb\n",
    "line 3 is empty": b"text,label\na,x\n\nb,y\n",
    "2 columns 'label'": b"text,label,label\na,x,y\nb,y,x\n",
    "2 columns 'text'": b"text,text,label\na,x,y\nb,y,x\n",
    "it has the columns text, ' label'": b"text, label\na,x\nb,y\n",
    "it has the columns 'text;label'": b"text;label\na;x\n",
    "line 2 is not UTF-8 text (byte 0xe9": "text,label\nété,x\nb,y\n".encode("latin-1"),
    "it looks like UTF-16": "text,label\na,x\nb,y\n".encode("utf-16"),
    "zero byte": "text,label\na,x\nb,y\n".encode("utf-16-le"),
    "line 3 cannot be read as CSV": b'text,label\n"a,x\nb,y\n',
    "line 2 cannot be read as CSV": b'text,label\n"a" b,x\nc,y\n',
    "labels 'x' and 'x ' differ in spaces only": b"text,label\na,x\nb,x \nc,y\n",
    "the label of row 2 is empty": b"text,label\na,x\nb,  \n",
    "the label of row 1 is 1.5": b"text,label\na,1.5\nb,2\n",
    "the label of row 2 is 2.0": b"text,label\na,1\nb,2.0\n",
    "split holds '' in row 2": b"text,label,split\na,x,train\nb,y,\n",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a file of 12345 bytes": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
}


@pytest.mark.parametrize("message", BAD_CSV)
def test_a_csv_that_is_not_understood_is_refused(tmp_path: Path, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(BAD_CSV[message])
    with pytest.raises(ConfigurationError) as error:
        load_task(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_parquet_columns_of_every_kind_of_text_and_whole_number(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = (
        pa.array(WORDS), pa.array(WORDS, pa.large_string()), pa.array([w.encode() for w in WORDS]),
        pa.array(WORDS).dictionary_encode(), pa.array(WORDS, pa.string_view()),
    )  # fmt: skip
    for text in texts:
        pq.write_table(pa.table({"text": text, "label": LABELS}), path)
        assert set(load_task(path).train.inputs) < set(WORDS)
    labels: tuple[tuple[Any, tuple[str, str]], ...] = (
        (pa.array(LABELS, pa.uint8()), ("0", "1")), (pa.array([float(x) for x in LABELS]), ("0", "1")),
        (pa.array([x == 1 for x in LABELS]), ("False", "True")), (pa.array([b"a", b"b"] * 6), ("a", "b")),
        (pa.array([2**63, 2**63 + 1] * 6, pa.uint64()), (str(2**63), str(2**63 + 1))),
    )  # fmt: skip
    for label, names in labels:
        pq.write_table(pa.table({"text": WORDS, "label": label}), path)
        assert load_task(path).label_names == names


def test_parquet_is_read_where_no_thread_can_be_made(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": WORDS, "label": LABELS}), path, row_group_size=3)
    program = (
        "import os, sys, pyarrow.parquet as pq\nfrom edgelam.data import load_task\n"
        "pq.ParquetFile(sys.argv[1], pre_buffer=False).read(use_threads=False)\n"  # its allocator makes one
        "before = set(os.listdir('/proc/self/task'))\nload_task(sys.argv[1])\n"
        "print(len(set(os.listdir('/proc/self/task')) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"  # Arrow would wait for the thread for ever


def test_an_index_of_pandas_is_a_column_like_others(tmp_path: Path) -> None:
    path = tmp_path / "label=3.parquet"
    pd.DataFrame({"text": WORDS, "label": LABELS}).set_index("text").to_parquet(path)
    assert set(load_task(path).train.inputs) < set(WORDS)
    folder = tmp_path / "split=test"  # a name that a reader of data sets takes for a column
    folder.mkdir()
    pd.DataFrame({"text": WORDS, "label": LABELS}).to_parquet(folder / "a.parquet")
    assert len(load_task(folder / "a.parquet").train) == 10


BAD_PARQUET: dict[str, dict[str, Any]] = {
    "column text holds list<": {"text": [[w] for w in WORDS]},
    "column text holds struct<": {"text": [{"role": w} for w in WORDS]},
    "column text holds int64": {"text": LABELS},
    "column text holds bool": {"text": [True] * 12},
    "column label holds list<": {"label": [[x] for x in LABELS]},
    "column label holds timestamp": {"label": pd.date_range("2020-01-01", periods=12)},
    "column label holds decimal": {"label": pa.array(LABELS, pa.decimal128(5, 1))},
    "the text of row 3 is not UTF-8": {"text": [b"a", b"b", b"\xff", *(b"c" for _ in range(9))]},
    "the text of row 2 is empty or NaN": {"text": ["a", None, *WORDS[2:]]},
    "the label of row 1 is empty or NaN": {"label": [None, *LABELS[1:]]},
    "the label of row 2 is empty or NaN": {"label": pa.array([1.0, float("nan"), *[0.0] * 10])},
    "the label of row 1 is 0.5": {"label": [0.5, *[1.0] * 11]},
    "the label of row 1 is 1.8446744073709552e+19": {"label": [2.0**64, *[1.0] * 11]},
    "column split holds int64": {"split": LABELS},
}


@pytest.mark.parametrize("message", BAD_PARQUET)
def test_parquet_columns_of_other_kinds_are_refused(tmp_path: Path, message: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": WORDS, "label": LABELS, **BAD_PARQUET[message]}), path)
    with pytest.raises(ConfigurationError) as error:
        load_task(path)
    assert message in str(error.value)


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(WORDS)] * 2 + [pa.array(LABELS)], ["text", "text", "label"]), path)
    with pytest.raises(ConfigurationError, match="2 columns 'text'"):
        load_task(path)


TOKENS = np.zeros((12, 3, 2))
BAD_ARRAYS: dict[str, dict[str, Any]] = {
    "both tokens and text": {"tokens": TOKENS, "text": WORDS, "label": LABELS},
    "both label and labels": {"text": WORDS, "label": LABELS, "labels": LABELS},
    "label has shape (12, 2)": {"text": WORDS, "labels": np.eye(2)[LABELS]},
    "label has shape ()": {"text": WORDS, "labels": 1},
    "text has dtype int64": {"text": LABELS, "labels": LABELS},
    "label has dtype datetime64": {"text": WORDS, "labels": np.array(LABELS, "M8[s]")},
    "label has dtype complex": {"text": WORDS, "labels": np.array(LABELS) * 1j},
    "tokens has dtype bool": {"tokens": TOKENS > 0, "labels": LABELS},
    "tokens has dtype complex": {"tokens": TOKENS * 1j, "labels": LABELS},
    "tokens of row 2 hold": {"tokens": np.full((12, 3, 2), 2**24 + 1) * (np.arange(12) == 1)[:, None, None],
                             "labels": LABELS},
    "the text of row 1 is not UTF-8": {"text": np.array(["\ud800", *WORDS[1:]]), "labels": LABELS},
}  # fmt: skip


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_arrays_of_other_kinds_are_refused(tmp_path: Path, message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **BAD_ARRAYS[message])
    with pytest.raises(ConfigurationError) as error:
        load_task(path)
    assert message in str(error.value)


def test_bytes_and_columns_of_one_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for text in (np.array([w.encode() for w in WORDS]), np.array(WORDS)[:, None]):
        np.savez(path, text=text, labels=np.array(LABELS)[:, None])
        assert set(load_task(path).train.inputs) < set(WORDS)


def _encrypted(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in (b"PK\x03\x04", b"PK\x01\x02"):
        data[data.index(start) + (6 if start.endswith(b"\x04") else 8)] |= 1
    path.write_bytes(data)


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        member = archive.read("text.npy")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("text.npy", member)


def _bad_header(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("text.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16)
        archive.writestr("labels.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16)


@pytest.mark.parametrize("damage", [_encrypted, _twice, _bad_header])
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, text=WORDS, labels=LABELS)
    damage(path)
    with pytest.raises(ConfigurationError, match=r"a\.npz: (cannot be read|there are 2)"):
        load_task(path)
