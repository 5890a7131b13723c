// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The tools that find the beams of a link: the channel over the band, and orthonormal columns.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "channel-link.h"

namespace edgelam::nr {

/// A link whose beams are searched for.
struct BeamSearch {
    ChannelLink& link;
    std::span<const double> offsetsHz; ///< of the SINR samples, relative to the carrier
    unsigned count;                    ///< beams wanted, as many as the antennas allow and at most 4
    const PortWeights* before;         ///< the result of the last search; null: this is the first one
    double snr;                        ///< power that the gNB sends in a resource block over the UE's noise in one
    /// The ports of both ends behind analog beams, [element, port]; null: each element is a port.
    const PortWeights *gnbPorts = nullptr, *uePorts = nullptr;

    std::size_t NumElements() const { return link.NumTx(Direction::Downlink); }
    std::size_t NumAntennas() const { return link.NumRx(Direction::Downlink); }
    /// H [UE antenna, element, sample] at this number of offsets, spread evenly over the band.
    std::vector<std::complex<float>> Sample(std::size_t samples) const;
};

/// Make the columns of [rows, columns] orthonormal, in their order (modified Gram-Schmidt). A column that depends
/// linearly on those before it is replaced by another unit vector.
void Orthonormalise(std::vector<std::complex<float>>& a, std::size_t rows, std::size_t columns);

/// Dominant eigenvectors of the transmit covariance over the whole band: orthogonal iteration on sum_f H^H H, which
/// starts from the beams of `before`. \return [element, beam], orthonormal, the strongest first
std::vector<std::complex<float>> EigenBeams(const BeamSearch& search);

} // namespace edgelam::nr
