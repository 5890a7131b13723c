# SPDX-License-Identifier: GPL-2.0-only
"""Devices that leave looped tensor parallelism, are lost, or are slow: the others go on, and what is lost is said."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from looped_runs import UNEVEN, Run, batches, config, run

from edgelam import cosim
from edgelam.cosim.devices import DEVICES
from edgelam.errors import OutOfDeviceMemory, RunEnded
from edgelam.parallel.looped_fleet import Fleet
from edgelam.parallel.looped_model import train_alone
from edgelam.parallel.looped_records import DepartureRecord, PlanRecord, StepRecord
from edgelam.parallel.looped_split import Split

STEPS = 8
STAR = {"scenario": "wired-star", "options": {"rate": "100Mbps"}}


def settings(**given: Any) -> Any:
    return config(**{"loops": 2, "checkpoint_every": 3, **given})


def assert_as_alone(done: Any, config: Any) -> None:
    """Whoever left: the steps that count are those of one device."""
    model, losses = train_alone(config, batches, STEPS, seed=1)
    assert done.trained.losses == pytest.approx(losses, abs=1e-10)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(done.trained.weights[name], weight, rtol=0, atol=1e-10)


def run_with(settings: Any, step: int, act: Callable[[Fleet], None]) -> Run:
    """As `run` over STAR, with `act(fleet)` when `step` is over the first time."""
    fleet = Fleet()

    def acting(record: Any) -> None:
        nonlocal step
        if isinstance(record, StepRecord) and record.step == step:
            step = -1
            act(fleet)

    return run(settings, STEPS, fleet=fleet, watch=acting, **STAR)


def test_a_device_that_says_goodbye_loses_nothing() -> None:
    done = run_with(settings(), 3, lambda fleet: fleet.leave("ue0"))
    assert_as_alone(done, settings())
    [departure] = done.of(DepartureRecord)
    assert (departure.device, departure.heads, departure.columns, departure.steps_lost) == ("ue0", 3, 100, 0)
    assert departure.reason == "it left"
    plans = [record for record in done.of(PlanRecord) if record.step == departure.resumed_from]
    assert [(p.device, p.heads, p.columns) for p in plans] == [("ue1", 2, 53), ("ue2", 4, 139)]
    assert [record.step for record in done.of(StepRecord)] == list(range(STEPS))


def test_a_device_that_crashes_costs_the_steps_since_the_checkpoint() -> None:
    done = run_with(settings(), 4, lambda fleet: fleet.crash("ue2", "its owner took it away"))
    assert_as_alone(done, settings())
    [departure] = done.of(DepartureRecord)
    assert (departure.device, departure.reason) == ("ue2", "its owner took it away")
    assert (departure.resumed_from, departure.steps_lost) == (3, departure.step - 3)
    steps = [record.step for record in done.of(StepRecord)]
    assert steps == [*range(departure.step), *range(3, STEPS)]
    assert {record.num_devices for record in done.of(StepRecord)[-3:]} == {2}


def test_without_checkpoints_the_training_begins_anew() -> None:
    done = run_with(settings(checkpoint_every=0), 2, lambda fleet: fleet.crash("ue0"))
    assert_as_alone(done, settings())
    [departure] = done.of(DepartureRecord)
    assert departure.resumed_from == 0
    assert departure.steps_lost >= 2


def test_two_devices_one_after_the_other() -> None:
    def act(fleet: Fleet) -> None:
        fleet.crash("ue0")
        fleet.leave("ue1")

    done = run_with(settings(), 4, act)
    assert_as_alone(done, settings())
    assert {record.device for record in done.of(DepartureRecord)} == {"ue0", "ue1"}
    assert done.of(PlanRecord)[-1].heads == 6


def test_nobody_is_left() -> None:
    def act(fleet: Fleet) -> None:
        for name in UNEVEN.devices:
            fleet.crash(name, "gone")

    with pytest.raises(RunEnded, match=r"no device is left for step .*ue2: gone"):
        run_with(settings(), 1, act)


def test_the_owner_of_the_data_is_lost() -> None:
    with pytest.raises(RunEnded, match=r"ue1 owned the data, so there is none for step .*: gone"):
        run_with(settings(inputs="encoded", owner="ue1"), 1, lambda fleet: fleet.crash("ue1", "gone"))


def test_an_empty_battery_is_a_loss() -> None:
    phone = dataclasses.replace(DEVICES["phone"], battery_j=0.1)
    done = run(settings(), STEPS, devices={"ue1": phone}, **STAR)
    assert_as_alone(done, settings())
    [departure] = done.of(DepartureRecord)
    assert departure.device == "ue1"
    assert "battery" in departure.reason


def test_a_straggler_is_waited_for_or_left_behind() -> None:
    slow = dataclasses.replace(DEVICES["phone"], flops_per_s=2e6)
    waited = run(settings(), STEPS, devices={"ue0": slow}, **STAR)
    assert not waited.of(DepartureRecord)
    assert_as_alone(waited, settings())
    left = run(settings(patience_s=0.2), STEPS, devices={"ue0": slow}, **STAR)
    [departure] = left.of(DepartureRecord)
    assert departure.device == "ue0"
    assert "did not answer within 0.2 s" in departure.reason
    assert_as_alone(left, settings())
    assert left.end_s < waited.end_s / 4


def test_a_link_that_fails_is_a_loss() -> None:
    """A device whose link becomes as slow as the scenario can make it, with a server that has some patience."""

    async def cut(sim: cosim.Simulation) -> None:
        await asyncio.sleep(0.6)
        await sim.control("link_rate_bps").set([1e8, 1e8, 1e3])

    done = run(settings(patience_s=2.0), STEPS, beside=cut, **STAR)
    [departure] = done.of(DepartureRecord)
    assert departure.device == "ue2"
    assert_as_alone(done, settings())


def test_plans_can_change_while_it_runs() -> None:
    other = Split(("ue0", "ue1", "ue2"), (0, 4, 2), (92, 100, 0))

    async def planner(step: int, present: tuple[str, ...]) -> Split:
        await asyncio.sleep(0.01)
        return other if 4 <= step < 6 else UNEVEN

    done = run(settings(), STEPS, split=None, planner=planner, replan_every=2, **STAR)
    assert_as_alone(done, settings())
    assert [(p.step, p.reason) for p in done.of(PlanRecord) if p.device == "ue0"] == [
        (0, "the run begins"), (4, "planned again"), (6, "planned again"),
    ]  # fmt: skip


def test_what_does_not_fit_is_refused_before_anything_is_sent() -> None:
    tiny = dataclasses.replace(DEVICES["phone"], memory_bytes=500_000)
    with pytest.raises(OutOfDeviceMemory, match=r"ue0 .* 3 heads and 100 columns needs .*, but it holds 500,000"):
        run(settings(), 1, devices={"ue0": tiny})
