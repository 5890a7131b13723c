// SPDX-License-Identifier: GPL-2.0-only
#include "nr-codebook-beamformer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrCodebookBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(CodebookBeamformer);

namespace {

using Complex = std::complex<float>;

constexpr double pi = std::numbers::pi;

} // namespace

ns3::TypeId CodebookBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::CodebookBeamformer")
                                       .SetParent<WidebandBeamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<CodebookBeamformer>();
    return tid;
}

std::vector<Complex> CodebookBeamformer::FindBeams(const BeamSearch& search) const {
    const unsigned count = search.count;
    const auto array = search.link.GetBaseStationArray();
    const std::size_t rows = array->GetNumRows(), columns = array->GetNumColumns(), places = rows * columns;
    const std::size_t polarisations = array->GetNumPols(), elements = array->GetNumElems();
    const std::size_t samples = std::min<std::size_t>(4, search.offsetsHz.size()), antennas = search.NumAntennas();
    const auto h = search.Sample(samples);
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
    NS_LOG_LOGIC("UE at " << search.link.GetUser()->GetPosition() << ": direction " << best / numAcross << " of "
                          << numUp << " along the columns, " << best % numAcross << " of " << numAcross
                          << " along the rows");
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

} // namespace edgelam::nr
