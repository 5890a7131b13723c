# SPDX-License-Identifier: GPL-2.0-only
"""split-fedft with traces of the 5G cell: same seed same traces, and nothing else changes."""

import pandas as pd
import pyarrow.parquet as pq

from edgelam.commands import main as cli
from edgelam.runs import load

SMALL = (
    "run", "split-fedft", "--task", "digits", "--num-devices", "2", "--batch-size", "4", "--rounds", "2",
    "--evaluations", "1", "--test-samples", "20", "--threads", "1", "--controls",
)  # fmt: skip


def run_small(out, *more):
    assert cli.main([*SMALL, "--out", str(out), *more]) == 0
    (path,) = (out / "split-fedft").iterdir()
    return path


def test_traces_are_the_same_again_and_change_nothing(tmp_path):
    first = run_small(tmp_path / "a", "--traces", "blocks", "packets", "csi")
    second = run_small(tmp_path / "b", "--traces", "blocks", "packets", "csi")
    without = run_small(tmp_path / "c")
    traces = {"trace_blocks.parquet", "trace_packets.parquet", "trace_csi.parquet"}
    names = {path.name for path in first.glob("*.parquet")}
    assert names == traces | {path.name for path in without.glob("*.parquet")}
    for name in names - {"wall.parquet"}:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    numbered = {"transfers.parquet", "program.parquet"}  # hold numbers of transfers, see below
    for name in names - traces - numbered - {"wall.parquet"}:
        assert (first / name).read_bytes() == (without / name).read_bytes(), name

    run, plain = load(first), load(without)
    numbers = ["transfer"]  # of a transfer: counted through all requests of the run
    pd.testing.assert_frame_equal(run.transfers.drop(columns=numbers), plain.transfers.drop(columns=numbers))
    blocks, packets = run["trace_blocks"], run["trace_packets"]
    assert set(blocks["method"]) == {"split FedFT"}
    assert len(run["trace_csi"]) > 0
    # What the transfers brought crossed the air: in packets, and in transport blocks.
    for uplink, direction in ((1, "uplink"), (0, "downlink")):
        payload = run.transfers.loc[run.transfers["direction"] == direction, "delivered_bytes"].sum()
        carried = packets.loc[packets["uplink"] == uplink, "bytes"].sum()
        decoded = blocks.loc[(blocks["uplink"] == uplink) & (blocks["received"] == 1), "bits"].astype(int).sum()
        assert payload < carried < decoded / 8
    schema = pq.read_schema(first / "trace_blocks.parquet")
    assert str(schema.field("bits").type) == "uint32"
    assert schema.field("time_ns").metadata == {b"unit": b"ns"}
    assert schema.metadata[b"axes"] == b"record"
