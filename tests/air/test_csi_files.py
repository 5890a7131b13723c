# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of CSI: the same content in every format, mapped where possible, refused where they are none."""

import io
import json
import os
import struct
import sys
import warnings
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from edgelam.air import csi
from edgelam.errors import ConfigurationError, EdgelamError

COLUMNS = {
    "link": (), "pilot_snr_db": (), "time_s": (), "speed_mps": (), "mean_gain_db": (), "snr_db": (), "los": (),
    "indoor": (), "path_loss_db": (), "shadowing_db": (), "distance_3d_m": (), "delay_spread_s": (),
    "rx_position_m": (3,), "rx_velocity_mps": (3,), "tx_position_m": (3,), "tx_velocity_mps": (3,),
}  # fmt: skip


def test_content(recording):
    data = csi.load(recording)
    assert len(data) == 11
    assert data.csi.dtype == np.complex64
    assert data.csi.shape == (11, 5, 8, 2, 12)
    assert data.link.tolist() == [f"ue{k % 3}" for k in range(11)]  # block by block, link by link
    assert data.time_s == pytest.approx([k // 3 * 5 * 0.5e-3 for k in range(11)])
    for name, shape in COLUMNS.items():
        assert data.columns[name].shape == (11, *shape), name
        assert name in ("link", "pilot_snr_db") or np.isfinite(data.columns[name]).all(), name
    assert data.tones_hz == pytest.approx((np.arange(12) - 5.5) * 180e3)
    assert (data.rx_position_m == [0, 0, 30]).all()
    assert (data.rx_velocity_mps == 0).all()
    distance = np.linalg.norm(data.tx_position_m[:, :2], axis=1)
    assert ((distance >= 150) & (distance <= 200)).all()
    assert (data.tx_position_m[:, 2] == 1.5).all()
    assert np.linalg.norm(data.tx_velocity_mps, axis=1) == pytest.approx(data.speed_mps)
    assert ((data.speed_mps >= 10 / 3.6) & (data.speed_mps <= 100 / 3.6)).all()
    assert (data.los == 0).all()
    assert np.isinf(data.pilot_snr_db).all()
    gain = 10 * np.log10(np.mean(np.abs(data.csi) ** 2, axis=(1, 2, 3, 4)))
    assert data.mean_gain_db == pytest.approx(gain, abs=1e-4)
    noise_dbm = -173.975 + 10 * np.log10(12 * 180e3) + 5
    assert data.snr_db == pytest.approx(23 + gain - noise_dbm, abs=1e-3)
    assert data.metadata["options"]["numUe"] == "3"
    assert data.metadata["versions"]["ns3"]
    info = data.info(4)
    assert info["carrier_hz"] == 2.4e9
    assert (info["rx"]["rows"], info["rx"]["columns"], info["rx"]["polarisations"]) == (2, 2, 2)
    assert info["tx"]["polarisations"] == 2
    with pytest.raises(AttributeError, match="no 'nonsense'; it has: csi, tones_hz, link"):
        _ = data.nonsense


def test_every_format_has_the_same(recording, npz):
    one, other = csi.load(recording), csi.load(npz)
    assert np.array_equal(one.csi, other.csi)
    assert one.columns.keys() == other.columns.keys()
    for name in one.columns:
        assert np.array_equal(one.columns[name], other.columns[name], equal_nan=name != "link"), name
    assert one.metadata == other.metadata


def test_torch_takes_it(recording):
    torch = pytest.importorskip("torch")
    before = recording.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(csi.load(recording).csi)
    assert tensor.dtype == torch.complex64
    tensor *= 0  # this process's pages only
    assert recording.read_bytes() == before


def test_npz_is_mapped_aligned_and_plain(npz):
    data = csi.load(npz)
    assert isinstance(data.csi, np.memmap)
    assert data.csi.__array_interface__["data"][0] % 64 == 0
    with np.load(npz) as plain:  # with checksums
        assert np.array_equal(plain["csi"], data.csi)
        assert np.array_equal(plain["los"], data.los)
        assert json.loads(str(plain["metadata"]))["seed"] == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems refuse such names")
def test_a_path_that_is_no_utf8_is_read(recording, tmp_path):
    other = tmp_path / os.fsdecode(b"caf\xe9") / recording.name
    other.parent.mkdir()
    other.write_bytes(recording.read_bytes())
    assert np.array_equal(csi.load(other).csi, csi.load(recording).csi)


def test_others_read_parquet_and_arrow(recording):
    if recording.suffix == ".parquet":
        frame = pd.read_parquet(recording, columns=["link", "speed_mps"])
    elif recording.suffix == ".arrow":
        frame = pa.ipc.open_file(str(recording)).read_all().select(["link", "speed_mps"]).to_pandas()
    else:
        pytest.skip("NumPy's")
    assert frame["link"][1] == "ue1"
    assert frame["speed_mps"].tolist() == csi.load(recording).speed_mps.tolist()


def test_cut_off_anywhere_is_one_clear_error(recording, tmp_path):
    whole = recording.read_bytes()
    for keep in (0, 1, 100, len(whole) // 2, len(whole) - 79, len(whole) - 70, len(whole) - 1):
        path = tmp_path / f"cut{recording.suffix}"
        path.write_bytes(whole[:keep])
        with pytest.raises(EdgelamError) as caught:
            csi.load(path)
        assert str(path) in str(caught.value)
        assert "cut off" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_foreign_files(tmp_path):
    with pytest.raises(EdgelamError, match="no such file"):
        csi.load(tmp_path / "a.npz")
    with pytest.raises(ConfigurationError, match=r"a.txt: the name of a recording ends in one of .npz, .parquet"):
        csi.load(tmp_path / "a.txt")
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    with pytest.raises(EdgelamError, match="is not a recording of CSI: it has no csi and no metadata, but weights"):
        csi.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", csi=np.zeros((2, 3)), metadata="{}")
    with pytest.raises(EdgelamError, match="csi is float64 of 2 dimensions, not complex64 of 5"):
        csi.load(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", csi=np.zeros((1, 2, 1, 1, 3), np.complex64), metadata="{}")
    with pytest.raises(EdgelamError, match="its metadata lack scenario"):
        csi.load(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", csi=np.zeros((1, 2, 1, 1, 3), np.complex64), metadata="{}", x=np.array([{}]))
    with pytest.raises(EdgelamError, match=r"d\.npz is not a whole \.npz file"):
        csi.load(tmp_path / "d.npz")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(EdgelamError, match="is not a recording of CSI: it has the columns a"):
        csi.load(tmp_path / "a.parquet")


def npy(values) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, allow_pickle=True)
    return stream.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


FLOATS = "{'descr': '<f8', 'fortran_order': False, 'shape': %s}"
CSI = "{'descr': '<c8', 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
    "members",
    [
        {"x": header(FLOATS % "(1000000000000,)")},
        {"x": header(FLOATS % "(10000000000000000000,)")},
        {"x": header(FLOATS % "(-5,)")},
        {"x": header(FLOATS % ("(" * 900 + "1" + ",)" * 900))},
        {"x": header("(" * 9000 + ")" * 9000)},
        {"x": header("{'descr': [('a', '<f8', (100000, 100000, 1000))], 'fortran_order': False, 'shape': (5,)}")},
        {"csi": header(CSI % "(-1, 1, 1, 1, 4)") + bytes(64)},
        {"csi": header(CSI % "(1000000000, 1, 1, 1, 4)") + bytes(64)},
        {"csi": header(CSI % "(4611686018427387904, 4, 1, 1, 4)") + bytes(64)},
        {"csi": header(CSI % "(0, 1, 1, 1, 4)")},
        {"metadata": npy(np.array("[1, 2]"))},
        {"metadata": npy(np.array("[" * 200_000))},
        {"metadata": npy(np.array('{"links": 7}'))},
    ],
    ids=range(13),
)
def test_what_a_file_says_of_itself_is_not_believed(tmp_path, members):
    path = tmp_path / "x.npz"
    whole = {"csi": npy(np.zeros((2, 1, 1, 1, 4), "c8")), "metadata": npy(np.array("{}"))}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (whole | members).items():
            archive.writestr(f"{name}.npy", content)
    with pytest.raises(EdgelamError, match=r"x\.npz is not a") as caught:
        csi.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["encrypted", "unknown", "bomb", "lzma", "checksum", "deflate"])
def test_archives_of_other_kinds_are_one_clear_error(tmp_path, kind):
    path = tmp_path / "x.npz"
    compression = {"bomb": zipfile.ZIP_DEFLATED, "deflate": zipfile.ZIP_DEFLATED, "lzma": zipfile.ZIP_LZMA}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("csi.npy", npy(np.zeros((2, 1, 1, 1, 4), "c8")))
        archive.writestr("metadata.npy", npy(np.array("{}")))
        archive.writestr("x.npy", npy(np.zeros(2_000_000 if kind == "bomb" else 500)), compression.get(kind, 0))
    content = bytearray(path.read_bytes())
    if kind in ("encrypted", "unknown"):
        at = content.find(b"PK\1\2")
        while at >= 0:
            content[at + (8 if kind == "encrypted" else 10)] |= 1 if kind == "encrypted" else 99
            at = content.find(b"PK\1\2", at + 1)
    at = content.find(b"x.npy")
    if kind in ("checksum", "deflate"):
        content[at + 20 : at + 26] = b"\xff" * 6
    path.write_bytes(content)
    with pytest.raises(EdgelamError, match=r"x\.npz is not a whole \.npz file"):
        csi.load(path)
