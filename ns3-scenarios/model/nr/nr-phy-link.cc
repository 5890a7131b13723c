// SPDX-License-Identifier: GPL-2.0-only
#include "nr-phy-link.h"

#include <algorithm>
#include <cmath>

#include "ns3/log.h"

#include "nr-beam-search.h"
#include "nr-joint-reception.h"
#include "nr-matrix-kernels.h"
#include "nr-self-noise.h"

NS_LOG_COMPONENT_DEFINE("NrPhyLink");

namespace edgelam::nr {

namespace {

constexpr std::size_t samples_over_band = 12; ///< of the channel for choosing the UE's weights

} // namespace

PhyLink::PhyLink(ns3::Ptr<ChannelLink> link, std::vector<double> offsetsHz, unsigned uplinkLayers)
    : m_link(link), m_offsets(std::move(offsetsHz)),
      m_ueElements(PortWeights::Elements(link->NumRx(Direction::Downlink))), m_uplinkLayers(uplinkLayers) {}

void PhyLink::UseAnalog(ns3::Ptr<ChannelLink> link, const PortWeights& gnb, const PortWeights& ue) {
    m_link = link;
    m_gnbPorts = gnb;
    m_ueElements = ue;
    m_precoded = {}; // it knows channels of the link before
}

unsigned PhyLink::MaxLayers() const {
    const std::size_t sending = m_gnbPorts ? m_gnbPorts->numPorts() : NumElements();
    const std::size_t least = std::min(sending, NumUeAntennas());
    return static_cast<unsigned>(std::min<std::size_t>(least, max_layers));
}

/// Orthogonal iteration on conj(sum over groups and beams of g g^H), begun with the weights of before.
void PhyLink::FindUplinkWeights(const PortWeights& toBeams, std::vector<Complex>& ue) {
    const auto& response = Response(toBeams);
    const std::size_t antennas = NumUeAntennas(), groups = NumGroups(), beams = toBeams.numPorts();
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

const PortWeights& PhyLink::GnbElements() {
    if (!m_bsElements) {
        m_bsElements = PortWeights::Elements(NumElements());
    }
    return *m_bsElements;
}

const std::vector<PhyLink::Complex>& PhyLink::Response(const PortWeights& beams) {
    return m_link->GetEffectiveChannel(Direction::Downlink, m_ueElements, beams, m_offsets);
}

const PhyLink::Complex* PhyLink::Whiten(const std::vector<Complex>& channel, std::size_t receivers,
                                        std::size_t& columns, unsigned layers, const Noise& noise) {
    const std::size_t all = NumGroups(), groups = noise.samples.empty() ? all : noise.samples.size();
    if (noise.covariance) {
        noise.covariance->Whiten(channel, columns, layers, noise.samples, m_whitened);
    } else if (!noise.rise.empty() || groups < all) { // as if noise had stayed and the channel become weaker
        m_whitened.resize(receivers * layers * groups);
        auto* to = m_whitened.data();
        for (std::size_t receiver = 0; receiver < receivers; ++receiver) {
            for (unsigned l = 0; l < layers; ++l) {
                const auto* from = channel.data() + (receiver * columns + l) * all;
                for (std::size_t i = 0; i < groups; ++i) {
                    const std::size_t f = noise.samples.empty() ? i : noise.samples[i];
                    *to++ = noise.rise.empty() ? from[f] : from[f] / std::sqrt(noise.rise[f]);
                }
            }
        }
    } else {
        return channel.data();
    }
    columns = layers;
    return m_whitened.data();
}

void PhyLink::Receive(const std::vector<Complex>& channel, std::size_t receivers, std::size_t columns, unsigned layers,
                      double snr, const Noise& noise, SinrMap& out) {
    const std::size_t groups = noise.samples.empty() ? NumGroups() : noise.samples.size();
    const auto* g = Whiten(channel, receivers, columns, layers, noise);
    out.numLayers = layers;
    out.numGroups = groups;
    out.values.resize(layers * groups);
    kernels::MmseSinr(g, receivers, columns, layers, groups, static_cast<float>(snr / layers), out.values.data());
    AddSelfNoise(out.values);
}

void PhyLink::AddSelfNoise(std::span<float> sinrs) const {
    if (m_selfNoise > 0) {
        std::ranges::for_each(sinrs, [this](float& sinr) { sinr = WithSelfNoise(sinr, m_selfNoise); });
    }
}

Covariance& PhyLink::Around(const Noise& noise, std::size_t receivers) {
    if (noise.covariance) {
        m_around = *noise.covariance;
        return m_around;
    }
    m_around.Reset(receivers, NumGroups());
    for (std::size_t f = 0; f < noise.rise.size(); ++f) {
        m_around.AddWhite(f, 1, noise.rise[f] - 1);
    }
    return m_around;
}

const SinrMap& PhyLink::Downlink(const PortWeights& beams, unsigned layers, double snr, const Noise& noise) {
    Receive(Response(beams), NumUeAntennas(), beams.numPorts(), layers, snr, noise, m_down);
    return m_down;
}

const SinrMap& PhyLink::Downlink(const Precoder& own, std::span<const Precoder* const> others, double snr,
                                 const Noise& noise) {
    const auto& h = m_link->GetEffectiveChannel(Direction::Downlink, m_ueElements, GnbElements(), m_offsets);
    Covariance* const around = others.empty() ? nullptr : &Around(noise, NumUeAntennas());
    for (const auto* other : others) {
        ThroughPrecoder(*other, h, NumUeAntennas(), NumElements(), NumGroups(), m_otherSent);
        around->AddLayers(m_otherSent.data(), other->layers, other->layers, NumGroups(), 0, NumGroups(), snr);
    }
    const auto& sent =
        m_precoded.Response(own, h, m_link->GetEffectiveVersion(), NumUeAntennas(), NumElements(), NumGroups());
    // Power is in the weights, not shared out.
    Receive(sent, NumUeAntennas(), own.layers, own.layers, snr * own.layers, around ? noise.With(*around) : noise,
            m_down);
    return m_down;
}

void PhyLink::ReceiveBehind(const PortWeights& beams, const std::vector<Complex>& weights, std::vector<Complex>& out) {
    const std::size_t sent = MaxUplinkLayers();
    out.resize(beams.numPorts() * sent * NumGroups());
    kernels::CombineAntennas(Response(beams).data(), weights.data(), NumUeAntennas(), beams.numPorts(), sent,
                             NumGroups(), NumGroups(), out.data());
}

const SinrMap& PhyLink::Uplink(const PortWeights& beams, const UplinkSignal& own, std::span<const UplinkSignal> others,
                               const Noise& noise) {
    if (others.empty()) {
        ReceiveBehind(beams, *own.weights, m_sent);
        Receive(m_sent, beams.numPorts(), MaxUplinkLayers(), own.layers, own.snr, noise, m_up);
        return m_up;
    }
    const std::size_t receivers = beams.numPorts(), samples = NumGroups();
    unsigned all = own.layers;
    for (const auto& other : others) {
        all += other.layers;
    }
    m_together.assign(receivers * all * samples, 0);
    unsigned first = 0;
    const auto add = [&](const UplinkSignal& from) {
        from.link->ReceiveBehind(beams, *from.weights, m_sent);
        const auto amplitude = static_cast<float>(std::sqrt(from.snr / from.layers));
        const std::size_t columns = from.link->MaxUplinkLayers();
        for (std::size_t f = 0; f < samples; ++f) {
            if (from.numGroups > 0 && (from.groups >> (f * from.numGroups / samples) & 1U) == 0) {
                continue;
            }
            for (std::size_t r = 0; r < receivers; ++r) {
                for (unsigned l = 0; l < from.layers; ++l) {
                    m_together[(r * all + first + l) * samples + f] =
                        amplitude * m_sent[(r * columns + l) * samples + f];
                }
            }
        }
        first += from.layers;
    };
    add(own);
    std::ranges::for_each(others, add);
    std::size_t columns = all;
    const Complex* received = Whiten(m_together, receivers, columns, all, noise);
    m_up.numLayers = own.layers;
    m_up.numGroups = noise.samples.empty() ? samples : noise.samples.size();
    m_up.values.resize(own.layers * m_up.numGroups);
    JointSinr({received, receivers * all * m_up.numGroups}, receivers, all, own.layers, m_up.numGroups, m_up.values);
    AddSelfNoise(m_up.values);
    return m_up;
}

} // namespace edgelam::nr
