// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// UEs that share resource block groups of a slot (multi-user MIMO).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "nr-ue-link.h"

namespace edgelam::nr {

/// One slot of one direction in which some group has several UEs.
class SharedSlot {
  public:
    /// Power of a resource block of a UE that sends on `groups` (bits), over the gNB's noise.
    using UplinkSnr = std::function<double(std::uint32_t ue, std::uint32_t groups)>;

    /// Add a UE that sends, or is sent, `layers` layers on these groups of this slot. What was added for another slot
    /// is forgotten.
    /// \param always whether its weights are formed even if it shares no group
    void Add(std::uint64_t slot, UeLink& link, std::span<const std::uint32_t> groups, unsigned layers,
             bool always = false);
    void Clear() {
        m_formed = false;
        m_members.clear();
    }
    /// Add a UE with the weights that have been formed for it.
    void AddFormed(std::uint64_t slot, UeLink& link, std::span<const std::uint32_t> groups, const Precoder& weights,
                   bool always) {
        Add(slot, link, groups, weights.layers, always);
        m_members.back().weights = weights;
        m_formed = true;
    }
    /// Whether this UE shares a group of this slot, or is served like one that does.
    bool Shares(std::uint64_t slot, std::uint32_t ue) const;

    /// SINR of the layers to a UE beside those to the others, through the weights that `beamformer` gives for all of
    /// them, with the channel states in use; see PhyLink::Downlink.
    const SinrMap& Downlink(std::uint32_t ue, Beamformer& beamformer, double snr, const Noise& noise);
    /// The SINR that the gNB expects for each layer of a UE in each of its groups. It is computed from the channel
    /// state in use, with the interference that the UE has measured as white noise, if the beamformer wants the
    /// channel; otherwise it is that of the UE alone times the UE's part of the power, in proportion to its layers.
    /// \param aloneDb [group] SINR of the UE alone
    /// \param out linear, [group of the UE, layer], to be filled
    void Predict(std::uint32_t ue, Beamformer& beamformer, std::span<const float> aloneDb, std::vector<float>& out);
    /// The SINR that the gNB expects for each layer that a UE sends in each of its groups, from the channels that it
    /// has sounded, if it receives over all of its ports.
    /// \param snr see Uplink; \param out linear, [group of the UE, layer], to be filled
    void PredictUplink(std::uint32_t ue, const UplinkSnr& snr, std::vector<float>& out);
    /// The most layers on one of the groups of a UE.
    unsigned LayersBeside(std::uint32_t ue) const;
    /// SINR of the layers that a UE sends beside the others; see PhyLink::Uplink.
    const SinrMap& Uplink(std::uint32_t ue, const UplinkSnr& snr, const Noise& noise);
    /// The weights that are sent to a UE, zero in groups that are not its own.
    const Precoder& Weights(std::uint32_t ue, Beamformer& beamformer);
    /// The UE leaves: nothing is sent to it, or by it, any more.
    void Remove(std::uint32_t ue) {
        std::erase_if(m_members, [&](const Member& each) { return each.link->GetUe() == ue; });
    }

  private:
    struct Member {
        UeLink* link;
        std::uint32_t groups; ///< bits
        bool always;
        Precoder weights; ///< has `layers`; downlink: when formed, zero in other groups
    };
    Member& Find(std::uint32_t ue);
    const Member& Find(std::uint32_t ue) const { return const_cast<SharedSlot*>(this)->Find(ue); }
    void Form(Beamformer& beamformer);
    /// Append the SINR of each layer of a member in a group, from the channel state in use.
    void PredictGroup(Member& member, std::uint32_t group, double snr, std::vector<float>& out);
    unsigned LayersOn(std::uint32_t group) const;

    std::uint64_t m_slot = std::numeric_limits<std::uint64_t>::max();
    bool m_formed = false;
    std::vector<Member> m_members;
};

} // namespace edgelam::nr
