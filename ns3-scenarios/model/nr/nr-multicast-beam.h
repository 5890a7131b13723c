// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One beam that serves several receivers.
#pragma once

#include <complex>
#include <span>
#include <vector>

namespace edgelam::nr {

/// The sum of the receivers' own beams, each with the amplitude 1 / sqrt(its gain), and with its phase turned so that
/// it adds to those before it.
///
/// If the receivers' own beams are orthogonal, all receive the same power, 1 / (sum over receivers of 1 / gain) of what
/// is sent: this is the most that the worst receiver can get from such a sum. If they are similar, the beam is similar
/// to them. (Max-min fair beams are NP-hard: Sidiropoulos, Davidson, Luo, "Transmit Beamforming for Physical-Layer
/// Multicasting", 2006.)
/// \param beams [receiver][element], unit norm; one or more, all of the same length
/// \param gains [receiver] power that each receiver gets over its own beam, > 0
/// \return [element], unit norm
std::vector<std::complex<float>> MulticastBeam(std::span<const std::vector<std::complex<float>>> beams,
                                               std::span<const double> gains);

} // namespace edgelam::nr
