// SPDX-License-Identifier: GPL-2.0-only
// Who at a node takes the packets that are meant for its transfers.
#include "transfer-application.h"

#include <vector>

#include "ns3/inet-socket-address.h"
#include "ns3/ipv4.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/type-id.h"
#include "ns3/udp-l4-protocol.h"
#include "ns3/uinteger.h"

NS_LOG_COMPONENT_DEFINE("EdgelamTransferPorts");

namespace edgelam {

using ns3::Ptr;

namespace {

/// Where an application waits for packets: its local port, 0 for none.
std::uint16_t LocalPort(const ns3::Application& application) {
    ns3::AddressValue local;
    if (application.GetAttributeFailSafe("Local", local) && ns3::InetSocketAddress::IsMatchingType(local.Get())) {
        return ns3::InetSocketAddress::ConvertFrom(local.Get()).GetPort();
    }
    for (const char* name : {"Port", "LocalPort"}) {
        if (ns3::UintegerValue port; application.GetAttributeFailSafe(name, port) && port.Get() <= UINT16_MAX) {
            return static_cast<std::uint16_t>(port.Get());
        }
    }
    return 0;
}

} // namespace

std::string TransferApplication::PortTaken(const std::string& by) const {
    return "node '" + m_name + "': port " + std::to_string(m_port) + ", at which its transfers arrive, is taken by " +
           by + "; give that another port, or the transfers: attribute edgelam::TransferApplication::Port";
}

std::string TransferApplication::PortConflict() const {
    NS_LOG_FUNCTION(this << m_name << m_port);
    const Ptr<ns3::Node> node = GetNode();
    for (std::uint32_t i = 0; i < node->GetNApplications(); ++i) {
        const Ptr<ns3::Application> other = node->GetApplication(i);
        if (ns3::PeekPointer(other) != this && LocalPort(*other) == m_port) {
            ns3::TypeIdValue protocol;
            const bool named = other->GetAttributeFailSafe("Protocol", protocol);
            return PortTaken("application " + std::to_string(i) + " of the node, a " +
                             other->GetInstanceTypeId().GetName() +
                             (named ? " over " + protocol.Get().GetName() : std::string()));
        }
    }
    // Sockets that are there already: an end point for any address, or for one of the node's.
    const auto ipv4 = node->GetObject<ns3::Ipv4>();
    std::vector<ns3::Ipv4Address> addresses{ns3::Ipv4Address::GetAny()};
    for (std::uint32_t i = 0; i < ipv4->GetNInterfaces(); ++i) {
        for (std::uint32_t j = 0; j < ipv4->GetNAddresses(i); ++j) {
            addresses.push_back(ipv4->GetAddress(i, j).GetLocal());
        }
    }
    std::vector<Ptr<ns3::NetDevice>> devices{nullptr}; // that the socket may be bound to
    for (std::uint32_t i = 0; i < node->GetNDevices(); ++i) {
        devices.push_back(node->GetDevice(i));
    }
    const auto taken = [&](auto protocol) {
        for (const auto& device : devices) {
            for (const auto& address : addresses) {
                auto* endPoint = protocol->Allocate(device, address, m_port);
                if (!endPoint) {
                    return true;
                }
                protocol->DeAllocate(endPoint);
            }
        }
        return false;
    };
    return taken(node->GetObject<ns3::TcpL4Protocol>())   ? PortTaken("a TCP socket of the scenario's")
           : taken(node->GetObject<ns3::UdpL4Protocol>()) ? PortTaken("a UDP socket of the scenario's")
                                                          : std::string();
}

} // namespace edgelam
