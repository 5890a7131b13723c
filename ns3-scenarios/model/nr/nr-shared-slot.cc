// SPDX-License-Identifier: GPL-2.0-only
#include "nr-shared-slot.h"

#include <algorithm>

#include "ns3/log.h"

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

const SharedSlot::Member& SharedSlot::Find(std::uint32_t ue) const {
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

const SinrMap& SharedSlot::Downlink(std::uint32_t ue, Beamformer& beamformer, double snr, std::span<const float> rise) {
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
    return own.link->Phy().Downlink(own.weights, others, snr, rise);
}

const SinrMap& SharedSlot::Uplink(std::uint32_t ue,
                                  const std::function<double(std::uint32_t ue, std::uint32_t groups)>& snr,
                                  std::span<const float> rise) {
    const Member& own = Find(ue);
    std::vector<PhyLink::UplinkSignal> others;
    for (const auto& each : m_members) {
        if (&each != &own && (each.groups & own.groups) != 0) {
            others.push_back(each.link->Signal(each.weights.layers, snr(each.link->GetUe(), each.groups)));
            others.back().groups = each.groups;
            others.back().numGroups = static_cast<std::uint32_t>(each.link->NumGroups());
        }
    }
    return own.link->Uplink(own.weights.layers, snr(ue, own.groups), Beams::InUse, rise, others);
}

} // namespace edgelam::nr
