// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The cells, UEs and traffic that bench/radio.cc measures.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/double.h"
#include "ns3/inet-socket-address.h"
#include "ns3/ipv4.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/socket.h"
#include "ns3/string.h"
#include "ns3/udp-socket-factory.h"
#include "ns3/uinteger.h"

#include "named-random.h"
#include "nr-cell.h"
#include "nr-helper.h"
#include "nr-network.h"
#include "options.h"
#include "planar-array.h"
#include "site-layout.h"

namespace edgelam::bench {

using namespace ns3;

constexpr std::uint32_t packet_bytes = 1500;
constexpr std::uint64_t full_bytes = 500'000; ///< of a full bearer: twice what the cell carries in a millisecond

enum class Load : std::uint8_t { Full, Idle, Ip, LargeIp, Cells };

struct Case {
    const char* name;
    std::uint32_t numUe;
    Load load;
    double duration; ///< in units of the first argument
    bool byDefault;
    unsigned rings = 0; ///< of sites, of several cells
    double bandwidthHz = 100e6;
};

inline Ptr<edgelam::RadioChannel> MakeChannel() {
    auto channel = CreateObject<edgelam::RadioChannel>();
    channel->SetAttribute("Deployment", StringValue("UMi"));
    channel->SetAttribute("Frequency", DoubleValue(3.5e9));
    channel->SetAttribute("CoherenceDistance", DoubleValue(0.03));
    channel->AssignStreams(1);
    return channel;
}

inline Ptr<Node> MakeSite(const Vector& place) {
    auto node = CreateObject<Node>();
    auto mobility = CreateObject<ConstantPositionMobilityModel>();
    node->AggregateObject(mobility);
    mobility->SetPosition(place);
    return node;
}

inline Ptr<Node> MakeWalker(const Vector& place, edgelam::NamedRandom& random) {
    auto node = CreateObject<Node>();
    auto mobility = CreateObject<ConstantVelocityMobilityModel>();
    node->AggregateObject(mobility);
    mobility->SetPosition(place);
    const double heading = 6.283 * random.Uniform();
    mobility->SetVelocity({std::cos(heading) / 1.2, std::sin(heading) / 1.2, 0});
    return node;
}

inline Ptr<PhasedArrayModel> MakeUeArray() {
    return edgelam::MakePlanarArray(1, 2, true, edgelam::ElementPattern::Isotropic);
}

/// The gNB, the UEs and the channel between them.
struct Street {
    Ptr<edgelam::RadioChannel> channel = MakeChannel();
    Ptr<Node> gnb = MakeSite({0, 0, 10});
    std::vector<Ptr<Node>> ues;

    explicit Street(std::uint32_t numUe) {
        edgelam::NamedRandom random(1, {numUe});
        for (std::uint32_t i = 0; i < numUe; ++i) {
            const double distance = 20 + 130 * random.Uniform(), azimuth = 2 * (random.Uniform() - 0.5);
            ues.push_back(MakeWalker({distance * std::cos(azimuth), distance * std::sin(azimuth), 1.5}, random));
        }
    }
};

/// Packets straight into the bearers.
class AboveRlc {
  public:
    AboveRlc(const Street& street, Load load, unsigned threads) : m_cell(CreateObject<edgelam::nr::Cell>()) {
        m_cell->AssignStreams(2);
        m_cell->SetAttribute("Threads", UintegerValue(threads));
        m_cell->SetGnb(street.channel, street.gnb->GetObject<MobilityModel>(),
                       edgelam::MakePlanarArray(8, 4, true, edgelam::ElementPattern::Sector));
        for (const auto& ue : street.ues) {
            m_cell->AddUe(ue->GetObject<MobilityModel>(), MakeUeArray());
        }
        m_cell->SetDeliver([this](std::uint32_t, Ptr<Packet> packet) { m_bytes += packet->GetSize(); }, nullptr);
        if (load == Load::Full) {
            Simulator::ScheduleNow(&AboveRlc::Fill, this);
            return;
        }
        for (std::uint32_t i = 0; i < m_cell->NumUes(); ++i) {
            Simulator::Schedule(MilliSeconds(1 + i * 997 / m_cell->NumUes()), &AboveRlc::Ping, this, i);
        }
    }
    ~AboveRlc() { m_cell->Dispose(); }
    AboveRlc(const AboveRlc&) = delete;
    AboveRlc& operator=(const AboveRlc&) = delete;

    std::uint64_t Bytes() const { return m_bytes; }

  private:
    void Fill() {
        for (std::uint32_t i = 0; i < m_cell->NumUes(); ++i) {
            while (m_cell->DownBearer(i).BacklogBytes() < full_bytes &&
                   m_cell->SendDown(i, Create<Packet>(packet_bytes))) {
            }
        }
        Simulator::Schedule(MilliSeconds(1), &AboveRlc::Fill, this);
    }
    void Ping(std::uint32_t ue) {
        m_cell->SendDown(ue, Create<Packet>(100));
        Simulator::Schedule(Seconds(1), &AboveRlc::Ping, this, ue);
    }

    Ptr<edgelam::nr::Cell> m_cell;
    std::uint64_t m_bytes = 0;
};

/// Datagrams from a server at the site, as many as keep the bearers full.
class OverIp {
  public:
    /// \param joined packets that are simulated as one
    OverIp(const Street& street, std::uint32_t joined) : m_joined(joined) {
        edgelam::Options options("radio", "a cell");
        m_nr.AddOptions(options);
        const std::string join = "--joined=" + std::to_string(joined);
        const std::array line{"radio", join.c_str()};
        options.Parse(static_cast<int>(line.size()), line.data());
        m_nr.AssignStreams(1);
        m_nr.InstallGnb(street.gnb, street.channel);
        for (const auto& ue : street.ues) {
            m_nr.InstallUe(ue);
            m_sockets.push_back(MakeSocket(ue));
        }
        m_server = MakeSocket(m_nr.AddServer(edgelam::NrHelper::Place::Site, 10e9, 100e-6));
        Simulator::ScheduleNow(&OverIp::Fill, this);
    }
    ~OverIp() { m_nr.GetCell()->Dispose(); }
    OverIp(const OverIp&) = delete;
    OverIp& operator=(const OverIp&) = delete;

    std::uint64_t Bytes() const { return m_bytes; }

  private:
    Ptr<Socket> MakeSocket(const Ptr<Node>& node) {
        auto socket = Socket::CreateSocket(node, UdpSocketFactory::GetTypeId());
        socket->Bind(InetSocketAddress(Ipv4Address::GetAny(), port));
        socket->SetRecvCallback(Callback<void, Ptr<Socket>>([this](Ptr<Socket> at) {
            while (const auto packet = at->Recv()) {
                m_bytes += packet->GetSize();
            }
        }));
        return socket;
    }
    void Fill() {
        for (std::uint32_t i = 0; i < m_sockets.size(); ++i) {
            const auto address = m_sockets[i]->GetNode()->GetObject<Ipv4>()->GetAddress(1, 0).GetLocal();
            const std::uint64_t waiting = m_nr.GetCell()->DownBearer(i).BacklogBytes();
            for (std::uint64_t bytes = waiting; bytes < full_bytes; bytes += m_joined * packet_bytes) {
                m_server->SendTo(Create<Packet>(m_joined * (packet_bytes - udp_headers)), 0,
                                 InetSocketAddress(address, port));
            }
        }
        Simulator::Schedule(MilliSeconds(1), &OverIp::Fill, this);
    }

    static constexpr std::uint16_t port = 9;
    static constexpr std::uint32_t udp_headers = 28; ///< IPv4 and UDP
    std::uint32_t m_joined;
    edgelam::NrHelper m_nr;
    Ptr<Socket> m_server;
    std::vector<Ptr<Socket>> m_sockets; ///< of the UEs
    std::uint64_t m_bytes = 0;
};

/// Packets straight into the bearers of a network.
class ManyCells {
  public:
    ManyCells(const Case& which, unsigned threads) : m_network(CreateObject<edgelam::nr::Network>()) {
        const bool many = which.rings > 0;
        const auto layout = edgelam::SiteLayout::Hexagons(many ? 200 : 400, which.rings, 3, 10);
        if (many) {
            m_channel->SetWrapAround(layout.Images());
        }
        m_network->AssignStreams(2);
        for (const auto& at : layout.Cells()) {
            if (m_sites.size() <= at.site) {
                m_sites.push_back(MakeSite(at.place));
            }
            edgelam::ArrayLayout array{.bearingDeg = at.bearingDeg};
            if (many) {
                array.columns = array.portColumns = 8;
                array.portRows = 2;
            }
            auto cell = CreateObject<edgelam::nr::Cell>();
            cell->SetAttribute("Bandwidth", DoubleValue(which.bandwidthHz));
            cell->SetAttribute("Threads", UintegerValue(threads));
            cell->SetGnb(m_channel, m_sites[at.site]->GetObject<MobilityModel>(), edgelam::MakeArray(array));
            m_network->AddCell(cell);
        }
        edgelam::NamedRandom random(1, {which.numUe});
        const auto cells = static_cast<std::uint32_t>(layout.Cells().size());
        for (std::uint32_t i = 0; i < which.numUe; ++i) {
            Vector place = layout.Drop(i % cells, 10, random);
            place.z = 1.5;
            m_ues.push_back(MakeWalker(place, random));
            m_network->AddUe(m_ues.back()->GetObject<MobilityModel>(), MakeUeArray());
        }
        m_network->SetDeliver([this](std::uint32_t, Ptr<Packet> packet) { m_bytes += packet->GetSize(); }, nullptr);
        for (std::uint32_t i = 0; i < which.numUe; ++i) {
            m_network->Attach(i, m_network->StrongestCell(i));
        }
        Simulator::ScheduleNow(&ManyCells::Fill, this);
    }
    ~ManyCells() { m_network->Dispose(); }
    ManyCells(const ManyCells&) = delete;
    ManyCells& operator=(const ManyCells&) = delete;

    std::uint64_t Bytes() const { return m_bytes; }

  private:
    void Fill() {
        for (std::uint32_t i = 0; i < m_network->NumUes(); ++i) {
            while (m_network->GetConnection(i).down.BacklogBytes() < full_bytes &&
                   m_network->SendDown(i, Create<Packet>(packet_bytes))) {
            }
        }
        Simulator::Schedule(MilliSeconds(1), &ManyCells::Fill, this);
    }

    Ptr<edgelam::RadioChannel> m_channel = MakeChannel();
    Ptr<edgelam::nr::Network> m_network;
    std::vector<Ptr<Node>> m_sites, m_ues;
    std::uint64_t m_bytes = 0;
};

} // namespace edgelam::bench
