// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One beam that serves several receivers.
#pragma once

#include <complex>
#include <span>
#include <vector>

namespace edgelam::nr {

/// The sum of the receivers' own beams, each with the amplitude 1 / sqrt(its gain) and turned so that it adds to those
/// before it.
///
/// Where the own beams are orthogonal, all receive the same power, 1 / (sum over receivers of 1 / gain) of what is
/// sent: the most that the worst one can have of such a sum. Where they are alike, the beam is alike too. (Max-min fair
/// beams are NP-hard: Sidiropoulos, Davidson, Luo, "Transmit Beamforming for Physical-Layer Multicasting", 2006.)
/// \param beams [receiver][element], unit norm; one or more, all equally long
/// \param gains [receiver] power that each receives over its own beam, > 0
/// \return [element], unit norm
std::vector<std::complex<float>> MulticastBeam(std::span<const std::vector<std::complex<float>>> beams,
                                               std::span<const double> gains);

} // namespace edgelam::nr
