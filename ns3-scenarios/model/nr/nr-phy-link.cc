// SPDX-License-Identifier: GPL-2.0-only
#include "nr-phy-link.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "nr-matrix-kernels.h"

namespace edgelam::nr {

namespace {

constexpr double pi = std::numbers::pi;
constexpr std::size_t samples_over_band = 12; ///< of H for choosing beams

/// Make the columns of [rows, columns] orthonormal, in their order (modified Gram-Schmidt). A column that depends on
/// those before becomes a unit vector of its own.
void Orthonormalise(std::vector<std::complex<float>>& a, std::size_t rows, std::size_t columns) {
    for (std::size_t c = 0; c < columns; ++c) {
        for (int pass = 0; pass < 2; ++pass) {
            for (std::size_t b = 0; b < c; ++b) {
                std::complex<float> dot = 0;
                for (std::size_t i = 0; i < rows; ++i) {
                    dot += std::conj(a[i * columns + b]) * a[i * columns + c];
                }
                for (std::size_t i = 0; i < rows; ++i) {
                    a[i * columns + c] -= dot * a[i * columns + b];
                }
            }
            float norm = 0;
            for (std::size_t i = 0; i < rows; ++i) {
                norm += std::norm(a[i * columns + c]);
            }
            if (norm < 1e-20f) {
                a[(c % rows) * columns + c] = 1;
                pass = 0;
                continue;
            }
            const float scale = 1 / std::sqrt(norm);
            for (std::size_t i = 0; i < rows; ++i) {
                a[i * columns + c] *= scale;
            }
        }
    }
}

} // namespace

BeamMethod BeamMethodOf(const std::string& name) {
    for (const auto method : {BeamMethod::Eigen, BeamMethod::Codebook, BeamMethod::Direct, BeamMethod::External}) {
        if (NameOf(method) == name) {
            return method;
        }
    }
    throw std::invalid_argument("beams '" + name + "'; legal are eigen, codebook, direct, external");
}

std::string NameOf(BeamMethod method) {
    switch (method) {
    case BeamMethod::Eigen:
        return "eigen";
    case BeamMethod::Codebook:
        return "codebook";
    case BeamMethod::Direct:
        return "direct";
    default:
        return "external";
    }
}

PhyLink::PhyLink(ns3::Ptr<ChannelLink> link, BeamMethod method, std::vector<double> groupOffsetsHz,
                 unsigned uplinkLayers)
    : m_link(link), m_method(method), m_offsets(std::move(groupOffsetsHz)),
      m_ueElements(PortWeights::Elements(link->NumRx(Direction::Downlink))), m_uplinkLayers(uplinkLayers) {}

unsigned PhyLink::MaxLayers() const {
    const std::size_t least = std::min(m_link->NumTx(Direction::Downlink), m_link->NumRx(Direction::Downlink));
    return static_cast<unsigned>(std::min<std::size_t>(least, max_layers));
}

void PhyLink::Measure(bool later) {
    const unsigned count = MaxLayers();
    auto weights = m_method == BeamMethod::Codebook ? CodebookBeams(count)
                   : m_method == BeamMethod::Direct ? DirectBeams(count)
                                                    : EigenBeams(count);
    m_measured.weights.emplace(count, std::move(weights));
    FindUplinkWeights();
    if (!later) {
        Adopt();
    }
}

/// Orthogonal iteration on conj(sum over groups and beams of g g^H), begun with the weights of before.
void PhyLink::FindUplinkWeights() {
    const auto& response = Response(*m_measured.weights);
    const std::size_t antennas = NumUeAntennas(), groups = NumGroups(), beams = m_measured.weights->numPorts();
    const std::size_t layers = MaxUplinkLayers();
    std::vector<Complex> covariance(antennas * antennas);
    for (std::size_t b = 0; b < beams; ++b) {
        for (std::size_t f = 0; f < groups; f += std::max<std::size_t>(1, groups / samples_over_band)) {
            for (std::size_t i = 0; i < antennas; ++i) {
                const Complex left = std::conj(response[(i * beams + b) * groups + f]);
                for (std::size_t j = 0; j < antennas; ++j) {
                    covariance[i * antennas + j] += left * response[(j * beams + b) * groups + f];
                }
            }
        }
    }
    float trace = 0;
    for (std::size_t i = 0; i < antennas; ++i) {
        trace += covariance[i * antennas + i].real();
    }
    auto& ue = m_measured.ue;
    if (ue.empty()) {
        ue.assign(antennas * layers, 1);
        Orthonormalise(ue, antennas, layers);
    }
    std::vector<Complex> next(antennas * layers);
    for (int pass = 0; pass < 8 && trace > 0; ++pass) {
        std::fill(next.begin(), next.end(), 0);
        for (std::size_t i = 0; i < antennas; ++i) {
            for (std::size_t j = 0; j < antennas; ++j) {
                const Complex weight = covariance[i * antennas + j] / trace;
                for (std::size_t l = 0; l < layers; ++l) {
                    next[i * layers + l] += weight * ue[j * layers + l];
                }
            }
        }
        Orthonormalise(next, antennas, layers);
        ue.swap(next);
    }
}

/// H [UE antenna, element, sample] over the band.
std::vector<PhyLink::Complex> PhyLink::SampledResponse(std::size_t samples) const {
    std::vector<double> offsets;
    for (std::size_t i = 0; i < samples; ++i) {
        offsets.push_back(m_offsets[i * m_offsets.size() / samples]);
    }
    std::vector<Complex> h(m_link->NumRx(Direction::Downlink) * m_link->NumTx(Direction::Downlink) * samples);
    m_link->GetFrequencyResponse(Direction::Downlink, offsets, h);
    return h;
}

/// Orthogonal iteration on sum_f H^H H, begun with the beams of before.
std::vector<PhyLink::Complex> PhyLink::EigenBeams(unsigned count) {
    const std::size_t samples = std::min(samples_over_band, m_offsets.size());
    const std::size_t antennas = NumUeAntennas(), elements = m_link->NumTx(Direction::Downlink);
    const std::size_t rows = antennas * samples, stride = kernels::Padded(elements);
    const auto h = SampledResponse(samples);
    std::vector<float> store(2 * (rows + 2 * count) * stride); // H, beams and their next, planar
    float *hRe = store.data(), *hIm = hRe + rows * stride, *beamRe = hIm + rows * stride,
          *beamIm = beamRe + count * stride, *nextRe = beamIm + count * stride, *nextIm = nextRe + count * stride;
    for (std::size_t u = 0; u < antennas; ++u) {
        for (std::size_t i = 0; i < elements; ++i) {
            for (std::size_t f = 0; f < samples; ++f) {
                const auto value = h[(u * elements + i) * samples + f];
                hRe[(u * samples + f) * stride + i] = value.real();
                hIm[(u * samples + f) * stride + i] = value.imag();
            }
        }
    }
    const bool begun = m_measured.weights.has_value();
    for (unsigned c = 0; c < count; ++c) {
        // At first: the rows of H at a few antennas and frequencies span what matters.
        const std::size_t row = (c % antennas) * samples + (c * 5) % samples;
        for (std::size_t i = 0; i < elements; ++i) {
            beamRe[c * stride + i] = begun ? m_measured.weights->values()[i * count + c].real() : hRe[row * stride + i];
            beamIm[c * stride + i] =
                begun ? m_measured.weights->values()[i * count + c].imag() : -hIm[row * stride + i];
        }
    }
    kernels::Orthonormalise(beamRe, beamIm, count, elements, stride);
    for (int pass = begun ? 6 : 12; pass > 0; --pass) {
        kernels::ApplyGram(hRe, hIm, rows, beamRe, beamIm, count, stride, nextRe, nextIm);
        kernels::Orthonormalise(nextRe, nextIm, count, elements, stride);
        std::swap(beamRe, nextRe);
        std::swap(beamIm, nextIm);
    }
    std::vector<Complex> beams(elements * count);
    for (unsigned c = 0; c < count; ++c) {
        for (std::size_t i = 0; i < elements; ++i) {
            beams[i * count + c] = {beamRe[c * stride + i], beamIm[c * stride + i]};
        }
    }
    return beams;
}

/// DFT beams over rows and columns, oversampled twice, the same for both polarisations; the strongest first, then those
/// orthogonal to it.
std::vector<PhyLink::Complex> PhyLink::CodebookBeams(unsigned count) {
    const auto array = m_link->GetBaseStationArray();
    const std::size_t rows = array->GetNumRows(), columns = array->GetNumColumns(), places = rows * columns;
    const std::size_t polarisations = array->GetNumPols(), elements = array->GetNumElems();
    const std::size_t samples = std::min<std::size_t>(4, m_offsets.size()), antennas = NumUeAntennas();
    const auto h = SampledResponse(samples);
    constexpr std::size_t oversampling = 2;
    const auto directions = [](std::size_t places) { return places > 1 ? oversampling * places : 1; };
    const auto steering = [&](std::size_t places) { // [direction, place]
        std::vector<Complex> weights;
        for (std::size_t k = 0; k < directions(places); ++k) {
            for (std::size_t i = 0; i < places; ++i) {
                const double turns = double(k * i) / double(oversampling * places);
                weights.push_back(Complex(std::polar(1 / std::sqrt(double(places)), 2 * pi * turns)));
            }
        }
        return weights;
    };
    // A beam is a direction along the rows times one along the columns: the sum over columns first serves all of the
    // former.
    const auto up = steering(rows), across = steering(columns);
    const std::size_t numUp = directions(rows), numAcross = directions(columns);
    std::vector<Complex> ofRow(rows * numAcross * samples), sum(samples);
    std::vector<double> power(numUp * numAcross);
    for (std::size_t end = 0; end < antennas * polarisations; ++end) {
        const Complex* from = &h[end * places * samples];
        std::fill(ofRow.begin(), ofRow.end(), 0);
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t w = 0; w < numAcross; ++w) {
                for (std::size_t column = 0; column < columns; ++column) {
                    for (std::size_t f = 0; f < samples; ++f) {
                        ofRow[(row * numAcross + w) * samples + f] +=
                            from[(row * columns + column) * samples + f] * across[w * columns + column];
                    }
                }
            }
        }
        for (std::size_t v = 0; v < numUp; ++v) {
            for (std::size_t w = 0; w < numAcross; ++w) {
                std::fill(sum.begin(), sum.end(), 0);
                for (std::size_t row = 0; row < rows; ++row) {
                    for (std::size_t f = 0; f < samples; ++f) {
                        sum[f] += ofRow[(row * numAcross + w) * samples + f] * up[v * rows + row];
                    }
                }
                for (const Complex each : sum) {
                    power[v * numAcross + w] += std::norm(each);
                }
            }
        }
    }
    const auto best = static_cast<std::size_t>(std::max_element(power.begin(), power.end()) - power.begin());
    std::vector<Complex> chosen(places);
    for (std::size_t i = 0; i < places; ++i) {
        chosen[i] = up[best / numAcross * rows + i / columns] * across[best % numAcross * columns + i % columns];
    }
    // Layers: the beam in each polarisation, then its orthogonal neighbour along the columns (or rows).
    std::vector<Complex> beams(elements * count);
    for (unsigned c = 0; c < count; ++c) {
        const std::size_t p = c % polarisations, shift = c / polarisations;
        for (std::size_t i = 0; i < places; ++i) {
            const double turns = columns > 1 ? double(shift * (i % columns)) / double(columns)
                                             : double(shift * (i / columns)) / double(rows);
            beams[(p * places + i) * count + c] = chosen[i] * Complex(std::polar(1.0, 2 * pi * turns));
        }
    }
    Orthonormalise(beams, elements, count);
    return beams;
}

std::vector<PhyLink::Complex> PhyLink::DirectBeams(unsigned count) {
    const auto array = m_link->GetBaseStationArray();
    const ns3::Vector way = m_link->GetUser()->GetPosition() - m_link->GetBaseStation()->GetPosition();
    const double length = way.GetLength();
    const std::size_t elements = array->GetNumElems(), polarisations = array->GetNumPols();
    const std::size_t places = elements / polarisations;
    std::vector<Complex> beams(elements * count);
    for (unsigned c = 0; c < count; ++c) {
        const std::size_t p = c % polarisations;
        for (std::size_t i = 0; i < places; ++i) {
            const auto at = array->GetElementLocation(i);
            const double turns = (way.x * at.x + way.y * at.y + way.z * at.z) / length +
                                 double(c / polarisations) * double(i) / double(places); // further layers: beside it
            beams[(p * places + i) * count + c] = Complex(std::polar(1.0, -2 * pi * turns));
        }
    }
    Orthonormalise(beams, elements, count);
    return beams;
}

const std::vector<PhyLink::Complex>& PhyLink::Response(const PortWeights& beams) {
    return m_link->GetEffectiveChannel(Direction::Downlink, m_ueElements, beams, m_offsets);
}

const PhyLink::BeamSet& PhyLink::Set(Beams which) const {
    const BeamSet& set = which == Beams::InUse ? m_inUse : m_measured;
    if (!set.weights) {
        throw std::logic_error("PhyLink: Measure comes first");
    }
    return set;
}

void PhyLink::Receive(const std::vector<Complex>& channel, std::size_t receivers, std::size_t columns, unsigned layers,
                      double snr, std::span<const float> rise, SinrMap& out) {
    const std::size_t groups = NumGroups();
    const auto* g = channel.data();
    if (!rise.empty()) { // as if noise had stayed and the channel become weaker
        m_whitened.resize(channel.size());
        for (std::size_t row = 0; row < receivers * columns; ++row) {
            for (std::size_t f = 0; f < groups; ++f) {
                m_whitened[row * groups + f] = channel[row * groups + f] / std::sqrt(rise[f]);
            }
        }
        g = m_whitened.data();
    }
    out.numLayers = layers;
    out.numGroups = groups;
    out.values.resize(layers * groups);
    kernels::MmseSinr(g, receivers, columns, layers, groups, static_cast<float>(snr / layers), out.values.data());
}

const SinrMap& PhyLink::Downlink(unsigned layers, double snr, Beams which, std::span<const float> rise) {
    if (m_precoded.Has(layers)) {
        const auto& h = m_link->GetEffectiveChannel(Direction::Downlink, m_ueElements, *m_bsElements, m_offsets);
        const auto& sent = m_precoded.Response(layers, h, m_link->GetEffectiveVersion(), NumUeAntennas());
        // Power is in the weights, not shared out.
        Receive(sent, NumUeAntennas(), layers, layers, snr * layers, rise, m_down);
        return m_down;
    }
    const BeamSet& set = Set(which);
    Receive(Response(*set.weights), NumUeAntennas(), set.weights->numPorts(), layers, snr, rise, m_down);
    return m_down;
}

const SinrMap& PhyLink::DownlinkOver(const PortWeights& beam, double snr, std::span<const float> rise) {
    Receive(Response(beam), NumUeAntennas(), 1, 1, snr, rise, m_down);
    return m_down;
}

std::vector<PhyLink::Complex> PhyLink::FirstBeam(Beams which) const {
    const PortWeights& weights = *Set(which).weights;
    std::vector<Complex> beam(weights.numElements());
    for (std::size_t i = 0; i < beam.size(); ++i) {
        beam[i] = weights.values()[i * weights.numPorts()];
    }
    return beam;
}

void PhyLink::SetPrecoder(const Precoder& precoder) {
    const std::size_t elements = m_link->NumTx(Direction::Downlink);
    if (!m_bsElements) {
        m_bsElements = PortWeights::Elements(elements);
    }
    m_precoded.Set(precoder, elements, NumGroups());
}

const SinrMap& PhyLink::Uplink(unsigned layers, double snr, Beams which, std::span<const float> rise) {
    const BeamSet& set = Set(which);
    const std::size_t beams = set.weights->numPorts(), sent = MaxUplinkLayers();
    m_sent.resize(beams * sent * NumGroups());
    kernels::CombineAntennas(Response(*set.weights).data(), set.ue.data(), NumUeAntennas(), beams, sent, NumGroups(),
                             m_sent.data());
    Receive(m_sent, beams, sent, layers, snr, rise, m_up);
    return m_up;
}

} // namespace edgelam::nr
