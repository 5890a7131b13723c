// SPDX-License-Identifier: GPL-2.0-only
#include "nr-shared-slot.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ns3/log.h"

#include "nr-covariance.h"
#include "nr-matrix-kernels.h"

NS_LOG_COMPONENT_DEFINE("NrSharedSlot");

namespace edgelam::nr {

void SharedSlot::Add(std::uint64_t slot, UeLink& link, std::span<const std::uint32_t> groups, unsigned layers) {
    if (slot != m_slot) {
        m_slot = slot;
        m_formed = false;
        m_members.clear();
    }
    Member member{&link, 0, {}};
    for (const auto g : groups) {
        member.groups |= 1U << g;
    }
    member.weights.layers = layers;
    m_members.push_back(std::move(member));
}

SharedSlot::Member& SharedSlot::Find(std::uint32_t ue) {
    return *std::find_if(m_members.begin(), m_members.end(),
                         [&](const Member& each) { return each.link->GetUe() == ue; });
}

bool SharedSlot::Shares(std::uint64_t slot, std::uint32_t ue) const {
    if (slot != m_slot) {
        return false;
    }
    std::uint32_t own = 0, others = 0;
    for (const auto& each : m_members) {
        (each.link->GetUe() == ue ? own : others) |= each.groups;
    }
    return (own & others) != 0;
}

void SharedSlot::Form(Beamformer& beamformer) {
    std::uint32_t all = 0;
    for (auto& each : m_members) {
        each.link->Clear(each.weights, each.weights.layers);
        all |= each.groups;
    }
    std::vector<ServedUe> served;
    for (std::uint32_t g = 0; all >> g != 0; ++g) {
        served.clear();
        for (auto& each : m_members) {
            if ((each.groups >> g & 1U) != 0) {
                served.push_back(each.link->Served(g, each.weights));
            }
        }
        if (!served.empty()) {
            NS_LOG_LOGIC("slot " << m_slot << " group " << g << ": " << served.size() << " UEs");
            FormWeights(beamformer, g, served);
        }
    }
    m_formed = true;
}

double SharedSlot::ExpectedRate(Member& member, Precoder& own, std::uint32_t group, bool alone, double snr) {
    using Complex = std::complex<float>;
    const ServedUe served = member.link->Served(group, own);
    const auto receive = [&](const Precoder& sent, std::vector<Complex>& out) {
        out.resize(served.antennas * sent.layers);
        const Complex* weights = sent.weights.data() + group * served.elements * sent.layers;
        for (std::size_t a = 0; a < served.antennas; ++a) {
            for (unsigned l = 0; l < sent.layers; ++l) {
                Complex sum = 0;
                for (std::size_t e = 0; e < served.elements; ++e) {
                    sum += served.Channel(a, e) * weights[e * sent.layers + l];
                }
                out[a * sent.layers + l] = sum;
            }
        }
    };
    Covariance around;
    around.Reset(served.antennas, 1);
    std::vector<Complex> channel, other, white;
    receive(own, channel);
    for (const auto& each : m_members) {
        if (!alone && &each != &member && (each.groups >> group & 1U) != 0) {
            receive(each.weights, other);
            around.AddLayers(other.data(), each.weights.layers, each.weights.layers, 1, 0, 1, snr);
        }
    }
    around.Whiten(channel, own.layers, own.layers, {}, white);
    std::array<float, max_layers> sinr{};
    kernels::MmseSinr(white.data(), served.antennas, own.layers, own.layers, 1, static_cast<float>(snr), sinr.data());
    double rate = 0;
    for (unsigned l = 0; l < own.layers; ++l) {
        rate += std::log2(1 + sinr[l]) / own.layers;
    }
    return rate;
}

void SharedSlot::ExpectedDb(std::uint32_t ue, Beamformer& beamformer, double snr, std::vector<float>& out) {
    Member& member = Find(ue);
    const auto groups = static_cast<std::uint32_t>(member.link->NumGroups());
    const auto dbOfRate = [](double rate) { return 10 * std::log10(std::max(std::exp2(rate) - 1, 1e-6)); };
    out.assign(groups, 0);
    if (beamformer.WantsChannel() && !m_formed) {
        Form(beamformer);
    }
    for (std::uint32_t g = 0; g < groups; ++g) {
        unsigned layers = 0, users = 0;
        for (const auto& each : m_members) {
            const bool on = (each.groups >> g & 1U) != 0;
            layers += on ? each.weights.layers : 0;
            users += on;
        }
        if ((member.groups >> g & 1U) == 0 || users < 2) {
            continue;
        }
        if (!beamformer.WantsChannel()) {
            out[g] = static_cast<float>(10 * std::log10(double(member.weights.layers) / layers));
            continue;
        }
        member.link->Clear(m_alone, member.weights.layers);
        const ServedUe served = member.link->Served(g, m_alone);
        FormWeights(beamformer, g, {&served, 1});
        out[g] = static_cast<float>(dbOfRate(ExpectedRate(member, member.weights, g, false, snr)) -
                                    dbOfRate(ExpectedRate(member, m_alone, g, true, snr)));
    }
}

const Precoder& SharedSlot::Weights(std::uint32_t ue, Beamformer& beamformer) {
    if (!m_formed) {
        Form(beamformer);
    }
    return Find(ue).weights;
}

const SinrMap& SharedSlot::Downlink(std::uint32_t ue, Beamformer& beamformer, double snr, const Noise& noise) {
    if (!m_formed) {
        Form(beamformer);
    }
    const Member& own = Find(ue);
    std::vector<const Precoder*> others;
    for (const auto& each : m_members) {
        if (&each != &own && (each.groups & own.groups) != 0) {
            others.push_back(&each.weights);
        }
    }
    return own.link->Phy().Downlink(own.weights, others, snr, noise);
}

const SinrMap& SharedSlot::Uplink(std::uint32_t ue,
                                  const std::function<double(std::uint32_t ue, std::uint32_t groups)>& snr,
                                  const Noise& noise) {
    const Member& own = Find(ue);
    std::vector<PhyLink::UplinkSignal> others;
    for (const auto& each : m_members) {
        if (&each != &own && (each.groups & own.groups) != 0) {
            others.push_back(each.link->Signal(each.weights.layers, snr(each.link->GetUe(), each.groups)));
            others.back().groups = each.groups;
            others.back().numGroups = static_cast<std::uint32_t>(each.link->NumGroups());
        }
    }
    return own.link->Uplink(own.weights.layers, snr(ue, own.groups), Beams::InUse, noise, others);
}

} // namespace edgelam::nr
