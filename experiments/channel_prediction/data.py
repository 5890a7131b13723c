# SPDX-License-Identifier: GPL-2.0-only
"""The samples of a run: what each server holds, and what the predictors are tested on.

They come from a scenario, by default `csi`, and lie in memory, nothing is stored; or from a recording.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgelam import cosim
from edgelam.air import csi
from edgelam.air.csi.sampling import find_links
from edgelam.air.prediction import Windows, WindowSettings, cut, cut_sample, stack
from edgelam.air.prediction.windows import refuse_shape
from edgelam.errors import ConfigurationError
from edgelam.output.progress import Progress
from edgelam.random_streams import derive_seed, from_numbers
from edgelam.text import parse_pairs

from .config import Config

Source = tuple[Config, int, Progress]
SITE_USERS = 20
FEW_SPEEDS = 20
SITE_SPEED_KMH = 20.0  # width of a site's interval of speeds


@dataclass(frozen=True)
class Data:
    """Cut samples without noise."""

    shards: list[Windows]
    """The samples of each server."""
    tests: dict[str, Windows]
    """Test sets by name."""
    doppler: dict[float, list[tuple[Any, Any]]]
    """Speed in km/h -> (gains, Doppler shifts in Hz) of the rays of each sample of that test set."""


@functools.cache  # the cells of a campaign ask again
def check_csi(scenario: str, options: tuple[str, ...], window: WindowSettings) -> None:
    """Start a scenario once and refuse it if it publishes no CSI, or samples that are too small for `window`."""

    async def look(sim: cosim.Simulation) -> None:
        (link,) = await find_links(sim, most=1)
        refuse_shape(link.shape, window, f"a sample of scenario {scenario} (link {link.name})")

    with tempfile.TemporaryDirectory(prefix="edgelam-") as folder:  # for what the scenario writes
        cosim.simulate(look, scenario=scenario, options=parse_pairs(options, "--csi"), scenario_folder=folder)


def collect(config: Config, seed: int, progress: Progress) -> Data:
    """All samples for one seed."""
    source = config, seed, progress
    servers, held, tested = max(config.servers), config.samples_per_server, config.test_samples
    tests: dict[str, Windows] = {}
    if config.partition == "iid":
        count = servers * held + tested
        windows = _recorded(source, count) if config.recording else samples_of(source, "CSI", count, {})
        shards = [windows.take(np.arange(i * held, (i + 1) * held)) for i in range(servers)]
        tests["iid"] = windows.take(np.arange(servers * held, servers * held + tested))
    else:
        shards = []
        each = -(-tested // servers)
        seen = []
        for site in range(servers):
            windows = samples_of(source, f"site {site}", held + each, _site(seed, site))
            shards.append(windows.take(np.arange(held)))
            seen.append(windows.take(np.arange(held, held + each)))
        tests["seen sites"] = Windows(
            np.concatenate([part.past for part in seen])[:tested],
            np.concatenate([part.future for part in seen])[:tested],
        )
        tests["unseen site"] = samples_of(source, "unseen site", tested, _site(seed, servers))
    for recording in config.test_recordings:
        for name, windows in _tests_of(source, recording).items():
            if name in tests:
                raise ConfigurationError(f"test_recordings {recording}: there is a test set {name!r} already")
            tests[name] = windows
    doppler: dict[float, list[tuple[Any, Any]]] = {}
    for speed in config.test_speeds_kmh if config.has_speeds else ():
        rays = doppler.setdefault(speed, [])
        fixed = {"minSpeed": speed, "maxSpeed": speed, "rays": True}
        tests[f"{speed:g} km/h"] = samples_of(source, f"{speed:g} km/h", tested, fixed, rays)
    return Data(shards, tests, doppler)


def _recorded(source: Source, count: int) -> Windows:
    """`count` samples of the recording, drawn by the seed."""
    config, seed, progress = source
    recording = csi.load(config.recording)
    if len(recording) < count:
        raise ConfigurationError(
            f"recording {config.recording} has {len(recording)} samples; {max(config.servers)} servers of "
            f"{config.samples_per_server} and {config.test_samples} for tests are {count}"
        )
    chosen = from_numbers(derive_seed(seed, "samples of the recording")).permutation(len(recording))[:count]
    progress.say(f"{count} samples of {config.recording}")
    return cut(recording, config.window, chosen)


def _tests_of(source: Source, path: str) -> dict[str, Windows]:
    """Test sets of a recording: one for each speed if there are few, otherwise one, called like the file."""
    config, seed, progress = source
    recording = csi.load(path)
    stem = Path(path).stem
    sets = {stem: np.arange(len(recording))}
    if "speed_mps" in recording.columns:
        kmh = np.round(recording.speed_mps * 3.6, 3)
        speeds = np.unique(kmh)
        if len(speeds) <= FEW_SPEEDS:
            alone = len(config.test_recordings) == 1 and not (config.has_speeds and config.test_speeds_kmh)
            end = "" if alone else f" of {stem}"
            sets = {f"{speed:g} km/h{end}": np.flatnonzero(kmh == speed) for speed in speeds}
    progress.say(f"tests from {path}: {', '.join(sets)}")
    found = {}
    for name, samples in sets.items():
        drawn = from_numbers(derive_seed(seed, f"samples of {name}")).permutation(samples)[: config.test_samples]
        found[name] = cut(recording, config.window, np.sort(drawn))
    return found


def _site(seed: int, site: int) -> dict[str, Any]:
    """A site: an environment that stays, through which users go on, at speeds of its own."""
    low = float(from_numbers(derive_seed(seed, f"speeds of site {site}")).uniform(10, 100 - SITE_SPEED_KMH))
    return {"redraw": False, "numUe": SITE_USERS, "minSpeed": low, "maxSpeed": low + SITE_SPEED_KMH}


def samples_of(
    source: Source, label: str, count: int, fixed: Mapping[str, Any], rays: list[tuple[Any, Any]] | None = None
) -> Windows:
    """`count` samples of the scenario with these options; label: of the samples, and of their random numbers."""
    config, seed, progress = source
    options = config.csi_options()
    if twice := fixed.keys() & options.keys():
        raise ConfigurationError(f"--csi {', '.join(sorted(twice))}: channel-prediction sets this itself here")
    samples: list[tuple[Any, Any]] = []

    def take(sample: csi.Sample) -> None:
        samples.append(cut_sample(sample.csi, config.window, f"a sample of scenario {config.csi_scenario} ({label})"))
        if rays is not None and sample.rays is not None:
            rays.append((sample.rays["gain"].copy(), sample.rays["doppler_hz"].copy()))
        progress.step(len(samples))

    progress.begin(label, count, "samples")
    scenario_seed = derive_seed(seed, label) % 2**31 or 1
    csi.sample_csi(config.csi_scenario, count, take, options={**options, **fixed}, seed=scenario_seed)
    return stack(samples)
