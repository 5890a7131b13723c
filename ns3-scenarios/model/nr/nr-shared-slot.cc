// SPDX-License-Identifier: GPL-2.0-only
#include "nr-shared-slot.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ns3/log.h"

#include "nr-covariance.h"
#include "nr-joint-reception.h"
#include "nr-matrix-kernels.h"

NS_LOG_COMPONENT_DEFINE("NrSharedSlot");

namespace edgelam::nr {

void SharedSlot::Add(std::uint64_t slot, UeLink& link, std::span<const std::uint32_t> groups, unsigned layers,
                     bool always) {
    if (slot != m_slot) {
        m_slot = slot;
        m_formed = false;
        m_members.clear();
    }
    Member member{&link, 0, always, {}};
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
    bool always = false;
    for (const auto& each : m_members) {
        (each.link->GetUe() == ue ? own : others) |= each.groups;
        always |= each.link->GetUe() == ue && each.always;
    }
    return always || (own & others) != 0;
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

unsigned SharedSlot::LayersOn(std::uint32_t group) const {
    unsigned layers = 0;
    for (const auto& each : m_members) {
        layers += (each.groups >> group & 1U) != 0 ? each.weights.layers : 0;
    }
    return layers;
}

unsigned SharedSlot::LayersBeside(std::uint32_t ue) const {
    unsigned most = 0;
    const std::uint32_t groups = Find(ue).groups;
    for (std::uint32_t g = 0; groups >> g != 0; ++g) {
        most = std::max(most, (groups >> g & 1U) != 0 ? LayersOn(g) : 0);
    }
    return most;
}

void SharedSlot::PredictGroup(Member& member, std::uint32_t group, double snr, std::vector<float>& out) {
    using Complex = std::complex<float>;
    const ServedUe served = member.link->Served(group, member.weights);
    const auto receive = [&](const Precoder& sent, std::vector<Complex>& at) {
        at.resize(served.antennas * sent.layers);
        const Complex* weights = sent.weights.data() + group * served.elements * sent.layers;
        for (std::size_t a = 0; a < served.antennas; ++a) {
            for (unsigned l = 0; l < sent.layers; ++l) {
                float re = 0, im = 0; // in parts: products of complex numbers look for NaN
                for (std::size_t e = 0; e < served.elements; ++e) {
                    const Complex h = served.Channel(a, e), w = weights[e * sent.layers + l];
                    re += h.real() * w.real() - h.imag() * w.imag();
                    im += h.real() * w.imag() + h.imag() * w.real();
                }
                at[a * sent.layers + l] = {re, im};
            }
        }
    };
    Covariance around;
    around.Reset(served.antennas, 1);
    around.AddWhite(0, 1, served.state->rise - 1);
    std::vector<Complex> channel, other, white;
    receive(member.weights, channel);
    for (const auto& each : m_members) {
        if (&each != &member && (each.groups >> group & 1U) != 0) {
            receive(each.weights, other);
            around.AddLayers(other.data(), each.weights.layers, each.weights.layers, 1, 0, 1, snr);
        }
    }
    around.Whiten(channel, member.weights.layers, member.weights.layers, {}, white);
    std::array<float, max_layers> sinr{};
    kernels::MmseSinr(white.data(), served.antennas, member.weights.layers, member.weights.layers, 1,
                      static_cast<float>(snr), sinr.data());
    out.insert(out.end(), sinr.begin(), sinr.begin() + member.weights.layers);
    member.link->Phy().AddSelfNoise(std::span(out).last(member.weights.layers));
}

void SharedSlot::Predict(std::uint32_t ue, Beamformer& beamformer, std::span<const float> aloneDb,
                         std::vector<float>& out) {
    Member& member = Find(ue);
    out.clear();
    if (beamformer.WantsChannel() && !m_formed) {
        Form(beamformer);
    }
    for (std::uint32_t g = 0; member.groups >> g != 0; ++g) {
        if ((member.groups >> g & 1U) == 0) {
            continue;
        }
        if (beamformer.WantsChannel()) {
            PredictGroup(member, g, beamformer.Snr(), out);
        } else {
            const double part = double(member.weights.layers) / LayersOn(g);
            out.insert(out.end(), member.weights.layers, static_cast<float>(std::pow(10, aloneDb[g] / 10) * part));
        }
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

void SharedSlot::PredictUplink(std::uint32_t ue, const UplinkSnr& snr, std::vector<float>& out) {
    const Member& own = Find(ue);
    const std::size_t ports = own.link->State().beams->numElements();
    out.clear();
    std::vector<std::complex<float>> received; // [port, layer], those of the UE first
    for (std::uint32_t g = 0; own.groups >> g != 0; ++g) {
        if ((own.groups >> g & 1U) == 0) {
            continue;
        }
        const unsigned all = LayersOn(g);
        unsigned first = 0;
        received.resize(ports * all);
        const auto add = [&](const Member& from) {
            const double power = snr(from.link->GetUe(), from.groups) / from.weights.layers;
            const auto amplitude = static_cast<float>(std::sqrt(power / own.link->State().uplinkRise));
            for (unsigned l = 0; l < from.weights.layers; ++l, ++first) {
                const auto* sounded = from.link->State().Sounded(g, l);
                for (std::size_t p = 0; p < ports; ++p) {
                    received[p * all + first] = amplitude * sounded[p];
                }
            }
        };
        add(own);
        for (const auto& each : m_members) {
            if (&each != &own && (each.groups >> g & 1U) != 0) {
                add(each);
            }
        }
        out.resize(out.size() + own.weights.layers);
        JointSinr(received, ports, all, own.weights.layers, 1, std::span(out).last(own.weights.layers));
        own.link->Phy().AddSelfNoise(std::span(out).last(own.weights.layers));
    }
}

const SinrMap& SharedSlot::Uplink(std::uint32_t ue, const UplinkSnr& snr, const Noise& noise) {
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
