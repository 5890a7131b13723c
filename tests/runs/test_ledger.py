# SPDX-License-Identifier: GPL-2.0-only
"""The ledger against the tables it sums up, worked out again by pandas; over a cell; of a run that fails; replayed."""

import asyncio
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from edgelam import cosim
from edgelam.cosim import Work
from edgelam.errors import EdgelamError, TransferError
from edgelam.runs import RunFolder, ledger, load, programs, replay
from edgelam.runs.recording import SimulationRecorder


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1
    scenario: str = "wired-star"
    options: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    compute: str = "modelled"


async def conversation(sim):
    """Tensors up and down, computing, memory; ue2 only looks on; one transfer is given up when a part has arrived."""
    ue, other, edge = sim.node("ue0"), sim.node("ue1"), sim.node("edge0")
    ue.memory.allocate("model", 5000)
    ue.memory.allocate("batch", 700)
    ue.memory.free("batch")
    for _ in range(3):
        async with ue.compute("forward", work=Work(flops=3 * 10**9, bytes=10**6)):
            pass
        await ue.send(edge, torch.zeros(30_000), tag="up", encoding="fp16")
        async with edge.compute("server", work=Work(flops=2 * 10**11, bytes=10**8)):
            pass
        await edge.send([ue, other], torch.zeros(1000), tag="down")
    with pytest.raises(TransferError):
        await other.send(edge, bytes(50_000_000), tag="late", deadline_s=0.1)
    await asyncio.sleep(0.25)


def record(out, main, scenario="wired-star", options=None, simulations=("all",)):
    options = options or {"numUe": 3, "rate": "100Mbps"}
    config = Config(1, scenario, tuple(f"{key}={value}" for key, value in options.items()))
    with RunFolder.create("my-script", config, seed=1, out=out) as folder:
        for name in simulations:
            recorder = SimulationRecorder(folder, name, {"method": name})

            async def recorded(sim, recorder=recorder):
                async with recorder.following(sim, options):
                    await main(sim)

            cosim.simulate(
                recorded, scenario=scenario, options=options, seed=1, on_transfer=recorder.on_transfer,
                on_compute=recorder.on_compute, program=programs.record(folder, name),
            )  # fmt: skip
            recorder.done()
    return load(folder.path)


def by_hand(run, simulation, length_s):
    """The same sums from the tables, and idle power from the profiles."""
    transfers, compute, nodes = (
        run[table][run[table]["simulation"] == simulation] for table in ("transfers", "compute", "nodes")
    )
    sent = np.where(
        transfers["status"].isin(["complete", "partial"]), transfers["size_bytes"], transfers["delivered_bytes"]
    )
    up = transfers.assign(sent=sent).groupby("source")["sent"].sum()
    down = transfers.groupby("receiver")["delivered_bytes"].sum()
    busy = compute.assign(busy_s=compute["end_s"] - compute["start_s"]).groupby("node")[["busy_s", "energy_j"]].sum()
    found = nodes.set_index("node")
    found = found.assign(
        compute_s=busy["busy_s"], compute_j=busy["energy_j"], bytes_up=up, bytes_down=down,
        idle_j=[cosim.DEVICES[name].idle_w * length_s for name in found["device"]],
    )  # fmt: skip
    found = found[found[["compute_s", "bytes_up", "bytes_down"]].notna().any(axis=1)]
    return found[["role", "compute_s", "compute_j", "idle_j", "bytes_up", "bytes_down"]].fillna(0)


def test_it_says_what_the_tables_add_up_to(tmp_path):
    lengths = []

    async def main(sim):
        await conversation(sim)
        lengths.append(float(sim.now_s))

    run = record(tmp_path, main, simulations=("first", "second"))
    assert list(run["devices"].columns) == ["simulation", "method", *ledger.COLUMNS]
    for name, length_s in zip(("first", "second"), lengths, strict=True):
        rows = run["devices"][run["devices"]["simulation"] == name].set_index("node")
        expected = by_hand(run, name, length_s)
        assert rows.index.tolist() == ["ue0", "ue1", "edge0"]  # ue2 took no part
        pd.testing.assert_frame_equal(rows[expected.columns], expected, check_dtype=False, check_names=False)
        assert rows["peak_memory_bytes"].tolist() == [5700, pd.NA, pd.NA]
        assert rows[["radio_j", "storage_bytes", "prb_slots"]].isna().all(axis=None)
        assert rows["total_j"].tolist() == (rows["compute_j"] + rows["idle_j"]).tolist()
    assert 0 < rows.loc["ue1", "bytes_up"] < 50_000_000  # what had arrived when it was given up
    assert rows.loc["edge0", "bytes_up"] == 3 * 2 * 4000  # of a transfer to two receivers, both
    assert rows.loc["ue0", "bytes_up"] == 3 * 60_000


def test_a_cell_says_how_much_of_its_band_each_took(tmp_path):
    cell = {"numUe": 2, "speed": 0}
    traced = []

    async def main(sim):
        trace, blocks = sim.observable("trace_blocks"), []
        async with trace.subscribe(0.01) as readings:

            async def follow():
                async for reading in readings:
                    blocks.append(reading.value)

            following = asyncio.ensure_future(follow())
            await sim.node("ue0").send(sim.node("edge0"), bytes(200_000))
            await sim.node("edge0").send(sim.node("ue1"), bytes(100_000))
            blocks.append((await trace.read()).value)
            following.cancel()
        traced.append(np.concatenate(blocks))

    rows = record(tmp_path, main, "nr-urban-micro", cell)["devices"].set_index("node")
    assert rows.index.tolist() == ["ue0", "ue1", "edge0"]
    for number in (0, 1):
        blocks = traced[0][traced[0]["ue"] == number]
        assert rows.loc[f"ue{number}", "prb_slots"] == blocks["prbs"].sum() > 0
    assert rows["prb_slots"].isna().tolist() == [False, False, True]


def test_the_radio_costs_what_its_trace_adds_up_to(tmp_path):
    cell = {"numUe": 2, "speed": 0, "drxCycle": "40ms", "drxInactivity": "10ms"}
    traced, read = [], []

    async def main(sim):
        trace, stretches = sim.observable("trace_power"), []
        async with trace.subscribe(0.01) as readings:

            async def follow():
                async for reading in readings:
                    stretches.append(reading.value)

            following = asyncio.ensure_future(follow())
            async with sim.node("ue0").compute("forward", work=Work(flops=3 * 10**9, bytes=10**6)):
                pass
            await sim.node("ue0").send(sim.node("edge0"), bytes(200_000))
            await sim.node("gnb0").send(sim.node("ue1"), bytes(100_000))
            await asyncio.sleep(0.3)
            stretches.append((await trace.read()).value)
            read.append((await sim.observable("ue_radio_j").read()).value)
            following.cancel()
        traced.append(np.concatenate(stretches))

    rows = record(tmp_path, main, "nr-urban-micro", cell)["devices"].set_index("node")
    (stretches,), (joules,) = traced, read
    for number, name in [(0, "ue0"), (1, "ue1"), (-1, "gnb0")]:
        own = stretches[stretches["ue"] == number]
        assert (own["slot"][1:] == own["slot"][:-1] + own["slots"][:-1]).all()
        assert own["slot"][0] == 0
        assert rows.loc[name, "radio_j"] == pytest.approx(own["down_j"].sum() + own["up_j"].sum(), rel=1e-9)
        if number >= 0:
            assert joules[:, number] == pytest.approx([own["down_j"].sum(), own["up_j"].sum()], rel=1e-9)
            assert set(own["state"]) >= {0, 3, 4}  # deep sleep, listening, data
    costs = rows[["compute_j", "radio_j", "idle_j"]].fillna(0)
    assert rows["total_j"].to_numpy() == pytest.approx(costs.sum(axis=1).to_numpy(), rel=1e-12)
    assert pd.isna(rows.loc["edge0", "radio_j"])
    assert rows.loc["ue0", "compute_j"] > 0


def test_drx_values_that_the_standard_does_not_have_are_refused(tmp_path):
    async def main(sim):
        pass

    for options, legal in [
        ({"drxCycle": "15ms"}, "10, 20, 32"),
        ({"drxOnDuration": "7ms", "drxCycle": "40ms"}, "1, 2, 3"),
    ]:
        with pytest.raises(EdgelamError, match=legal):
            cosim.simulate(main, scenario="nr-indoor", options=options)


def test_a_simulation_that_fails_leaves_what_it_had_cost(tmp_path):
    async def main(sim):
        await sim.node("ue0").send(sim.node("edge0"), bytes(1000))
        raise EdgelamError("enough")

    with pytest.raises(EdgelamError, match="enough"):
        record(tmp_path, main)
    (path,) = (tmp_path / "my-script").iterdir()
    rows = load(path)["devices"].set_index("node")
    assert load(path).state == "failed"
    assert rows["bytes_up"].to_dict() == {"ue0": 1000, "edge0": 0}


def test_a_replay_has_the_ledger_of_its_own_network(tmp_path):
    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        ue.memory.allocate("model", 5000)
        async with ue.compute("forward", work=Work(flops=3 * 10**9, bytes=10**6)):
            pass
        await ue.send(edge, bytes(300_000))

    slow, fast = (record(tmp_path / rate, main, options={"numUe": 1, "rate": rate}) for rate in ("1Mbps", "100Mbps"))
    replayed = replay(fast, options={"rate": "1Mbps"}, out=tmp_path)
    pd.testing.assert_frame_equal(replayed["devices"], slow["devices"])
    assert slow["devices"]["idle_j"][0] > 5 * fast["devices"]["idle_j"][0]
    cell = replay(fast, scenario="nr-urban-micro", devices={"ue*": "jetson-orin"}, out=tmp_path)["devices"]
    assert cell["peak_memory_bytes"].tolist() == [5000, pd.NA]
    assert cell["prb_slots"][0] > 0


def test_an_experiment_keeps_a_table_of_that_name_of_its_own(tmp_path):
    with RunFolder.create("my-script", Config(), seed=1, out=tmp_path) as folder:
        folder.table("devices", {"name": str}).append({"name": "mine"})
        recorder = SimulationRecorder(folder, "one")

        async def main(sim):
            async with recorder.following(sim):
                await sim.node("ue0").send(sim.node("edge0"), bytes(10))

        cosim.simulate(main, nodes={"ue0": "ue", "edge0": "edge"}, on_transfer=recorder.on_transfer)
        recorder.done()
    assert load(folder.path)["devices"].to_dict("list") == {"name": ["mine"]}
