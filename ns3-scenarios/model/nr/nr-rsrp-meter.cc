// SPDX-License-Identifier: GPL-2.0-only
#include "nr-rsrp-meter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "named-random.h"
#include "nr-ssb-burst.h"

namespace edgelam::nr {

namespace {

constexpr unsigned samples = 4; ///< of frequency, over the resource blocks of an SSB
constexpr double ssb_elements = 127, csi_rs_elements = 3.0 * ssb_prbs;
constexpr double unheard_dbm = -300;

} // namespace

RsrpMeter::RsrpMeter(const Carrier& carrier, AnalogCodebook& codebook, ns3::Ptr<ns3::UniformRandomVariable> random)
    : m_carrier(carrier), m_codebook(codebook), m_random(std::move(random)) {
    const double prbHz = 12.0 * static_cast<double>(carrier.numerology.SubcarrierSpacingHz());
    for (unsigned i = 0; i < samples; ++i) {
        m_offsetsHz.push_back(((i + 0.5) / samples - 0.5) * std::min(ssb_prbs, carrier.numPrbs) * prbHz);
    }
}

double RsrpMeter::SubcarrierDbm() const {
    return m_carrier.settings.gnbPowerDbm - 10 * std::log10(12.0 * m_carrier.numPrbs);
}

double RsrpMeter::NoiseW(Signal signal) const {
    const double elements = signal == Signal::Ssb ? ssb_elements : csi_rs_elements,
                 each = elements / (samples * static_cast<double>(m_codebook.NumPorts())); // for a frequency and port
    return m_carrier.noiseDownW / 12 / each;
}

double RsrpMeter::Sinr(double ssbDbm) const {
    return std::max(0.0, WattOfDbm(ssbDbm) - NoiseW(Signal::Ssb)) / (m_carrier.noiseDownW / 12);
}

std::vector<double> RsrpMeter::Measure(const Listener& listener, std::span<const std::uint32_t> beams, Signal signal) {
    return Powers(listener, beams, signal);
}

double RsrpMeter::Exact(const Listener& listener, std::uint32_t beam) {
    return Powers(listener, {&beam, 1}, std::nullopt).front();
}

std::uint64_t RsrpMeter::Seed() {
    if (!m_seed) { // not before: the stream of the cell is given after it has been made
        const std::uint64_t high = m_random->GetInteger(0, 0xffffffffU - 1);
        m_seed = high << 32 | m_random->GetInteger(0, 0xffffffffU - 1);
    }
    return *m_seed;
}

std::vector<double> RsrpMeter::Powers(const Listener& listener, std::span<const std::uint32_t> beams,
                                      std::optional<Signal> signal) {
    const auto& h = listener.link->GetEffectiveChannel(Direction::Downlink, *listener.ports, *listener.gnb,
                                                       m_offsetsHz); // [UE port, element, frequency]
    const std::size_t elements = listener.link->NumTx(Direction::Downlink), sent = m_codebook.NumPorts();
    const double deviation = signal ? std::sqrt(NoiseW(*signal) / WattOfDbm(SubcarrierDbm()) / 2) : 0;
    std::vector<double> dbm;
    for (const auto beam : beams) {
        NamedRandom random(signal ? Seed() : 0, {listener.ue, listener.slot, listener.beam, beam,
                                                 static_cast<std::uint64_t>(signal.value_or(Signal::Ssb))});
        const auto& weights = m_codebook.Weights(beam).values();
        double strongest = 0;
        for (std::size_t a = 0; a < listener.ports->numPorts(); ++a) {
            double power = 0;
            for (std::size_t p = 0; p < sent; ++p) {
                std::array<std::complex<float>, samples> arrived{};
                for (std::size_t e = 0; e < elements; ++e) {
                    const auto weight = weights[e * sent + p];
                    if (weight == std::complex<float>(0)) { // of another panel or polarisation
                        continue;
                    }
                    for (unsigned f = 0; f < samples; ++f) {
                        arrived[f] += h[(a * elements + e) * samples + f] * weight;
                    }
                }
                for (const auto& each : arrived) {
                    std::complex<double> estimate(each);
                    if (signal) {
                        const double re = random.Normal(), im = random.Normal();
                        estimate += deviation * std::complex<double>(re, im);
                    }
                    power += std::norm(estimate) / samples / static_cast<double>(sent);
                }
            }
            strongest = std::max(strongest, power);
        }
        dbm.push_back(std::max(unheard_dbm, SubcarrierDbm() + DbOf(strongest)));
    }
    return dbm;
}

} // namespace edgelam::nr
