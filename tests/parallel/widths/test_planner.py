# SPDX-License-Identifier: GPL-2.0-only
"""Plans in a cell: the problem of a looped transformer, rates that were measured, shares that are in force."""

import asyncio
import dataclasses

import numpy as np
import pytest
import torch

from edgelam import cosim
from edgelam.cosim.devices import DEVICES
from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError, OutOfDeviceMemory, RunEnded
from edgelam.parallel import looped
from edgelam.parallel.looped_costs import device_memory, step_bytes
from edgelam.parallel.looped_model import Batch, LoopedConfig
from edgelam.parallel.looped_records import StepRecord
from edgelam.parallel.looped_split import Split
from edgelam.parallel.widths import Plan, shares
from edgelam.parallel.widths.cell import Cell, Measured, State
from edgelam.parallel.widths.from_looped import problem_of, units_of
from edgelam.parallel.widths.planner import BYTES_AN_OPERATION, Planner

MODEL = LoopedConfig(
    width=24, num_heads=4, feed_forward=48, loops=2, vocabulary=20, max_length=16, num_outputs=20, checkpoint_every=0
)
BATCH, LENGTH, GROUPS = 4, 16, 6
STREET = {"numUe": 3, "scheduler": "external", "speed": 0}
OFFICE = {"ue0": "jetson-nano", "ue1": "phone", "ue2": "jetson-orin-nano"}


def batches(step):
    drawn = torch.randint(20, (BATCH, LENGTH + 1), generator=torch.Generator().manual_seed(step))
    return Batch(drawn[:, :-1].contiguous(), drawn[:, 1:].contiguous())


def in_cell(main, *, options=None, devices=OFFICE, on_transfer=None, on_compute=None):
    return cosim.simulate(
        main, scenario="nr-urban-micro", options=STREET | (options or {}), seed=4, devices=devices,
        on_transfer=on_transfer, on_compute=on_compute,
    )  # fmt: skip


def reported(profiles, free=10**9):
    states = tuple(
        State(1000.0, 500.0, 12.0, 0.0, free, DEVICES[name].flops_per_s, DEVICES[name].memory_bandwidth_bytes_per_s)
        for name in profiles
    )
    count = len(profiles)
    names = tuple(f"ue{k}" for k in range(count))
    return Measured(names, states, (1e8,) * count, (1e9,) * count, (0.007,) * count)


@pytest.mark.parametrize(
    "changes", [{}, {"nonlinearity": "server", "encoding": "int8"}, {"encoding": "fp16", "num_heads": 1}]
)
def test_the_problem_counts_what_looped_training_counts(changes):
    config = dataclasses.replace(MODEL, **changes)
    units = units_of(config, BATCH, LENGTH, GROUPS, 2)
    problem = problem_of(units, reported(["phone", "jetson-nano"]), DEVICES["cpu-server"])
    # bytes: one device with everything, beside what is once for each step
    split = units.split(("a", "b"), Plan(((config.num_heads, 0), (GROUPS, 0)), (1.0, 0.0), 0.0))
    assert split == Split(("a", "b"), (config.num_heads, 0), (config.feed_forward, 0))
    counted = step_bytes(config, split, BATCH, LENGTH)
    up = sum(kind.merges * (kind.up_fixed_bytes + kind.up_bytes_per_unit * kind.units) for kind in problem.kinds)
    down = sum(kind.merges * (kind.down_fixed_bytes + kind.down_bytes_per_unit * kind.units) for kind in problem.kinds)
    assert up == pytest.approx(counted.up["a"], rel=0.01)
    assert down == pytest.approx(counted.down["a"], rel=0.01)
    # memory: never less than what training allocates, and little more for much
    for h in range(config.num_heads + 1):
        for g in range(GROUPS + 1):
            needed = device_memory(config, h, g * units.group, BATCH, LENGTH).total
            if h or g:
                assert needed <= problem.memory_needed((h, g))
    assert problem.memory_needed((config.num_heads, GROUPS)) <= 1.35 * needed


def test_seconds_are_those_of_the_training():
    """A split over two devices: the seconds of each visit by the problem and as they were charged."""
    records = []

    async def main(sim):
        split = Split(("ue0", "ue1", "ue2"), (1, 3, 0), (16, 8, 24))
        await looped.train(sim, MODEL, batches, 2, split=split)

    cosim.simulate(main, nodes={"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}, devices=OFFICE,
                   on_compute=records.append)  # fmt: skip
    units = units_of(MODEL, BATCH, LENGTH, GROUPS, 3)
    problem = problem_of(units, reported(OFFICE.values()), DEVICES["cpu-server"])
    problem = dataclasses.replace(problem, latency_s=(0.0,) * 3)
    for p, (visits, widths) in enumerate(
        [(("attend", "attend_back"), (1, 3, 0)), (("feed", "feed_back"), (2, 1, 3))]
    ):  # fmt: skip
        predicted = problem.compute_s(p, np.array(widths, dtype=float))
        for k in range(3):
            spent = [r.end_s - r.start_s for r in records if r.node == f"ue{k}" and r.label in visits]
            if widths[k]:
                assert predicted[k] == pytest.approx(np.mean(spent), rel=0.1)
            else:
                assert not spent


def test_rates_are_those_that_a_device_alone_gets():
    """Measured with all at once, against a transfer that has the whole band.

    A device whose power is exhausted has less of it in each resource block when it has all of them: the third, by 32 %.
    """

    async def main(sim):
        edge, ues = sim.node("edge0"), [sim.node(f"ue{k}") for k in range(3)]
        cell = Cell(sim, edge, 200_000)
        async with cell.following():
            measured = await cell.measure([ue.name for ue in ues])
        alone = []
        for ue in ues:
            way = []
            for source, to in ((ue, edge), (edge, ue)):
                seconds = []
                for size in (200_000, 1_200_000):
                    for _ in range(2):
                        record = await source.send(to, bytes(size))
                    seconds.append(record.last_byte_s - record.queued_s)
                way.append(8e6 / (seconds[1] - seconds[0]))
            alone.append(way)
        return measured, np.array(alone)

    measured, alone = in_cell(main)
    assert np.array(measured.rate_up_bps) == pytest.approx(alone[:, 0], rel=0.35)
    assert all(0.001 < each < 0.03 for each in measured.latency_s)
    assert all(1 <= state.cqi <= 15 for state in measured.states)
    assert [state.free_bytes for state in measured.states] == [DEVICES[name].memory_bytes for name in OFFICE.values()]


def test_planned_training_is_the_training_and_takes_about_what_was_predicted():
    steps, decisions, transfers = [], [], []

    async def main(sim):
        cell = Cell(sim, sim.node("edge0"), 50_000)
        units = units_of(MODEL, BATCH, LENGTH, GROUPS, 3)
        async with cell.following():
            planner = Planner(sim, cell, units, "equal", told=decisions.append)
            return await looped.train(
                sim, MODEL, batches, 4, planner=planner, replan_every=2, report=steps.append
            )  # fmt: skip

    trained = in_cell(main, on_transfer=transfers.append)
    from edgelam.parallel.looped_model import train_alone

    assert trained.losses == pytest.approx(train_alone(MODEL, batches, 4, seed=4)[1], rel=1e-5)
    assert [each.step for each in decisions] == [0, 2]
    first = decisions[0]
    assert first.start_s < first.measured_s < first.end_s
    taken = np.median([step.end_s - step.start_s for step in steps if isinstance(step, StepRecord)])
    assert taken == pytest.approx(first.fluid_s, rel=0.5)
    by_tag = {tag: sum(1 for each in transfers if each.tag == tag) for tag in ("state?", "state", "probe", "shares")}
    assert by_tag == {"state?": 6, "state": 6, "probe": 24, "shares": 4}


def decide(rule, charge):
    decisions, computed = [], []

    async def main(sim):
        cell = Cell(sim, sim.node("edge0"), 20_000)
        units = units_of(MODEL, BATCH, LENGTH, GROUPS, 3)
        async with cell.following():
            await Planner(sim, cell, units, rule, charge=charge, told=decisions.append)(0, ("ue0", "ue1", "ue2"))

    in_cell(main, on_compute=computed.append)
    return decisions[0], [each for each in computed if each.label == "decide widths"]


def test_the_decision_is_charged_by_its_operations():
    charged, [block] = decide("optimised", True)
    operations = charged.operations
    assert operations > 1000
    assert block.node == "edge0"
    work = Work(flops=operations, bytes=BYTES_AN_OPERATION * operations)
    server = DEVICES["cpu-server"]
    assert block.end_s - block.start_s == pytest.approx(server.seconds(work.flops, work.bytes), abs=2e-9)
    free, none = decide("optimised", False)
    assert none == []
    assert free.plan == charged.plan
    assert charged.end_s - free.end_s == pytest.approx(block.end_s - block.start_s, abs=2e-9)
    simple, _ = decide("by-compute", True)
    assert 300 < simple.operations == 300 + shares.operations(simple.problem) < operations


def uplink_blocks(how, shares, end_s=0.5):
    """[ue] resource blocks times slots of the uplink in a time in which all have something to send, and their most."""

    async def main(sim):
        edge, ues = sim.node("edge0"), [sim.node(f"ue{k}") for k in range(3)]
        cell = Cell(sim, edge, 1000)
        await cell.enforce([ue.name for ue in ues], shares, how)
        sending = [asyncio.ensure_future(ue.send(edge, bytes(8_000_000))) for ue in ues]
        await asyncio.sleep(0.15)
        before = (await sim.observable("ue_prb_slots").read()).value[1].copy()
        blocks = []
        async with sim.observable("trace_blocks").subscribe(0.01) as readings:
            async for reading in readings:
                blocks.append(reading.value)
                if sim.now_s >= end_s:
                    break
        after = (await sim.observable("ue_prb_slots").read()).value[1].copy()
        for each in sending:
            each.cancel()
        return after - before, np.concatenate(blocks)

    used, blocks = in_cell(main)
    return used / used.sum(), blocks[(blocks["uplink"] == 1) & (blocks["attempt"] == 1)]


@pytest.mark.parametrize("how", ["share", "cap"])
def test_shares_are_kept_finer_than_a_group_of_resource_blocks(how):
    """In a slot a device has whole groups, 16 of 273 blocks or 5.9 % of the band; over many slots it has its share."""
    shares = (0.52, 0.31, 0.17)
    part, blocks = uplink_blocks(how, shares)
    assert part == pytest.approx(shares, abs=0.02)
    whole = blocks["prbs"] % 16
    assert set(np.unique(whole)) <= {0, 1}  # the last group has one block
    mean = [blocks["prbs"][blocks["ue"] == ue].mean() / 273 for ue in range(3)]
    assert mean == pytest.approx(shares, abs=16 / 273)


def test_what_cannot_be_planned_is_refused():
    async def star(sim):
        Cell(sim, sim.node("edge0"), 1000)

    with pytest.raises(ConfigurationError, match=r"wired-star.*has no observable 'cell'.*scheduler=external"):
        cosim.simulate(star, scenario="wired-star", seed=1)

    with pytest.raises(ConfigurationError, match="48 columns in 7 groups"):
        units_of(MODEL, BATCH, LENGTH, 7, 3)

    async def unknown(sim):
        Planner(sim, Cell(sim, sim.node("edge0"), 1000), units_of(MODEL, 1, 4, 6, 3), "best")

    with pytest.raises(ConfigurationError, match="no rule of widths is called 'best'; there are: optimised"):
        in_cell(unknown)

    async def small(sim):
        cell = Cell(sim, sim.node("edge0"), 1000)
        units = units_of(MODEL, BATCH, LENGTH, GROUPS, 3)
        async with cell.following():
            await Planner(sim, cell, units, "optimised")(0, ("ue0", "ue1", "ue2"))

    with pytest.raises(OutOfDeviceMemory, match="30,000 bytes free"):
        in_cell(small, devices={"ue*": "phone,memory_bytes=30000"})


def test_a_device_that_does_not_answer_is_left_out():
    decisions, splits = [], []

    async def main(sim):
        cell = Cell(sim, sim.node("edge0"), 20_000)
        units = units_of(MODEL, BATCH, LENGTH, GROUPS, 3)
        async with cell.following():
            planner = Planner(sim, cell, units, "equal", told=decisions.append)
            splits.append(await planner(0, ("ue0", "ue1", "ue2")))

    in_cell(main, devices=OFFICE | {"ue1": "phone,battery_j=1e-6"})
    assert splits[0].devices == ("ue0", "ue2")
    assert splits[0].heads == (2, 2)
    assert decisions[0].measured.devices == ("ue0", "ue2")
    with pytest.raises(RunEnded, match="no device answers: ue0, ue1, ue2"):
        in_cell(main, devices={"ue*": "phone,battery_j=1e-6"})


def test_rates_are_measured_without_the_caps_of_the_last_plan():
    async def main(sim):
        cell, names = Cell(sim, sim.node("edge0"), 100_000), ["ue0", "ue1", "ue2"]
        async with cell.following():
            first = await cell.measure(names)
            await cell.enforce(names, (0.05, 0.05, 0.05), "cap")
            return first, await cell.measure(names)

    first, second = in_cell(main)
    assert np.array(second.rate_up_bps) == pytest.approx(np.array(first.rate_up_bps), rel=0.3)
