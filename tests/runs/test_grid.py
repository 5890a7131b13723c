# SPDX-License-Identifier: GPL-2.0-only
import shlex

import pytest

from edgelam.errors import ConfigurationError
from edgelam.runs import experiments
from edgelam.runs.campaigns.grid import parse_baseline, parse_grid
from edgelam.runs.configuration.options import parse_options
from edgelam.runs.configuration.settings import differing_arguments, settings_of


def test_all_combinations_every_cell_with_the_same_seeds(tiny):
    grid = parse_grid(["scale=1,2.5", "low-rank.rank=2,8", "deadline-s=none,3"], tiny)
    found = [config for _, config in grid.configurations(tiny(), range(4, 6))]
    assert [c.seed for c in found] == [4] * 8 + [5] * 8
    assert [(c.scale, c.learning.low_rank.rank, c.deadline_s) for c in found[:8]] == [
        (1.0, 2, None), (1.0, 2, 3.0), (1.0, 8, None), (1.0, 8, 3.0),
        (2.5, 2, None), (2.5, 2, 3.0), (2.5, 8, None), (2.5, 8, 3.0),
    ]  # fmt: skip


def test_values_that_hold_commas_and_lists(tiny):
    grid = parse_grid(['options="a=1,2 b=3",,"c=\'x y\'"', "switch=true,false"], tiny)
    values = {setting.name: values for setting, values in grid.values.items()}
    assert values == {"options": (("a=1,2", "b=3"), (), ("c=x y",)), "switch": (True, False)}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["rouns=1,2"], "--grid: no setting is called 'rouns'; did you mean 'rounds'"),
        (["rank=1"], "no setting is called 'rank'.*low-rank.rank"),
        (["rounds=1,seven"], "--grid rounds: 'seven' is not legal; a whole number"),
        (["rounds=1,2.5"], "'2.5' is not legal; a whole number"),
        (["rounds="], "a value is empty"),
        (["rounds=1,,2"], "a value is empty"),
        (["rounds"], "--grid takes KEY=VALUE,VALUE,..., got 'rounds'"),
        (["rounds=1", "rounds=2"], "--grid gives rounds twice"),
        (["rounds=1,1"], "gives 1 twice"),
        (["mode=work,fial"], "'fial' is not legal; did you mean 'fail'"),
        (["switch=true,maybe"], "'maybe' is not legal; true or false"),
        (["seed=1,2"], "--seeds"),
        (['options="a,b'], "double quotes"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right(tiny, texts, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_grid(texts, tiny)


def test_a_combination_that_the_configuration_refuses_is_named(tiny):
    with pytest.raises(
        ConfigurationError, match=r"--grid scale=1.0 rounds=0, seed 1: rounds is 0; it must be at least 1"
    ):
        list(parse_grid(["scale=1", "rounds=0"], tiny).configurations(tiny(), [1]))


def test_baseline_is_of_the_grid(tiny):
    grid = parse_grid(["scale=1,2", "rounds=3,5"], tiny)
    named = {setting.name: value for setting, value in parse_baseline(["scale=2"], grid).items()}
    assert named == {"scale": 2.0}
    assert [*parse_baseline([], grid).values()] == [1.0, 3]
    with pytest.raises(ConfigurationError, match="not in the grid; there are: 3, 5"):
        parse_baseline(["rounds=4"], grid)
    with pytest.raises(ConfigurationError, match="did you mean 'rounds'"):
        parse_baseline(["round=3"], grid)


def test_the_options_of_a_configuration_give_it_again(tiny):
    experiment = experiments.find("tiny")
    texts = ["options=,\"a=1,2 'b= 3'\"", "switch=true", "deadline-s=none,0.5", "low-rank.rank=7", "mode=wait"]
    for _, config in parse_grid(texts, tiny).configurations(tiny(), [3]):
        command = shlex.split(shlex.join(differing_arguments(tiny(), config)))
        assert parse_options(experiment, command, command="run", fields={}).experiment == config
    split = experiments.find("split-fedft")
    names = settings_of(split.config)
    assert names["lora.rank"].path == ("learning", "lora", "rank")
    config = split.recipes["full"]()
    command = differing_arguments(split.recipes["quick"](), config)
    assert parse_options(split, command, command="run", fields={}).experiment == config
