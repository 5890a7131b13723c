# SPDX-License-Identifier: GPL-2.0-only
"""Allocation over a simulated cell and a network of cells: what is sent, what is in force, what is predicted."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import (
    METHODS,
    AllocationRecord,
    DecisionRecord,
    DeviceRoundRecord,
    RoundRecord,
    SplitFedFTSettings,
    prepare,
    split_fedft,
)
from edgelam.federated.allocation import AllocationSettings
from edgelam.models import LoraSettings

OURS = AllocationSettings("drift-plus-penalty", v=0.5, deadline_s=0.2, cost_budget=2.0, weights="equal")


@pytest.fixture(scope="module")
def settings(tiny_bert: Path, token_file: Path) -> SplitFedFTSettings:
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=8, batch_size=24,
        lora=LoraSettings(rank=2), evaluations=1, local_steps=4, encoding="fp64", allocation=OURS,
    )  # fmt: skip


class Run:
    """A finished run and everything it reported."""

    def __init__(self, settings, method="split-fedft", scenario="nr-urban-micro", **options):
        self.records, self.transfers = [], []
        setup = prepare(settings, 1)

        async def main(sim):
            return await METHODS[method](sim, setup, self.records.append)

        options = {"numUe": 3, "scheduler": "external", "bandwidth": 20} | options
        self.outcome = cosim.simulate(
            main, scenario=scenario, options=options, seed=2, on_transfer=self.transfers.append,
        )  # fmt: skip

    def of(self, kind):
        return [record for record in self.records if isinstance(record, kind)]


@pytest.fixture(scope="module")
def run(settings):
    return Run(settings)


def test_reports_and_decisions_are_sent_and_in_force_before_a_round(run):
    sent = Counter(record.tag for record in run.transfers)
    assert sent["report"] == 3 * 9  # in the first round twice
    assert sent["report?"] == 3 * 10  # and the end
    assert sent["shares"] == 8
    sizes = {record.tag: record.size_bytes for record in run.transfers}
    assert (sizes["report?"], sizes["report"], sizes["shares"]) == (4, 4 + 18 * 4, 2 * 3 * 4)
    decisions, rounds = run.of(DecisionRecord), run.of(RoundRecord)
    assert [each.round for each in decisions] == list(range(8))
    for decision, done in zip(decisions, rounds, strict=True):
        assert decision.asked_s < decision.in_force_s <= done.start_s
        assert decision.admitted == done.num_devices
        assert decision.reports == 3
    slots = [each.control_slot for each in decisions]
    assert slots == sorted(set(slots))
    assert all(each.control_slot * 0.5e-3 <= each.in_force_s + 3e-3 for each in decisions)


def test_the_budget_is_kept_as_the_queue_says(run):
    decisions = run.of(DecisionRecord)
    q = given = 0.0
    for each in decisions:
        q, given = max(q + each.cost_given - given + each.cost / 2.0 - 1, 0.0), each.cost_given
        assert each.cost_queue == pytest.approx(q)
        assert each.energy_j > 0
    assert given > 0, "queues begin at the price of the budget"
    assert sum(each.cost for each in decisions) / 8 / 2.0 <= 1 + (q - given) / 8 + 1e-12
    assert {each.admitted for each in decisions} > {3}, "not always everybody"


def test_predictions_know_only_what_was_before_and_are_near(run):
    rows = run.of(AllocationRecord)
    assert all(np.isnan(row.predicted_s) for row in rows if row.round == 0)
    own = {(row.round, row.device): row for row in run.of(DeviceRoundRecord)}
    for row in rows:
        if row.admitted:
            done = own[row.round, row.device]
            assert row.simulated_s == pytest.approx(done.compute_s + done.uplink_s + done.downlink_s, rel=1e-6)
    errors = [abs(row.predicted_s / row.simulated_s - 1) for row in rows if row.predicted_s == row.predicted_s]
    assert np.median(errors) < 0.25
    shares = {number: sum(row.share for row in rows if row.round == number) for number in range(8)}
    assert max(shares.values()) <= 1.0


def test_free_decisions_take_no_time_and_send_nothing(settings):
    free = Run(replace(settings, rounds=2, allocation=replace(OURS, charge=False)))
    assert {"report", "report?", "shares"} & {r.tag for r in free.transfers} == {"report?"}  # only the end
    assert all(each.asked_s == each.in_force_s for each in free.of(DecisionRecord))


def test_fed_lora_over_cells_with_a_report_for_each_gnb(settings):
    run = Run(
        replace(settings, allocation=replace(OURS, deadline_s=0.5)), "fed-lora", "nr-urban-grid", sites=3, sectors=1,
        numEdge=1,
    )  # fmt: skip
    assert [each.round for each in run.of(DecisionRecord)] == [0, 1]
    cells = {row.device: row.cell for row in run.of(AllocationRecord)}
    shares = [record for record in run.transfers if record.tag == "shares"]
    assert len(shares) == 2 * len(set(cells.values()))
    assert sum(record.size_bytes for record in shares) == 2 * 2 * 3 * 4


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"deadline_s": 0.001}, "no device keeps to it, even with the whole band"),
        ({"energy_budget_j": 1e-7}, "energy_budget_j"),
    ],
)
def test_what_nothing_in_this_cell_meets_ends_the_run_with_what_is_legal(settings, changes, text):
    with pytest.raises(ConfigurationError, match=text):
        Run(replace(settings, allocation=replace(OURS, charge=False, **changes)))


def test_a_deadline_in_which_no_report_arrives_ends_the_run(settings):
    with pytest.raises(ConfigurationError, match="no device's report arrives"):
        Run(replace(settings, allocation=replace(OURS, deadline_s=0.001)))


def test_a_scenario_without_a_band_is_refused(settings):
    async def main(sim):
        return await METHODS["split-fedft"](sim, prepare(settings, 1))

    with pytest.raises(ConfigurationError, match="no observable 'cell'"):
        cosim.simulate(main, nodes={"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"})


@pytest.mark.parametrize(
    "changes",
    [{}, {"cut": "tokens", "accumulation": 2}, {"train_embedding": True, "encoding": "int8"},
     {"head_averaging": "none", "encoding": "fp32"}],
)  # fmt: skip
def test_the_bytes_of_a_round_are_known_before_it(settings, changes):
    own = replace(settings, rounds=2, allocation=AllocationSettings(), **changes)
    setup, sent = prepare(own, 1), []
    parts = split_fedft.build(setup, ["ue0", "ue1", "ue2"])

    async def main(sim):
        return await split_fedft.run(sim, setup, split=parts)

    nodes = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}
    cosim.simulate(main, nodes=nodes, on_transfer=sent.append)
    expected = np.sum([split_fedft.round_bytes(parts.devices["ue0"], own, r) for r in range(2)], axis=0)
    up = sum(record.size_bytes for record in sent if record.source == "ue0")
    down = sum(record.size_bytes for record in sent if record.receiver == "ue0")
    assert (up, down - 4) == tuple(expected)  # without the invitation that ends the run
