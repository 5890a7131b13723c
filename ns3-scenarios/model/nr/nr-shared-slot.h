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
    /// Add a UE that sends, or is sent, `layers` layers on these groups of this slot. What was added for another slot
    /// is forgotten.
    void Add(std::uint64_t slot, UeLink& link, std::span<const std::uint32_t> groups, unsigned layers);
    /// Whether this UE shares a group of this slot.
    bool Shares(std::uint64_t slot, std::uint32_t ue) const;

    /// SINR of the layers to a UE beside those to the others, through the weights that `beamformer` gives for all of
    /// them, with the channel states in use; see PhyLink::Downlink.
    const SinrMap& Downlink(std::uint32_t ue, Beamformer& beamformer, double snr, const Noise& noise);
    /// The SINR that the gNB expects for a UE in each group, relative to the SINR if the UE were alone there, in dB. It
    /// is computed from the channel state in use, if the beamformer wants it; otherwise it is the UE's part of the
    /// power, in proportion to its layers.
    /// \param out [group] to be filled; 0 in groups that are not shared
    void ExpectedDb(std::uint32_t ue, Beamformer& beamformer, double snr, std::vector<float>& out);
    /// SINR of the layers that a UE sends beside the others. \param snr gives that of a UE that sends on `groups`
    /// (bits); see PhyLink::Uplink
    const SinrMap& Uplink(std::uint32_t ue, const std::function<double(std::uint32_t ue, std::uint32_t groups)>& snr,
                          const Noise& noise);
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
        Precoder weights;     ///< has `layers`; downlink: when formed, zero in other groups
    };
    Member& Find(std::uint32_t ue);
    void Form(Beamformer& beamformer);
    /// The bit/s/Hz, as a mean over layers, that are sent to a member in a group through `own`, with or without the
    /// other members, from the channel state in use.
    double ExpectedRate(Member& member, Precoder& own, std::uint32_t group, bool alone, double snr);

    std::uint64_t m_slot = std::numeric_limits<std::uint64_t>::max();
    bool m_formed = false;
    std::vector<Member> m_members;
    Precoder m_alone; ///< used within one call
};

} // namespace edgelam::nr
