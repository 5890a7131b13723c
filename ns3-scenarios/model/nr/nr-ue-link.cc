// SPDX-License-Identifier: GPL-2.0-only
#include "nr-ue-link.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "ns3/log.h"

#include "nr-beam-search.h"
#include "nr-subband-beams.h"

NS_LOG_COMPONENT_DEFINE("NrUeLink");

namespace edgelam::nr {

UeLink::UeLink(std::uint32_t ue, PhyLink phy, ns3::Ptr<Beamformer> beamformer, std::vector<double> groupCentresHz)
    : m_ue(ue), m_phy(std::move(phy)), m_beamformer(beamformer), m_groupCentresHz(std::move(groupCentresHz)) {}

void UeLink::Measure(bool later, double snr) {
    const unsigned count = MaxLayers();
    const BeamSearch search{
        *m_phy.link(),    m_phy.OffsetsHz(),  count, m_measured.beams ? &*m_measured.beams : nullptr, snr,
        m_phy.GnbPorts(), &m_phy.UeElements()};
    m_measured.precoders.clear();
    for (auto& precoder : m_beamformer->FindPrecoders(search)) {
        m_measured.precoders.emplace_back(m_measured.precoders.size() + 1, std::move(precoder));
    }
    if (m_measured.precoders.empty()) {
        m_measured.beams.emplace(count, m_beamformer->FindBeams(search));
    } else {
        m_measured.beams = m_measured.precoders.back();
    }
    m_phy.FindUplinkWeights(*m_measured.beams, m_measured.uplink);
    NS_LOG_LOGIC("UE " << m_ue << ": " << count << " beams");
    m_measured.uplinkLayers = MaxUplinkLayers();
    if (m_beamformer->WantsChannel() || m_overPorts) {
        const std::size_t groups = NumGroups(), pairs = m_phy.NumUeAntennas() * m_phy.NumElements();
        std::vector<std::complex<float>> h(pairs * groups);
        m_phy.link()->GetFrequencyResponse(Direction::Downlink, m_groupCentresHz, h);
        std::vector<std::complex<float>> downlink(h.size()); // [group, antenna, element]
        for (std::size_t i = 0; i < pairs; ++i) {
            for (std::size_t g = 0; g < groups; ++g) {
                downlink[g * pairs + i] = h[i * groups + g];
            }
        }
        if (m_overPorts) {
            MeasureSounded(downlink);
        }
        if (m_beamformer->WantsChannel()) {
            m_measured.downlink = std::move(downlink);
            if (m_reports) {
                m_measured.bySubband = true;
                m_reported.assign(count, {});
                m_subbandBeams = SubbandBeams(m_measured.downlink, groups, m_reports->GroupsPerSubband(),
                                              m_phy.NumUeAntennas(), m_phy.NumElements(), count);
            }
            if (m_reports || m_beamformer->WantsHeard()) {
                MeasureHeard();
            }
        }
    }
    if (!later) {
        Adopt();
    }
}

void UeLink::UseAnalog(ns3::Ptr<ChannelLink> link, const PortWeights& gnb, const PortWeights& ue, double snr) {
    m_phy.UseAnalog(link, gnb, ue);
    m_measured.uplink.clear();
    Measure(false, snr);
}

void UeLink::MeasureHeard() {
    const PortWeights& beams = *m_measured.beams;
    const std::size_t antennas = m_phy.NumUeAntennas(), elements = m_phy.NumElements(), count = beams.numPorts();
    m_measured.heard.assign(NumGroups() * count * elements, 0);
    std::vector<std::complex<float>> received(antennas * count); // H b, made orthonormal: [antenna, beam]
    for (std::size_t g = 0; g < NumGroups(); ++g) {
        const auto* h = m_measured.downlink.data() + g * antennas * elements;
        const auto* sent = m_reports ? m_subbandBeams.data() + g / m_reports->GroupsPerSubband() * elements * count
                                     : beams.values().data();
        std::ranges::fill(received, 0);
        for (std::size_t a = 0; a < antennas; ++a) {
            for (std::size_t e = 0; e < elements; ++e) {
                for (std::size_t b = 0; b < count; ++b) {
                    received[a * count + b] += h[a * elements + e] * sent[e * count + b];
                }
            }
        }
        float power = std::numeric_limits<float>::min();
        for (const auto& each : received) {
            power += std::norm(each);
        }
        for (auto& each : received) {
            each /= std::sqrt(power);
        }
        Orthonormalise(received, antennas, count);
        auto* heard = m_measured.heard.data() + g * count * elements;
        for (std::size_t b = 0; b < count; ++b) {
            for (std::size_t a = 0; a < antennas; ++a) {
                const auto weight = std::conj(received[a * count + b]);
                for (std::size_t e = 0; e < elements; ++e) {
                    heard[b * elements + e] += weight * h[a * elements + e];
                }
            }
        }
    }
}

void UeLink::Report(unsigned layers) {
    if (!m_reports || !m_reports->IsQuantised()) {
        return;
    }
    auto& reported = m_reported[layers - 1];
    if (reported.weights.empty()) {
        reported = m_reports->Quantise(m_subbandBeams, MaxLayers(), layers);
    }
    UseReport(reported, 0, layers, {});
}

void UeLink::UseReport(const SubbandReports::Reported& reported, unsigned first, unsigned last,
                       std::span<const double> amplitude) {
    const std::size_t elements = m_phy.NumElements(), count = m_measured.beams->numPorts();
    for (std::size_t g = 0; g < NumGroups(); ++g) {
        const std::size_t subband = g / m_reports->GroupsPerSubband();
        const auto scale = static_cast<float>(amplitude.empty() ? 1 : amplitude[g]);
        for (unsigned l = first; l < last; ++l) {
            auto* heard = m_measured.heard.data() + (g * count + l) * elements;
            for (std::size_t e = 0; e < elements; ++e) {
                heard[e] = scale * std::conj(reported.weights[(subband * elements + e) * reported.layers + l]);
            }
        }
    }
}

void UeLink::AdoptReport(unsigned layers, std::span<const float> sinrDb, double snr) {
    if (!m_reports || !m_reports->IsQuantised()) {
        return;
    }
    std::vector<double> amplitude(NumGroups());
    for (std::size_t g = 0; g < amplitude.size(); ++g) {
        amplitude[g] = std::sqrt(std::pow(10, sinrDb[g] / 10) * layers * m_measured.rise / snr);
    }
    UseReport(m_reported[layers - 1], 0, layers, amplitude);
    const auto most =
        std::ranges::find_if(m_reported.rbegin(), m_reported.rend(), [](const auto& each) { return each.layers > 0; });
    UseReport(*most, layers, most->layers, amplitude); // for a block that is sent again with more layers
    m_reportBits = m_reported[layers - 1].bits;
    // As if each layer arrived at an antenna of its own.
    const std::size_t elements = m_phy.NumElements(), antennas = m_phy.NumUeAntennas(),
                      count = m_measured.beams->numPorts();
    std::ranges::fill(m_measured.downlink, 0);
    for (std::size_t g = 0; g < NumGroups(); ++g) {
        std::copy_n(m_measured.heard.data() + g * count * elements, layers * elements,
                    m_measured.downlink.data() + g * antennas * elements);
    }
}

void UeLink::MeasureSounded(std::span<const std::complex<float>> downlink) {
    const std::size_t antennas = m_phy.NumUeAntennas(), elements = m_phy.NumElements(), layers = MaxUplinkLayers();
    m_measured.sounded.assign(NumGroups() * layers * elements, 0);
    for (std::size_t g = 0; g < NumGroups(); ++g) {
        for (std::size_t a = 0; a < antennas; ++a) {
            const auto* h = downlink.data() + (g * antennas + a) * elements;
            for (std::size_t l = 0; l < layers; ++l) {
                const auto weight = m_measured.uplink[a * layers + l];
                auto* sounded = m_measured.sounded.data() + (g * layers + l) * elements;
                for (std::size_t e = 0; e < elements; ++e) {
                    sounded[e] += weight * h[e];
                }
            }
        }
    }
}

const ChannelState& UeLink::State(Beams which) const {
    const ChannelState& state = which == Beams::InUse ? m_inUse : m_measured;
    if (!state.beams) {
        throw std::logic_error("UeLink: Measure comes first");
    }
    return state;
}

void UeLink::Clear(Precoder& precoder, unsigned layers) const {
    precoder.layers = layers;
    precoder.weights.assign(NumGroups() * m_phy.NumElements() * layers, 0);
}

ServedUe UeLink::Served(std::uint32_t group, Precoder& precoder, Beams which) const {
    const std::size_t perGroup = m_phy.NumElements() * precoder.layers;
    return {m_ue,
            precoder.layers,
            m_phy.NumUeAntennas(),
            m_phy.NumElements(),
            &State(which),
            group,
            std::span(precoder.weights).subspan(group * perGroup, perGroup)};
}

bool UeLink::IsSentOwnBeams(unsigned layers) const {
    if (m_reports) {
        return false;
    }
    return m_beamformer->FormsAlways(m_ue, layers) ||
           (m_beamformer->SendsOwnBeams(m_ue, layers) && !m_beamformer->LimitsElements());
}

const PortWeights* UeLink::Alone(unsigned layers, Beams which, Precoder& precoder) const {
    if (IsSentOwnBeams(layers)) {
        return &State(which).Sent(layers);
    }
    Clear(precoder, layers);
    for (std::uint32_t g = 0; g < NumGroups(); ++g) {
        const ServedUe served = Served(g, precoder, which);
        FormWeights(*m_beamformer, g, {&served, 1});
    }
    return nullptr;
}

const SinrMap& UeLink::Downlink(unsigned layers, double snr, Beams which, const Noise& noise) {
    const PortWeights* own = Alone(layers, which, m_alone);
    return own ? m_phy.Downlink(*own, layers, snr, noise) : m_phy.Downlink(m_alone, {}, snr, noise);
}

void UeLink::Fetch(Direction direction, unsigned layers, bool alone, ChannelFetch& fetch) {
    const bool own = alone && IsSentOwnBeams(layers);
    const PortWeights& sent = direction == Direction::Uplink ? Receivers()
                              : own                          ? State().Sent(layers)
                                                             : m_phy.GnbElements();
    fetch.Add(*m_phy.link(), m_phy.UeElements(), sent, m_phy.OffsetsHz());
}

std::vector<std::complex<float>> UeLink::FirstBeam(Beams which) const {
    const PortWeights& weights = State(which).Sent(1);
    std::vector<std::complex<float>> beam(weights.numElements());
    for (std::size_t i = 0; i < beam.size(); ++i) {
        beam[i] = weights.values()[i * weights.numPorts()];
    }
    return beam;
}

std::vector<std::complex<float>> UeLink::UplinkWeights() const {
    const PortWeights& ports = m_phy.UeElements();
    const auto& digital = State().uplink;
    if (ports.areElements()) {
        return digital;
    }
    const std::size_t count = ports.numPorts(), layers = digital.size() / count;
    std::vector<std::complex<float>> weights(ports.numElements() * layers);
    for (std::size_t e = 0; e < ports.numElements(); ++e) {
        for (std::size_t p = 0; p < count; ++p) {
            for (std::size_t l = 0; l < layers; ++l) {
                weights[e * layers + l] += ports.values()[e * count + p] * digital[p * layers + l];
            }
        }
    }
    return weights;
}

void FormWeights(Beamformer& beamformer, std::uint32_t group, std::span<const ServedUe> ues) {
    beamformer.Form(group, ues, 1);
    double power = 0;
    if (beamformer.LimitsElements()) {
        const auto powers = ElementPowers(ues);
        for (const double each : powers) { // the largest, and NaN
            power = each * static_cast<double>(powers.size()) <= power ? power : each * powers.size();
        }
    } else {
        for (const auto& ue : ues) {
            for (const auto& weight : ue.weights) {
                power += std::norm(std::complex<double>(weight));
            }
        }
    }
    if (!(power <= most_precoder_power)) { // nor NaN
        std::ostringstream text;
        text << "NR cell: " << beamformer.GetInstanceTypeId().GetName() << " gives weights of power " << power
             << " in resource block group " << group << " for UE";
        for (const auto& ue : ues) {
            text << " " << ue.ue;
        }
        text << "; legal are finite weights whose squared magnitudes have a sum of at most 1"
             << (beamformer.LimitsElements() ? " for each element, times the number of elements" : "");
        throw std::logic_error(text.str());
    }
}

} // namespace edgelam::nr
