# SPDX-License-Identifier: GPL-2.0-only
"""Beamforming by the classical methods, one per file, for batches of channels (docs/beamforming.md).

problem = beamforming.Downlink(beamforming.iid(100, users=4, antennas=4, seed=1), power=10.0)
problem.weighted_sum_rate(beamforming.wmmse(problem)).mean()  # bit/s/Hz
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.air.beamforming.balancing import max_min
    from edgelam.air.beamforming.block_descent import bcd
    from edgelam.air.beamforming.channels.clustered import Clustered, clustered
    from edgelam.air.beamforming.channels.iid import iid
    from edgelam.air.beamforming.channels.surface_cell import surface_cell
    from edgelam.air.beamforming.coordinated import CoordinatedDownlink, coordinated_iid, coordinated_wmmse
    from edgelam.air.beamforming.deadlines import needed_rates, round_time_s
    from edgelam.air.beamforming.duality import optimum
    from edgelam.air.beamforming.filling import water_filling
    from edgelam.air.beamforming.hybrid import Hybrid, digital_optimum, spectral_efficiency
    from edgelam.air.beamforming.linear_mmse import Prior, lmmse, prior
    from edgelam.air.beamforming.manifold import mo_altmin
    from edgelam.air.beamforming.matching_pursuit import omp
    from edgelam.air.beamforming.maximum_ratio import mrt
    from edgelam.air.beamforming.minimum_rates import least_power
    from edgelam.air.beamforming.partly import partly_connected
    from edgelam.air.beamforming.per_joule import Consumption, energy_efficiency, most_efficient
    from edgelam.air.beamforming.phase_extraction import pe_altmin
    from edgelam.air.beamforming.pilots import receive_pilots
    from edgelam.air.beamforming.problem import Downlink, transmit_power
    from edgelam.air.beamforming.regularised import rzf
    from edgelam.air.beamforming.relaxation import Relaxed, sdr
    from edgelam.air.beamforming.sensing import (
        BeamPattern,
        SensingDownlink,
        beams_at,
        radar_covariance,
        sense_and_send,
        steering,
    )
    from edgelam.air.beamforming.streams import StreamDownlink, block_diagonal, eigenbeams, stream_iid, stream_wmmse
    from edgelam.air.beamforming.surface import SurfaceDownlink, random_phases
    from edgelam.air.beamforming.weighted_mmse import wmmse
    from edgelam.air.beamforming.zf import zero_forcing

_HOME = {
    "BeamPattern": "sensing",
    "Clustered": "channels.clustered",
    "Consumption": "per_joule",
    "CoordinatedDownlink": "coordinated",
    "Downlink": "problem",
    "Hybrid": "hybrid",
    "Prior": "linear_mmse",
    "Relaxed": "relaxation",
    "SensingDownlink": "sensing",
    "StreamDownlink": "streams",
    "SurfaceDownlink": "surface",
    "bcd": "block_descent",
    "beams_at": "sensing",
    "block_diagonal": "streams",
    "clustered": "channels.clustered",
    "coordinated_iid": "coordinated",
    "coordinated_wmmse": "coordinated",
    "digital_optimum": "hybrid",
    "eigenbeams": "streams",
    "energy_efficiency": "per_joule",
    "iid": "channels.iid",
    "least_power": "minimum_rates",
    "lmmse": "linear_mmse",
    "max_min": "balancing",
    "mo_altmin": "manifold",
    "most_efficient": "per_joule",
    "mrt": "maximum_ratio",
    "needed_rates": "deadlines",
    "omp": "matching_pursuit",
    "optimum": "duality",
    "partly_connected": "partly",
    "pe_altmin": "phase_extraction",
    "prior": "linear_mmse",
    "radar_covariance": "sensing",
    "random_phases": "surface",
    "receive_pilots": "pilots",
    "round_time_s": "deadlines",
    "rzf": "regularised",
    "sdr": "relaxation",
    "sense_and_send": "sensing",
    "spectral_efficiency": "hybrid",
    "steering": "sensing",
    "stream_iid": "streams",
    "stream_wmmse": "streams",
    "surface_cell": "channels.surface_cell",
    "transmit_power": "problem",
    "water_filling": "filling",
    "wmmse": "weighted_mmse",
    "zero_forcing": "zf",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "BeamPattern",
    "Clustered",
    "Consumption",
    "CoordinatedDownlink",
    "Downlink",
    "Hybrid",
    "Prior",
    "Relaxed",
    "SensingDownlink",
    "StreamDownlink",
    "SurfaceDownlink",
    "bcd",
    "beams_at",
    "block_diagonal",
    "clustered",
    "coordinated_iid",
    "coordinated_wmmse",
    "digital_optimum",
    "eigenbeams",
    "energy_efficiency",
    "iid",
    "least_power",
    "lmmse",
    "max_min",
    "mo_altmin",
    "most_efficient",
    "mrt",
    "needed_rates",
    "omp",
    "optimum",
    "partly_connected",
    "pe_altmin",
    "prior",
    "radar_covariance",
    "random_phases",
    "receive_pilots",
    "round_time_s",
    "rzf",
    "sdr",
    "sense_and_send",
    "spectral_efficiency",
    "steering",
    "stream_iid",
    "stream_wmmse",
    "surface_cell",
    "transmit_power",
    "water_filling",
    "wmmse",
    "zero_forcing",
]
