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
    from edgelam.air.beamforming.duality import optimum
    from edgelam.air.beamforming.filling import water_filling
    from edgelam.air.beamforming.hybrid import Hybrid, digital_optimum, spectral_efficiency
    from edgelam.air.beamforming.linear_mmse import Prior, lmmse, prior
    from edgelam.air.beamforming.manifold import mo_altmin
    from edgelam.air.beamforming.matching_pursuit import omp
    from edgelam.air.beamforming.maximum_ratio import mrt
    from edgelam.air.beamforming.minimum_rates import least_power
    from edgelam.air.beamforming.partly import partly_connected
    from edgelam.air.beamforming.phase_extraction import pe_altmin
    from edgelam.air.beamforming.pilots import receive_pilots
    from edgelam.air.beamforming.problem import Downlink, transmit_power
    from edgelam.air.beamforming.regularised import rzf
    from edgelam.air.beamforming.relaxation import Relaxed, sdr
    from edgelam.air.beamforming.surface import SurfaceDownlink, random_phases
    from edgelam.air.beamforming.weighted_mmse import wmmse
    from edgelam.air.beamforming.zf import zero_forcing

_HOME = {
    "Clustered": "channels.clustered",
    "CoordinatedDownlink": "coordinated",
    "Downlink": "problem",
    "Hybrid": "hybrid",
    "Prior": "linear_mmse",
    "Relaxed": "relaxation",
    "SurfaceDownlink": "surface",
    "bcd": "block_descent",
    "clustered": "channels.clustered",
    "coordinated_iid": "coordinated",
    "coordinated_wmmse": "coordinated",
    "digital_optimum": "hybrid",
    "iid": "channels.iid",
    "least_power": "minimum_rates",
    "lmmse": "linear_mmse",
    "max_min": "balancing",
    "mo_altmin": "manifold",
    "mrt": "maximum_ratio",
    "omp": "matching_pursuit",
    "optimum": "duality",
    "partly_connected": "partly",
    "pe_altmin": "phase_extraction",
    "prior": "linear_mmse",
    "random_phases": "surface",
    "receive_pilots": "pilots",
    "rzf": "regularised",
    "sdr": "relaxation",
    "spectral_efficiency": "hybrid",
    "surface_cell": "channels.surface_cell",
    "transmit_power": "problem",
    "water_filling": "filling",
    "wmmse": "weighted_mmse",
    "zero_forcing": "zf",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "Clustered",
    "CoordinatedDownlink",
    "Downlink",
    "Hybrid",
    "Prior",
    "Relaxed",
    "SurfaceDownlink",
    "bcd",
    "clustered",
    "coordinated_iid",
    "coordinated_wmmse",
    "digital_optimum",
    "iid",
    "least_power",
    "lmmse",
    "max_min",
    "mo_altmin",
    "mrt",
    "omp",
    "optimum",
    "partly_connected",
    "pe_altmin",
    "prior",
    "random_phases",
    "receive_pilots",
    "rzf",
    "sdr",
    "spectral_efficiency",
    "surface_cell",
    "transmit_power",
    "water_filling",
    "wmmse",
    "zero_forcing",
]
