// SPDX-License-Identifier: GPL-2.0-only
#include "nr-codebook-beamformer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

#include "ns3/log.h"

#include "nr-codebook-ports.h"

NS_LOG_COMPONENT_DEFINE("NrCodebookBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(CodebookBeamformer);

namespace {

using Complex = std::complex<float>;

constexpr std::size_t samples_over_band = 6;

TypeOneCodebook CodebookOf(const CodebookPorts& ports) {
    return {ports.n1, ports.n2};
}

/// What a UE's antennas receive over each beam of the codebook, of each polarisation and each half.
class BeamResponses {
  public:
    BeamResponses(const TypeOneCodebook& codebook, unsigned layers, const std::vector<Complex>& h,
                  const std::vector<std::size_t>& elementOfPort, std::size_t antennas, std::size_t samples)
        : m_numBeams2(codebook.NumBeams2()), m_numParts(codebook.OfHalves(layers) ? 4 : 2), m_size(antennas * samples),
          m_values(codebook.NumBeams1(layers) * m_numBeams2 * m_numParts * m_size) {
        const bool halves = codebook.OfHalves(layers);
        const unsigned n1 = codebook.N1(), n2 = codebook.N2(), length = halves ? n1 / 2 : n1;
        const std::size_t numPorts = codebook.NumPorts();
        std::vector<Complex> over2(m_size);
        for (unsigned p = 0; p < 2; ++p) {
            for (unsigned i = 0; i < n1; ++i) {
                for (unsigned m = 0; m < m_numBeams2; ++m) {
                    std::fill(over2.begin(), over2.end(), 0);
                    for (unsigned j = 0; j < n2; ++j) {
                        const Complex phase = codebook.Place(0, m, 0, j);
                        const std::size_t element = elementOfPort[(p * n1 + i) * n2 + j];
                        for (std::size_t a = 0; a < antennas; ++a) {
                            for (std::size_t f = 0; f < samples; ++f) {
                                over2[a * samples + f] += phase * h[(a * numPorts + element) * samples + f];
                            }
                        }
                    }
                    const unsigned part = halves ? 2 * p + i / length : p;
                    for (unsigned l = 0; l < codebook.NumBeams1(layers); ++l) {
                        const Complex phase = codebook.Place(halves ? 2 * l : l, 0, i % length, 0);
                        Complex* to = At(l, m, part);
                        for (std::size_t k = 0; k < m_size; ++k) {
                            to[k] += phase * over2[k];
                        }
                    }
                }
            }
        }
    }

    /// [antenna, sample] of a layer, but for the factor of its power.
    void Receive(const TypeOneCodebook::Column& column, std::vector<Complex>& out) const {
        out.assign(m_size, 0);
        for (unsigned part = 0; part < m_numParts; ++part) {
            const Complex by = column.by[m_numParts == 4 ? part : 2 * part];
            const Complex* from = At(column.l, column.m, part);
            for (std::size_t k = 0; k < m_size; ++k) {
                out[k] += by * from[k];
            }
        }
    }

  private:
    const Complex* At(unsigned l, unsigned m, unsigned part) const {
        return &m_values[((l * m_numBeams2 + m) * m_numParts + part) * m_size];
    }
    Complex* At(unsigned l, unsigned m, unsigned part) {
        return &m_values[((l * m_numBeams2 + m) * m_numParts + part) * m_size];
    }
    unsigned m_numBeams2, m_numParts;
    std::size_t m_size;
    std::vector<Complex> m_values; ///< [beam 1, beam 2, part, antenna, sample]
};

/// Product over samples of det(I + scale R^H R): the more bits, the greater.
class Bits {
  public:
    Bits(std::size_t antennas, std::size_t samples, double scale)
        : m_antennas(antennas), m_samples(samples), m_scale(scale) {}
    /// log of it. \param received [layer] of [antenna, sample]
    double operator()(const std::vector<std::vector<Complex>>& received) {
        const std::size_t n = received.size();
        double log = 0;
        for (std::size_t f = 0; f < m_samples; ++f) {
            for (std::size_t i = 0; i < n; ++i) {
                for (std::size_t j = 0; j <= i; ++j) {
                    Complex sum = 0;
                    for (std::size_t a = 0; a < m_antennas; ++a) {
                        sum += std::conj(received[j][a * m_samples + f]) * received[i][a * m_samples + f];
                    }
                    m_gram[i][j] = m_scale * std::complex<double>(sum) + (i == j ? 1.0 : 0.0);
                }
            }
            double determinant = 1; // by Cholesky
            for (std::size_t j = 0; j < n; ++j) {
                double pivot = m_gram[j][j].real();
                for (std::size_t k = 0; k < j; ++k) {
                    pivot -= std::norm(m_gram[j][k]);
                }
                pivot = std::max(pivot, 1e-12);
                determinant *= pivot;
                const double root = std::sqrt(pivot);
                for (std::size_t i = j + 1; i < n; ++i) {
                    for (std::size_t k = 0; k < j; ++k) {
                        m_gram[i][j] -= m_gram[i][k] * std::conj(m_gram[j][k]);
                    }
                    m_gram[i][j] /= root;
                }
            }
            log += std::log(determinant);
        }
        return log;
    }

  private:
    std::size_t m_antennas, m_samples;
    double m_scale;
    std::array<std::array<std::complex<double>, 4>, 4> m_gram;
};

} // namespace

ns3::TypeId CodebookBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::CodebookBeamformer")
                                       .SetParent<WidebandBeamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<CodebookBeamformer>();
    return tid;
}

void CodebookBeamformer::CheckArray(const ns3::PhasedArrayModel& array) const {
    CodebookOf({array, "Type I"});
}

std::vector<std::vector<Complex>> CodebookBeamformer::FindPrecoders(const BeamSearch& search) const {
    const CodebookPorts ports(*search.link.GetBaseStationArray(), "Type I");
    const TypeOneCodebook codebook = CodebookOf(ports);
    const auto& elementOfPort = ports.element;
    const std::size_t samples = std::min(samples_over_band, search.offsetsHz.size()), antennas = search.NumAntennas();
    const auto h = search.Sample(samples);
    std::optional<BeamResponses> responses;
    std::vector<std::vector<Complex>> found;
    for (unsigned layers = 1; layers <= search.count; ++layers) {
        if (layers == 1 || codebook.OfHalves(layers) != codebook.OfHalves(layers - 1)) {
            responses.emplace(codebook, layers, h, elementOfPort, antennas, samples);
        }
        Bits bits(antennas, samples, search.snr / (layers * codebook.NumPorts()));
        std::vector<std::vector<Complex>> received(layers);
        TypeOneCodebook::Pmi best;
        double most = -1;
        for (const auto& pmi : codebook.All(layers)) {
            const auto columns = codebook.Columns(layers, pmi);
            for (unsigned l = 0; l < layers; ++l) {
                responses->Receive(columns[l], received[l]);
            }
            if (const double here = bits(received); here > most) {
                most = here;
                best = pmi;
            }
        }
        NS_LOG_LOGIC(layers << " layers: i1 (" << best.i11 << ", " << best.i12 << ", " << best.i13 << "), i2 "
                            << best.i2);
        const auto weights = codebook.Weights(layers, best);
        const float unit = std::sqrt(static_cast<float>(layers));
        std::vector<Complex> precoder(weights.size());
        for (std::size_t port = 0; port < elementOfPort.size(); ++port) {
            for (unsigned l = 0; l < layers; ++l) {
                precoder[elementOfPort[port] * layers + l] = unit * weights[port * layers + l];
            }
        }
        found.push_back(std::move(precoder));
    }
    return found;
}

} // namespace edgelam::nr
