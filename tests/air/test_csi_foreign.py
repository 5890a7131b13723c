# SPDX-License-Identifier: GPL-2.0-only
"""CSI in the layouts of other programs: files that are written here element by element become recordings, and back."""

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from edgelam.air import csi
from edgelam.air.csi.foreign.axes import NAMES, Samples, parse
from edgelam.air.csi.foreign.exporting import export_csi
from edgelam.air.csi.foreign.importing import import_csi
from edgelam.air.csi.settings import ExportSettings, ImportSettings
from edgelam.errors import ConfigurationError, EdgelamError

FACTS = {"carrier_hz": 2.4e9, "spacing_hz": 180e3, "period_s": 5e-4}
RNG = np.random.default_rng(5)


def noise(*shape):
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)


def write_matlab_73(path, name, array):
    """As MATLAB does: double precision, dimensions in reverse order, dimensions of 1 at the end dropped."""
    while array.shape[-1] == 1:
        array = array[..., 0]
    kind = np.dtype([("real", "<f8"), ("imag", "<f8")])
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(name, data=np.ascontiguousarray(array.T.astype(complex)).view(kind))


@pytest.fixture
def llm4cp(tmp_path):
    """Two speeds of three samples: 16 + 4 snapshots, 6 subcarriers, 2 columns, 3 rows, 2 polarisations."""
    parts = {"H_U_his": noise(2, 3, 16, 6, 2, 3, 2), "H_U_pre": noise(2, 3, 4, 6, 2, 3, 2),
             "H_D_pre": noise(2, 3, 4, 6, 2, 3, 2)}  # fmt: skip
    files = []
    for name, array in parts.items():
        files.append(tmp_path / f"{name}_train.mat")
        if name == "H_U_his":
            write_matlab_73(files[-1], f"{name}_train", array)
        else:
            scipy.io.savemat(files[-1], {f"{name}_train": array, "note": "invented"})
    return tuple(files), parts


@pytest.mark.parametrize("bands", [1, 2])
def test_llm4cp(llm4cp, tmp_path, bands):
    files, parts = llm4cp
    out = tmp_path / "taken.npz"
    count = import_csi(ImportSettings(files=files[: bands + 1], out=out, speeds_kmh=(10, 20), **FACTS))
    data = csi.load(out)
    assert count == len(data) == 6
    assert data.csi.shape == (6, 20, 1, 12, 6 * bands)
    assert data.speed_mps * 3.6 == pytest.approx([10, 10, 10, 20, 20, 20])
    assert data.tones_hz == pytest.approx((np.arange(6 * bands) - (6 * bands - 1) / 2) * 180e3)
    for row, sample, time, tone, column, line, pol in np.ndindex(2, 3, 20, 6, 2, 3, 2):
        array, at = (parts["H_U_his"], time) if time < 16 else (parts["H_U_pre"], time - 16)
        element = (pol * 3 + line) * 2 + column  # polarisation by polarisation, row by row
        seen = data.csi[row * 3 + sample, time, 0, element]
        assert seen[tone] == array[row, sample, at, tone, column, line, pol]
        if bands == 2:
            if time < 16:
                assert np.isnan(seen[6 + tone])
            else:
                assert seen[6 + tone] == parts["H_D_pre"][row, sample, at, tone, column, line, pol]


def test_predictors_take_both_bands(llm4cp, tmp_path):
    from edgelam.air.prediction import WindowSettings, cut

    files, parts = llm4cp
    import_csi(ImportSettings(files=files, out=tmp_path / "taken.npz", **FACTS))
    data = csi.load(tmp_path / "taken.npz")
    for duplex, wanted in (("tdd", "H_U_pre"), ("fdd", "H_D_pre")):
        windows = cut(data, WindowSettings(duplex=duplex, history=16, horizon=4, tones=6, antennas=0))
        scale = np.sqrt(np.mean(np.abs(parts["H_U_his"][0, 1]) ** 2))
        assert windows.future[1, 0] == pytest.approx(parts[wanted][0, 1, :, :, 0, 0, 0] / scale, rel=1e-5)
    with pytest.raises(ConfigurationError, match="finite"):  # downlink of the past is not known
        cut(data, WindowSettings(duplex="fdd", history=12, horizon=4, tones=6, antennas=0))


@pytest.mark.parametrize("suffix", [".mat", ".npz"])
def test_quadriga(tmp_path, suffix):
    h = noise(2, 3, 5, 7)  # rx, tx, subcarrier, snapshot
    files = tuple(tmp_path / f"ue{k}{suffix}" for k in range(2))
    for path, factor in zip(files, (1, 2), strict=True):
        scipy.io.savemat(path, {"h": h * factor}) if suffix == ".mat" else np.savez(path, h=h * factor, t=np.ones(3))
    import_csi(ImportSettings(files=files, out=tmp_path / "taken.npz", layout="quadriga", **FACTS))
    data = csi.load(tmp_path / "taken.npz")
    assert data.csi == pytest.approx(np.stack([h, 2 * h]).transpose(0, 4, 1, 2, 3))


def test_deepmimo(tmp_path):
    scenes = [noise(4, 1, 8, 5) for _ in range(3)]  # user, rx, tx, subcarrier
    for h in scenes:
        h[2] = 0  # no path reaches this user
    files = tuple(tmp_path / f"scene{k}.npy" for k in range(3))
    for path, h in zip(files, scenes, strict=True):
        np.save(path, h)
    count = import_csi(ImportSettings(files=files, out=tmp_path / "taken.npz", layout="deepmimo", **FACTS))
    data = csi.load(tmp_path / "taken.npz")
    assert count == 3
    assert data.number.tolist() == [0, 1, 3]
    assert data.csi == pytest.approx(np.stack(scenes, 1)[[0, 1, 3]])
    np.save(tmp_path / "all.npy", np.stack(scenes, -1))  # version 4: times behind the subcarriers
    whole = ImportSettings(files=(tmp_path / "all.npy",), out=tmp_path / "all.npz", layout="deepmimo", **FACTS)
    import_csi(whole)
    assert np.array_equal(csi.load(tmp_path / "all.npz").csi, data.csi)


@pytest.mark.parametrize("kind", [np.float64, np.int16])
@pytest.mark.parametrize("suffix", [".mat", ".npy", "7.3"])
def test_real_and_imaginary_parts_as_planes(tmp_path, suffix, kind):
    planes = (100 * RNG.standard_normal((2, 4, 3, 8, 5))).astype(kind)  # part, user, time, tx, subcarrier
    path = tmp_path / ("h.npy" if suffix == ".npy" else "h.mat")
    if suffix == ".npy":
        np.save(path, planes)
    elif suffix == ".mat":
        scipy.io.savemat(path, {"h": planes, "los": np.ones((4, 1))})
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            file.create_dataset("h", data=planes.T)
    out = tmp_path / "taken.npz"
    import_csi(ImportSettings((path,), out, layout="axes", axes="part sample time tx subcarrier", **FACTS))
    assert np.array_equal(csi.load(out).csi[:, :, 0], (planes[0] + 1j * planes[1]).astype(np.complex64))
    for match, axes in (
        ("has real values", "sample time rx tx subcarrier"),
        ("2 along part", "sample part rx tx time"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            import_csi(ImportSettings((path,), tmp_path / "no.npz", layout="axes", axes=axes, **FACTS))


@given(st.permutations([*NAMES[:3], "tx1", "tx2", "subcarrier"]))
def test_any_order_of_axes(order):
    lengths = {"sample": 2, "time": 3, "rx": 1, "tx1": 2, "tx2": 5, "subcarrier": 4}
    array = noise(*(lengths[axis] for axis in order))
    samples = Samples(array, parse(" ".join(order)), "test")
    assert (len(samples), samples.shape) == (2, (3, 1, 10, 4))
    for at in np.ndindex(*array.shape):
        place = dict(zip(order, at, strict=True))
        seen = samples.sample(place["sample"])[place["time"], place["rx"], 5 * place["tx1"] + place["tx2"]]
        assert seen[place["subcarrier"]] == array[at]


@pytest.mark.parametrize("layout", ["llm4cp", "quadriga", "deepmimo"])
def test_there_and_back(npz, tmp_path, layout):
    data = csi.load(npz)  # 11 samples, (5, 8, 2, 12): eight antennas receive
    if layout == "llm4cp":
        one = tmp_path / "one.npz"
        csi.record(csi.RecordSettings(out=one, samples=6, set=("gnbRows=3", "gnbColumns=2", "tones=12", "snapshots=5")))
        data, npz = csi.load(one), one
    settings = ExportSettings((npz,), tmp_path / "files", layout, rows=3, history=3, horizon=2, tones=6)
    files = export_csi(settings)
    with pytest.raises(ConfigurationError, match="is there already"):
        export_csi(settings)
    import_csi(ImportSettings(files=tuple(files), out=tmp_path / "back.npz", layout=layout, **FACTS))
    back = csi.load(tmp_path / "back.npz")
    if layout == "llm4cp":  # the user's one antenna receives there
        assert np.array_equal(back.csi[..., :6], np.swapaxes(data.csi, 2, 3)[..., :6])
        assert np.array_equal(back.csi[:, 3:, ..., 6:], np.swapaxes(data.csi, 2, 3)[:, 3:, ..., 6:])
        assert back.info(0)["tx"]["rows"] * back.info(0)["tx"]["columns"] in (12, 6)
    else:
        assert np.array_equal(back.csi, data.csi)


def test_exported_files_are_matlab_files(npz, tmp_path):
    (file,) = export_csi(ExportSettings((npz,), tmp_path, "quadriga"))
    head = file.read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:] == b"\0\2IM"
    with h5py.File(file) as archive:
        assert archive["H"].attrs["MATLAB_class"] == b"single"
        assert archive["H"].shape == (11, 5, 12, 2, 8)
    (again,) = export_csi(ExportSettings((npz,), tmp_path / "again", "quadriga"))
    assert again.read_bytes() == file.read_bytes()


def test_refused(npz, llm4cp, tmp_path):
    files, _ = llm4cp
    out = tmp_path / "taken.npz"

    def refused(match, files, **settings):
        with pytest.raises(EdgelamError, match=match):
            import_csi(ImportSettings(files=tuple(files), out=out, **{**FACTS, **settings}))
        assert not out.exists()

    refused("H_U_his_... and H_U_pre_... are needed", files[1:])
    refused("no such file", [tmp_path / "none.mat"])
    refused("ends? in one of .mat, .npy, .npz", [tmp_path / "h.csv"])
    refused("second time", [*files, files[0]])
    refused("spacing-hz 0", files, spacing_hz=0.0)
    refused("needs it", files, layout="axes")
    refused("'antenna' is no axis", files[:1], layout="axes", axes="sample antenna")
    refused("each may be there once", files[:1], layout="axes", axes="time time")
    refused("want 5 dimensions", files[:1], layout="deepmimo")
    damaged = tmp_path / "damaged.mat"
    damaged.write_bytes(files[0].read_bytes()[:2000])
    refused("cut off, or of another kind", [damaged])
    damaged.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\xff" * 64)
    refused("cut off, or of another kind", [damaged])
    array = noise(2, 1, 4, 3)
    array[1, 0, 2, 1] = np.nan
    np.save(tmp_path / "nan.npy", array)
    refused("sample 1 has values that are not finite", [tmp_path / "nan.npy"], layout="deepmimo")
    np.save(tmp_path / "zero.npy", 0 * noise(2, 1, 4, 3))
    refused("no sample has any power", [tmp_path / "zero.npy"], layout="deepmimo")
    np.save(tmp_path / "huge.npy", 1e300 * np.ones((2, 1, 4, 3), complex))
    refused("not finite in single precision", [tmp_path / "huge.npy"], layout="deepmimo")
    np.save(tmp_path / "empty.npy", noise(0, 1, 4, 3))
    refused("nothing in it", [tmp_path / "empty.npy"], layout="deepmimo")
    np.save(tmp_path / "real.npy", noise(2, 1, 4, 3).real)
    refused("has real values", [tmp_path / "real.npy"], layout="deepmimo")
    np.save(tmp_path / "objects.npy", np.array([{"user": {"channel": 1}}], dtype=object), allow_pickle=True)
    refused("Python objects", [tmp_path / "objects.npy"], layout="deepmimo")
    np.savez(tmp_path / "dict.npz", user=np.array({"channel": 1}, dtype=object))
    refused("cells, structs or objects", [tmp_path / "dict.npz"], layout="deepmimo")
    user = np.empty((1, 2), object)
    user[0, :] = [{"channel": noise(4, 3)}, {"channel": noise(4, 3)}]
    scipy.io.savemat(tmp_path / "cells.mat", {"DeepMIMO_dataset": user})
    refused("cells, structs or objects", [tmp_path / "cells.mat"], layout="deepmimo")
    np.save(tmp_path / "one.npy", noise(2, 1, 4, 3))
    refused("one row, which has one speed", [tmp_path / "one.npy"], layout="deepmimo", speeds_kmh=(10, 30))
    np.savez(tmp_path / "two.npz", a=noise(2, 1, 4, 3), b=noise(2, 1, 4, 3))
    refused("2 arrays that can be CSI: a, b", [tmp_path / "two.npz"], layout="deepmimo")
    refused("has no array 'c'; it has a, b", [tmp_path / "two.npz"], layout="deepmimo", variable="c")
    np.save(tmp_path / "other.npy", noise(3, 1, 4, 3))
    np.save(tmp_path / "some.npy", noise(2, 1, 4, 3))
    refused("do not fit together along time", [tmp_path / "some.npy", tmp_path / "other.npy"], layout="deepmimo")
    with pytest.raises(ConfigurationError, match="one antenna at the user"):
        export_csi(ExportSettings((npz,), tmp_path / "none"))
