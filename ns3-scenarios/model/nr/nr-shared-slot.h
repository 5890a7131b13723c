// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// UEs that have resource block groups of a slot together (multi-user MIMO).
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
    /// A UE sends, or is sent, `layers` layers on these groups of this slot. What was known of another slot is
    /// forgotten.
    void Add(std::uint64_t slot, UeLink& link, std::span<const std::uint32_t> groups, unsigned layers);
    /// Whether this UE shares a group of this slot.
    bool Shares(std::uint64_t slot, std::uint32_t ue) const;

    /// SINR of what a UE is sent beside the others, through the weights that `beamformer` gives for all of them, with
    /// the channel states in use; see PhyLink::Downlink.
    const SinrMap& Downlink(std::uint32_t ue, Beamformer& beamformer, double snr, std::span<const float> rise);
    /// What the gNB expects of a UE's SINR in each group, over what it would be alone there, dB: by the channel state
    /// in use, if the beamformer wants it; otherwise what the UE's part of the power is, by layers.
    /// \param out [group] filled; 0 in groups that are not shared
    void ExpectedDb(std::uint32_t ue, Beamformer& beamformer, double snr, std::vector<float>& out);
    /// SINR of what a UE sends beside the others. \param snr of a UE that sends on groups (bits); see PhyLink::Uplink
    const SinrMap& Uplink(std::uint32_t ue, const std::function<double(std::uint32_t ue, std::uint32_t groups)>& snr,
                          std::span<const float> rise);

  private:
    struct Member {
        UeLink* link;
        std::uint32_t groups; ///< bits
        Precoder weights;     ///< `layers`; downlink: once formed, zero in other groups
    };
    Member& Find(std::uint32_t ue);
    void Form(Beamformer& beamformer);
    /// Mean over layers of the bit/s/Hz of what is sent to a member in a group through `own`, beside the other members
    /// or not, by the channel state in use.
    double ExpectedRate(Member& member, Precoder& own, std::uint32_t group, bool alone, double snr);

    std::uint64_t m_slot = std::numeric_limits<std::uint64_t>::max();
    bool m_formed = false;
    std::vector<Member> m_members;
    Precoder m_alone; ///< of one call
};

} // namespace edgelam::nr
