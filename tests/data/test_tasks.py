# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgelam.data import load_task
from edgelam.data.digits import patches
from edgelam.data.ns3_comments import MIN_WORDS, description, names_module
from edgelam.errors import ConfigurationError


def test_comments_of_the_installed_wheel() -> None:
    task = load_task("ns3-comments")
    assert task.kind == "text"
    assert task.num_classes == 12
    assert len(task.train) + len(task.test) == 9581
    assert 0.17 < len(task.test) / 9581 < 0.23
    texts = [*task.train.inputs, *task.test.inputs]
    assert len(set(texts)) == len(texts)
    for text, label in zip(task.test.inputs, task.test.labels, strict=True):
        assert len(str(text).split()) >= MIN_WORDS
        assert not names_module(str(text), task.label_names[label])
    assert set(task.test.labels.tolist()) == set(range(12))


def test_description_of_a_comment() -> None:
    comment = """
     * @ingroup wifi
     * @brief Set the <b>transmit</b> power, see \\c TxPower.
     *
     * It is \\f$ 10 \\log_{10} x \\f$ dBm.
     * @param power the power
     * @return nothing
     """
    assert description(comment) == "Set the transmit power, see TxPower. It is dBm."
    assert description("///< the size of the window\n   /// in packets") == "the size of the window in packets"


@pytest.mark.parametrize(
    ("text", "module", "named"),
    [
        ("the LTE cell", "lte", True),
        ("an LteRlcAm entity", "lte", True),
        ("the filter to alternate", "lte", False),
        ("a Wi-Fi frame", "wifi", True),
        ("LrWpanMac PIB", "lr-wpan", True),
        ("all networks", "network", True),
        ("the score", "core", False),
    ],
)
def test_comments_that_name_their_module_are_found(text: str, module: str, named: bool) -> None:
    assert names_module(text, module) is named


def test_digits_are_patches() -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    np.testing.assert_array_equal(patches(image)[0], [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]])
    task = load_task("digits", seed=1)
    assert task.token_shape == (16, 4)
    assert len(task.train) + len(task.test) == 1797
    assert np.abs(task.train.inputs).max() <= 1.0  # type: ignore[arg-type]
    again = load_task("digits", seed=1)
    np.testing.assert_array_equal(task.test.inputs, again.test.inputs)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_own_table(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"text": [f"sample {i}" for i in range(40)], "label": ["cat", "dog"] * 20, "extra": 1.0})
    path = tmp_path / f"pets{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    task = load_task(path, test_fraction=0.25)
    assert task.label_names == ("cat", "dog")
    assert (task.kind, len(task.train), len(task.test)) == ("text", 30, 10)
    assert np.bincount(task.test.labels).tolist() == [5, 5]


def test_own_table_with_its_own_split_and_numbers_as_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label,split\none,10,train\ntwo,9,train\nthree,10,Test\n")
    task = load_task(path)
    assert task.label_names == ("9", "10")
    assert list(task.test.inputs) == ["three"]
    assert task.test.labels.tolist() == [1]


def test_a_csv_is_taken_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label,split\n007,NA,train\nnull,01,train\n1e5,1,train\n1.0,01,test\n")
    task = load_task(path)
    assert list(task.train.inputs) == ["007", "null", "1e5"]
    assert list(task.test.inputs) == ["1.0"]
    assert task.label_names == ("01", "1", "NA")
    path.write_text("text,label\n" + "a,01\nb,1\n" * 4)
    assert load_task(path).label_names == ("01", "1")


def test_own_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, tokens=np.zeros((10, 3, 2)), labels=np.arange(10) % 2)
    task = load_task(path)
    assert task.token_shape == (3, 2)
    np.savez(path, text=np.array([f"t {i}" for i in range(10)]), label=np.array(["a", "b"] * 5))
    assert load_task(path).kind == "text"


GOOD = np.zeros((4, 3, 2))
BAD_FILES = {
    "no column 'label'": ("csv", "text,lable\na,b\n"),
    "no column 'text' and no column 'label'": ("csv", "a,b\n1,2\n"),
    "the file is empty": ("csv", ""),
    "no samples": ("csv", "text,label\n"),
    "only one class": ("csv", "text,label\na,x\nb,x\n"),
    "text of row 2 is empty or NaN": ("csv", "text,label\na,x\n,y\n"),
    "label of row 2 is empty or NaN": ("csv", "text,label\na,x\nb,\n"),
    "not fractions": ("csv", "text,label\na,0.5\nb,1\n"),
    "split holds 'dev'": ("csv", "text,label,split\na,x,train\nb,y,dev\n"),
    "classes that the training set does not": ("csv", "text,label,split\na,x,train\nb,y,train\nc,z,test\n"),
    "no samples for testing": ("csv", "text,label\na,x\nb,y\n"),
    "cannot be read as Parquet": ("parquet", "text,label\n"),
    "cannot be read as NPZ": ("npz", "text,label\n"),
    "UTF-8": ("csv", b"text,label\n\xff\xfe,a\n"),
    "what float32 cannot hold": ("npz", {"tokens": GOOD + 1e300, "labels": [0, 1, 0, 1]}),
    "hold NaN": ("npz", {"tokens": np.full((4, 3, 2), np.nan), "labels": [0, 1, 0, 1]}),
    "legal is [num_samples, num_tokens, num_features]": ("npz", {"tokens": np.zeros((4, 3)), "labels": [0, 1, 0, 1]}),
    "4 samples but 3 labels": ("npz", {"tokens": GOOD, "labels": [0, 1, 0]}),
    "the columns tokens. Needed are": ("npz", {"tokens": GOOD}),
}


@pytest.mark.parametrize("message", list(BAD_FILES))
def test_faults_of_own_files_are_named(tmp_path: Path, message: str) -> None:
    suffix, content = BAD_FILES[message]
    path = tmp_path / f"data.{suffix}"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError) as error:
        load_task(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, text=np.array(["a", 1], dtype=object), labels=np.array([0, 1]))
    with pytest.raises(ConfigurationError, match="cannot be read as NPZ"):
        load_task(path)


def test_unknown_task_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ns3-comments, digits"):
        load_task("mnist")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigurationError, match="this is a folder"):
        load_task(tmp_path / "folder.csv")
    with pytest.raises(ConfigurationError, match="no such file"):
        load_task(tmp_path / "absent.csv")
    with pytest.raises(ConfigurationError, match=r"test_fraction is 1\.5"):
        load_task("digits", test_fraction=1.5)
