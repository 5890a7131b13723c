// SPDX-License-Identifier: GPL-2.0-only
#include "nr-multicast-beam.h"

#include <cmath>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrMulticastBeam");

namespace edgelam::nr {

std::vector<std::complex<float>> MulticastBeam(std::span<const std::vector<std::complex<float>>> beams,
                                               std::span<const double> gains) {
    using Complex = std::complex<double>;
    std::vector<Complex> sum(beams.front().size());
    for (std::size_t r = 0; r < beams.size(); ++r) {
        Complex dot = 0;
        for (std::size_t i = 0; i < sum.size(); ++i) {
            dot += std::conj(Complex(beams[r][i])) * sum[i];
        }
        // Among orthogonal beams any phase will do.
        const Complex weight = (std::abs(dot) > 0 ? dot / std::abs(dot) : 1) / std::sqrt(gains[r]);
        for (std::size_t i = 0; i < sum.size(); ++i) {
            sum[i] += weight * Complex(beams[r][i]);
        }
    }
    NS_LOG_LOGIC("one beam for " << beams.size() << " receivers");
    double power = 0;
    for (const Complex& each : sum) {
        power += std::norm(each);
    }
    std::vector<std::complex<float>> beam;
    for (const Complex& each : sum) {
        beam.emplace_back(each / std::sqrt(power));
    }
    return beam;
}

} // namespace edgelam::nr
