# SPDX-License-Identifier: GPL-2.0-only
import dataclasses
import time
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgelam.errors import EdgelamError
from edgelam.runs import StorageError
from edgelam.runs.folders import tables
from edgelam.runs.folders.tables import (
    TableWriter,
    parts_folder,
    read_arrow,
    read_table,
    schema_from,
    schema_of,
    table_file,
    table_names,
)  # fmt: skip

SCHEMA = {"node": str, "size_bytes": int, "time_s": float, "ok": bool}
rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "node": st.text(),
            "size_bytes": st.integers(-(2**63), 2**63 - 1),
            "time_s": st.floats(allow_nan=False),
            "ok": st.booleans(),
        },
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_any_kind, per_part=st.integers(1, 9), per_part_2=st.integers(1, 50))
def test_any_rows_come_back_in_order_and_the_bytes_depend_on_the_rows_alone(
    tmp_path_factory, rows, per_part, per_part_2
):
    contents = []
    for size in (per_part, per_part_2):
        folder = tmp_path_factory.mktemp("table")
        table = TableWriter(folder, "t", schema_from(SCHEMA), rows_per_part=size)
        for row in rows:
            table.append(row)
        table.flush()
        expected = [{name: row.get(name) for name in SCHEMA} for row in rows]
        if rows:
            assert read_arrow(folder, "t").to_pylist() == expected
        table.close()
        assert read_arrow(folder, "t").to_pylist() == expected
        assert read_arrow(folder, "t").column_names == list(SCHEMA)
        assert not parts_folder(folder, "t").exists()
        contents.append(table_file(folder, "t").read_bytes())
    assert contents[0] == contents[1]


def test_rows_and_columns_may_be_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_PER_GROUP", 4)
    table = TableWriter(tmp_path, "t", schema_from({"a": int, "b": str}), rows_per_part=3)
    table.append({"a": 0})
    table.extend({"a": np.arange(1, 9), "b": ["x"] * 8})
    table.extend({"a": np.array([], np.int64)})
    table.append({"a": 9, "b": "y"})
    with pytest.raises(EdgelamError, match="no column c"):
        table.extend({"c": [1]})
    table.flush()
    for _ in range(2):
        read = read_arrow(tmp_path, "t")
        assert read["a"].to_pylist() == list(range(10))
        assert read["b"].to_pylist() == [None, *"xxxxxxxx", "y"]
        table.close()
    assert pq.ParquetFile(table_file(tmp_path, "t")).num_row_groups == 3  # 4, 4 and 2 rows


def test_a_table_is_written_once(tmp_path):
    table = TableWriter(tmp_path, "t", schema_from({"a": int}))
    with pytest.raises(StorageError, match="written once"):
        TableWriter(tmp_path, "t", schema_from({"a": int}))
    table.close()
    table.close()
    with pytest.raises(EdgelamError, match="closed"):
        table.append({"a": 1})


def test_rows_reach_the_disk_after_the_set_time(tmp_path):
    table = TableWriter(tmp_path, "t", schema_from({"a": int}), seconds_per_part=0.0)
    table.append({"a": 1})
    assert read_table(tmp_path, "t")["a"].tolist() == [1]


def test_a_row_of_any_table_takes_along_what_waits_in_the_others(tmp_path):
    together = tables.Tables()
    rare, late, busy = (
        TableWriter(tmp_path, name, schema_from({"a": int}), seconds_per_part=seconds, together=together)
        for name, seconds in (("rare", 0.01), ("late", 1000.0), ("busy", 1000.0))
    )
    for table in (rare, late):
        table.append({"a": 1})
        table.append({"a": 2})
    time.sleep(0.02)
    busy.append({"a": 3})
    assert read_table(tmp_path, "rare")["a"].tolist() == [1, 2]
    assert not len(read_table(tmp_path, "late"))
    assert not len(read_table(tmp_path, "busy"))
    for table in (rare, late, busy):
        table.close()
    assert [read_table(tmp_path, name)["a"].tolist() for name in ("rare", "late", "busy")] == [[1, 2], [1, 2], [3]]


def test_whole_numbers_beside_nothing_stay_whole(tmp_path):
    exact = 2**53 + 1  # no float is this number
    table = TableWriter(tmp_path, "t", schema_from({"sent": int, "late": int | None, "loss": float}))
    table.append({"sent": exact, "late": exact, "loss": 0.5})
    table.append({"sent": None, "late": None, "loss": None})
    table.flush()  # as a run that is killed leaves it
    for _ in range(2):
        read = read_table(tmp_path, "t")
        assert [str(kind) for kind in read.dtypes] == ["Int64", "Int64", "float64"]
        assert read["sent"][0] == read["late"][0] == exact
        assert read["sent"].isna().tolist() == [False, True]
        table.close()


def test_a_value_of_the_wrong_type_is_an_error_naming_table_and_column(tmp_path):
    table = TableWriter(tmp_path, "t", schema_from({"a": int}))
    table.append({"a": "many"})
    with pytest.raises(EdgelamError, match=r"table 't'.*a"):
        table.flush()


def test_a_kill_between_compaction_and_clean_up_counts_no_row_twice(tmp_path):
    table = TableWriter(tmp_path, "t", schema_from({"a": int}), rows_per_part=1)
    table.append({"a": 1})
    part = next(parts_folder(tmp_path, "t").iterdir())
    table_file(tmp_path, "t").write_bytes(part.read_bytes())
    assert read_table(tmp_path, "t")["a"].tolist() == [1]
    assert table_names(tmp_path) == ["t"]


def test_a_leftover_temporary_file_is_not_read(tmp_path):
    table = TableWriter(tmp_path, "t", schema_from({"a": int}), rows_per_part=1)
    table.append({"a": 1})
    (parts_folder(tmp_path, "t") / ".000001.parquet.99.tmp").write_bytes(b"PAR1 half")
    assert read_table(tmp_path, "t")["a"].tolist() == [1]


def test_a_damaged_table_is_named(tmp_path):
    table_file(tmp_path, "t").write_bytes(b"PAR1 no footer")
    with pytest.raises(StorageError, match=r"'t'.*damaged"):
        read_table(tmp_path, "t")


def test_a_schema_comes_from_a_flat_dataclass():
    @dataclasses.dataclass
    class Record:
        node: str
        status: Literal["complete", "failed"]
        size_bytes: int | None

    schema = schema_of(Record, round=int)
    assert schema.names == ["round", "node", "status", "size_bytes"]
    assert [str(kind) for kind in schema.types] == ["int64", "string", "string", "int64"]
    with pytest.raises(EdgelamError, match="'x' has type"):
        schema_from({"x": list[int]})
