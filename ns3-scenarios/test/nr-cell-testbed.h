// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A cell, UEs, and what came of it.
#pragma once

#include <map>

#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"

#include "channel-testbed.h"
#include "nr-cell.h"

namespace edgelam::test {

using Attributes = std::vector<std::pair<std::string, ns3::Ptr<ns3::AttributeValue>>>;

inline std::pair<std::string, ns3::Ptr<ns3::AttributeValue>> Set(const std::string& name, double value) {
    return {name, ns3::Create<ns3::DoubleValue>(value)};
}
inline std::pair<std::string, ns3::Ptr<ns3::AttributeValue>> Set(const std::string& name, unsigned value) {
    return {name, ns3::Create<ns3::UintegerValue>(value)};
}
inline std::pair<std::string, ns3::Ptr<ns3::AttributeValue>> Set(const std::string& name, const std::string& value) {
    return {name, ns3::Create<ns3::StringValue>(value)};
}

/// One gNB of 4 x 4 dual-polarised isotropic elements at 10 m height in the origin.
class CellTestbed {
  public:
    explicit CellTestbed(const Settings& settings, const Attributes& attributes = {}, std::int64_t stream = 20)
        : channel(MakeChannel(settings)), gnb(MakeEnd({0, 0, 10}, 4, 4, true)) {
        channel->SetAttribute("CoherenceDistance", ns3::DoubleValue(0.03));
        cell = ns3::CreateObject<nr::Cell>();
        for (const auto& [name, value] : attributes) {
            cell->SetAttribute(name, *value);
        }
        cell->AssignStreams(stream);
        cell->SetGnb(channel, gnb.mobility, gnb.array);
        cell->SetDeliver([this](std::uint32_t ue, ns3::Ptr<ns3::Packet> packet) { Got(down, ue, packet); },
                         [this](std::uint32_t ue, ns3::Ptr<ns3::Packet> packet) { Got(up, ue, packet); });
        cell->TraceConnectWithoutContext("TransportBlock", ns3::MakeCallback(&CellTestbed::Note, this));
    }
    ~CellTestbed() {
        ns3::Simulator::Destroy();
        cell->Dispose();
        channel->Dispose();
    }
    CellTestbed(const CellTestbed&) = delete;
    CellTestbed& operator=(const CellTestbed&) = delete;

    /// A UE of 1 x `columns` dual-polarised elements. \return its number
    std::uint32_t Add(const ns3::Vector& place, const ns3::Vector& velocity = {}, std::uint32_t columns = 2,
                      const nr::BearerSettings& bearer = {}) {
        ues.push_back(MakeEnd(place, 1, columns, true));
        ues.back().mobility->SetVelocity(velocity);
        return cell->AddUe(ues.back().mobility, ues.back().array, bearer);
    }

    /// Keep bearers full of packets of this size until the end of the run.
    void Fill(bool uplink, std::uint32_t packetBytes = 1500, std::uint64_t backlog = 1'500'000) {
        for (std::uint32_t i = 0; i < cell->NumUes(); ++i) {
            const auto& bearer = uplink ? cell->UpBearer(i) : cell->DownBearer(i);
            while (bearer.BacklogBytes() < backlog &&
                   (uplink ? cell->SendUp(i, ns3::Create<ns3::Packet>(packetBytes))
                           : cell->SendDown(i, ns3::Create<ns3::Packet>(packetBytes)))) {
            }
        }
        ns3::Simulator::Schedule(ns3::MicroSeconds(500), [=, this] { Fill(uplink, packetBytes, backlog); });
    }
    void Run(double seconds) {
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
    }

    struct Side {
        std::map<std::uint32_t, std::uint64_t> bytes;
        std::map<std::uint32_t, std::vector<std::int64_t>> timesNs;
        std::map<std::uint32_t, std::vector<std::uint32_t>> sizes;
    };

    ns3::Ptr<RadioChannel> channel;
    End gnb;
    ns3::Ptr<nr::Cell> cell;
    std::vector<End> ues;
    Side down, up;
    std::vector<nr::TransportBlockRecord> blocks;

  private:
    void Got(Side& side, std::uint32_t ue, const ns3::Ptr<ns3::Packet>& packet) {
        side.bytes[ue] += packet->GetSize();
        side.timesNs[ue].push_back(ns3::Simulator::Now().GetNanoSeconds());
        side.sizes[ue].push_back(packet->GetSize());
    }
    void Note(const nr::TransportBlockRecord& record) { blocks.push_back(record); }
};

} // namespace edgelam::test
