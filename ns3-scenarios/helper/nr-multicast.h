// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Multicast groups of an NR cell for transfers: addresses, routes and receivers.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "ns3/ipv4-address.h"
#include "ns3/ptr.h"

#include "nr-net-device.h"
#include "transfer-application.h"

namespace edgelam {

/// Gives a transfer to several UEs a group of the cell, so that its datagrams cross the air and each link on the way
/// once. Groups are made on demand, 239.45.0.1 and on, and kept for the next transfer to the same UEs. There are at
/// most max_groups of them: then the least recently used group, to which nothing is sent, is replaced.
class NrMulticast {
  public:
    static constexpr std::size_t max_groups = 32;

    /// \param gnb with IPv4 addresses, its routes static as those of the UPF
    explicit NrMulticast(ns3::Ptr<nr::GnbNetDevice> gnb);

    /// \return the group's address, which is valid as long as somebody has the pointer; null if a receiver is not a UE
    /// of the cell, or if all groups are in use
    std::shared_ptr<const ns3::Ipv4Address> Find(const TransferApplication& source,
                                                 const std::vector<ns3::Ptr<TransferApplication>>& receivers);

  private:
    struct Group {
        std::shared_ptr<const ns3::Ipv4Address> address;
        std::vector<std::uint32_t> ues; ///< in order
        std::uint64_t used;             ///< a count of uses
    };
    Group* Make(const std::vector<std::uint32_t>& ues);
    void AddRoutes(const TransferApplication& source, ns3::Ipv4Address group);

    ns3::Ptr<nr::GnbNetDevice> m_gnb;
    std::vector<Group> m_groups;
    std::uint64_t m_uses = 0;
    std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> m_routes; ///< router's node, interface, group
};

} // namespace edgelam
