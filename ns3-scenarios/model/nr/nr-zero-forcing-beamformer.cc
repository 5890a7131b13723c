// SPDX-License-Identifier: GPL-2.0-only
#include "nr-zero-forcing-beamformer.h"

#include <cmath>
#include <complex>
#include <vector>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrZeroForcingBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(ZeroForcingBeamformer);
NS_OBJECT_ENSURE_REGISTERED(RegularisedBeamformer);

namespace {

using Complex = std::complex<double>;

constexpr double least_pivot = 1e-12; ///< of a row's power: rows that depend on one another are nearly so instead

/// Inverse of a Hermitian positive definite matrix [n, n], in place, by Gauss-Jordan elimination without pivoting.
void Invert(std::vector<Complex>& a, std::size_t n) {
    for (std::size_t k = 0; k < n; ++k) {
        const Complex pivot = 1.0 / a[k * n + k];
        a[k * n + k] = 1;
        for (std::size_t j = 0; j < n; ++j) {
            a[k * n + j] *= pivot;
        }
        for (std::size_t i = 0; i < n; ++i) {
            if (i == k) {
                continue;
            }
            const Complex factor = a[i * n + k];
            a[i * n + k] = 0;
            for (std::size_t j = 0; j < n; ++j) {
                a[i * n + j] -= factor * a[k * n + j];
            }
        }
    }
}

} // namespace

ns3::TypeId ZeroForcingBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::ZeroForcingBeamformer")
                                       .SetParent<Beamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<ZeroForcingBeamformer>();
    return tid;
}

ns3::TypeId RegularisedBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::RegularisedBeamformer")
                                       .SetParent<ZeroForcingBeamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<RegularisedBeamformer>();
    return tid;
}

double ZeroForcingBeamformer::Regularisation(std::size_t) const {
    return 0;
}

void ZeroForcingBeamformer::Form(std::uint32_t group, std::span<const ServedUe> ues, double power) {
    if (ues.size() == 1) {
        UseOwnBeams(ues.front(), power);
    } else {
        struct Layer {
            const ServedUe* ue;
            unsigned layer;
            const std::complex<float>* row;
            double scale; ///< of the row, to noise and interference of 1
        };
        std::vector<Layer> layers;
        for (const auto& ue : ues) {
            for (unsigned l = 0; l < ue.layers; ++l) {
                layers.push_back({&ue, l, ue.state->Heard(group, l), std::sqrt(Snr() / ue.state->rise)});
            }
        }
        const std::size_t n = layers.size(), elements = ues.front().elements;
        std::vector<Complex> inverse(n * n);
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j <= i; ++j) {
                Complex sum = 0;
                for (std::size_t e = 0; e < elements; ++e) {
                    sum += Complex(layers[i].row[e]) * std::conj(Complex(layers[j].row[e]));
                }
                sum *= layers[i].scale * layers[j].scale;
                inverse[i * n + j] = sum;
                inverse[j * n + i] = std::conj(sum);
            }
            inverse[i * n + i] += Regularisation(n) + least_pivot * (1 + inverse[i * n + i].real());
        }
        Invert(inverse, n);
        std::vector<Complex> column(elements);
        for (std::size_t k = 0; k < n; ++k) {
            double norm = 0;
            for (std::size_t e = 0; e < elements; ++e) {
                column[e] = 0;
                for (std::size_t i = 0; i < n; ++i) {
                    column[e] += layers[i].scale * std::conj(Complex(layers[i].row[e])) * inverse[i * n + k];
                }
                norm += std::norm(column[e]);
            }
            const double scale = norm > 0 ? std::sqrt(power / static_cast<double>(n) / norm) : 0;
            for (std::size_t e = 0; e < elements; ++e) {
                layers[k].ue->Weight(e, layers[k].layer) = std::complex<float>(scale * column[e]);
            }
        }
        NS_LOG_LOGIC("group " << group << ": " << n << " layers to " << ues.size() << " UEs");
    }
    if (LimitsElements()) {
        ScaleToElements(ues, power);
    }
}

} // namespace edgelam::nr
