// SPDX-License-Identifier: GPL-2.0-only
#include "nr-multicast.h"

#include <algorithm>
#include <utility>

#include "ns3/channel.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/ipv4.h"
#include "ns3/node.h"

using namespace ns3;

namespace edgelam {

namespace {

constexpr std::uint32_t to_gnb = 1; ///< the UPF's interface

Ptr<Ipv4StaticRouting> RoutingOf(const Ptr<Ipv4>& ipv4) {
    return Ipv4StaticRoutingHelper().GetStaticRouting(ipv4);
}

/// Where a device's packets arrive.
Ptr<NetDevice> OtherEnd(const Ptr<NetDevice>& device, const Ptr<nr::GnbNetDevice>& gnb) {
    const auto channel = device->GetChannel();
    if (!channel) { // a UE
        return gnb;
    }
    return channel->GetDevice(channel->GetDevice(0) == device ? 1 : 0);
}

} // namespace

NrMulticast::NrMulticast(Ptr<nr::GnbNetDevice> gnb) : m_gnb(gnb) {
    const auto ipv4 = gnb->GetNode()->GetObject<Ipv4>(); // what the gNB itself sends
    RoutingOf(ipv4)->AddNetworkRouteTo("239.0.0.0", "255.0.0.0",
                                       static_cast<std::uint32_t>(ipv4->GetInterfaceForDevice(gnb)));
}

std::shared_ptr<const Ipv4Address> NrMulticast::Find(const TransferApplication& source,
                                                     const std::vector<Ptr<TransferApplication>>& receivers) {
    std::vector<std::uint32_t> ues;
    for (const auto& receiver : receivers) {
        const auto ue = m_gnb->FindUe(receiver->GetAddress());
        if (!ue) {
            return nullptr;
        }
        ues.push_back(*ue);
    }
    std::sort(ues.begin(), ues.end());
    const auto same =
        std::find_if(m_groups.begin(), m_groups.end(), [&](const Group& each) { return each.ues == ues; });
    Group* group = same == m_groups.end() ? Make(ues) : &*same;
    if (!group) {
        return nullptr;
    }
    group->used = ++m_uses;
    AddRoutes(source, *group->address);
    return group->address;
}

/// \return null if all groups are in use
NrMulticast::Group* NrMulticast::Make(const std::vector<std::uint32_t>& ues) {
    if (m_groups.size() < max_groups) {
        const auto number = static_cast<std::uint32_t>(m_groups.size() + 1);
        const Ipv4Address address(Ipv4Address("239.45.0.0").Get() + number);
        m_gnb->AddGroup(address, ues);
        return &m_groups.emplace_back(std::make_shared<const Ipv4Address>(address), ues, 0);
    }
    std::sort(m_groups.begin(), m_groups.end(), [](const Group& a, const Group& b) { return a.used < b.used; });
    for (Group& group : m_groups) {
        if (group.address.use_count() == 1 && m_gnb->RemoveGroup(*group.address)) {
            m_gnb->AddGroup(*group.address, ues);
            group.ues = ues;
            return &group;
        }
    }
    return nullptr;
}

/// At each router from the source to the gNB, and from there to the radio.
void NrMulticast::AddRoutes(const TransferApplication& source, Ipv4Address group) {
    const auto node = source.GetNode();
    if (node == m_gnb->GetNode()) {
        return;
    }
    const auto own = node->GetObject<Ipv4>();
    Ptr<NetDevice> device =
        own->GetNetDevice(static_cast<std::uint32_t>(own->GetInterfaceForAddress(source.GetAddress())));
    for (bool there = false; !there;) {
        const auto arrival = OtherEnd(device, m_gnb);
        const auto router = arrival->GetNode()->GetObject<Ipv4>();
        const auto in = static_cast<std::uint32_t>(router->GetInterfaceForDevice(arrival));
        there = arrival->GetNode() == m_gnb->GetNode();
        const auto out = there ? static_cast<std::uint32_t>(router->GetInterfaceForDevice(m_gnb)) : to_gnb;
        if (m_routes.emplace(arrival->GetNode()->GetId(), in, group.Get()).second) {
            RoutingOf(router)->AddMulticastRoute(Ipv4Address::GetAny(), group, in, {out});
        }
        device = router->GetNetDevice(out);
    }
}

} // namespace edgelam
