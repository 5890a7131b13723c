// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A UE's beams in each sub-band.
#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

namespace edgelam::nr {

/// Dominant eigenvectors of the transmit covariance of each sub-band, the sum of H^H H over its groups.
/// \param channel H [group, antenna, element]; \param groupsPerSubband the last sub-band may have fewer
/// \param count of the eigenvectors, 1 to 4
/// \return [sub-band, element, beam], orthonormal in each sub-band, the strongest first
std::vector<std::complex<float>> SubbandBeams(std::span<const std::complex<float>> channel, std::size_t groups,
                                              std::size_t groupsPerSubband, std::size_t antennas, std::size_t elements,
                                              unsigned count);

} // namespace edgelam::nr
