// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Cells in a row, UEs with packets in both directions, and their handovers.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/simulator.h"

#include "channel-testbed.h"
#include "nr-cell-testbed.h"
#include "nr-handover.h"

namespace edgelam::test {

/// gNBs that are 1 ms away from the UPF, and 2 ms from one another.
class SimpleBackhaul : public nr::Backhaul {
  public:
    void Send(std::uint32_t from, std::uint32_t to, std::uint32_t, std::function<void()> arrived) override {
        if (!lost) {
            ns3::Simulator::Schedule(ns3::MilliSeconds(from == upf || to == upf ? 1 : 2), std::move(arrived));
        }
    }
    void Forward(std::uint32_t, std::uint32_t, const Forwarded& sdu,
                 std::function<void(const Forwarded&)> arrived) override {
        ns3::Simulator::Schedule(ns3::MilliSeconds(2), [arrived, sdu] { arrived(sdu); });
    }
    void SwitchPath(std::uint32_t ue, std::uint32_t gnb) override { path[ue] = gnb; }

    std::map<std::uint32_t, std::uint32_t> path; ///< gNB by UE
    bool lost = false;
};

/// Cells in a row, each a gNB, and UEs with packets in both directions that have numbers.
class Road {
  public:
    explicit Road(const Settings& settings, double gnbPowerDbm = 30) : channel(MakeChannel(settings)) {
        m_powerDbm = gnbPowerDbm;
    }
    ~Road() {
        ns3::Simulator::Destroy();
        handover.reset();
        network->Dispose();
        channel->Dispose();
    }

    void AddCell(const ns3::Vector& place, const Attributes& attributes = {}) {
        gnbs.push_back(MakeEnd(place, 2, 2, true));
        auto cell = ns3::CreateObject<nr::Cell>();
        for (const auto& [name, value] : {Set("Bandwidth", 20e6), Set("GnbPower", m_powerDbm)}) {
            cell->SetAttribute(name, *value);
        }
        for (const auto& [name, value] : attributes) {
            cell->SetAttribute(name, *value);
        }
        cell->SetGnb(channel, gnbs.back().mobility, gnbs.back().array);
        network->AddCell(cell);
        gnbOf.push_back(static_cast<std::uint32_t>(gnbOf.size()));
    }
    void AddUe(const ns3::Vector& place, const ns3::Vector& velocity, bool acknowledged = true) {
        nr::BearerSettings bearer;
        bearer.acknowledged = acknowledged;
        AddUe(place, velocity, std::vector{nr::QosBearer{bearer}});
    }
    void AddUe(const ns3::Vector& place, const ns3::Vector& velocity, const std::vector<nr::QosBearer>& bearers) {
        ues.push_back(MakeEnd(place, 1, 1, true));
        ues.back().mobility->SetVelocity(velocity);
        network->AddUe(ues.back().mobility, ues.back().array, bearers);
    }
    void Start(const nr::HandoverSettings& settings = {}) {
        network->SetDeliver(
            [this](std::uint32_t ue, ns3::Ptr<ns3::Packet> packet) { down[ue].push_back(packet->GetUid()); },
            [this](std::uint32_t ue, ns3::Ptr<ns3::Packet> packet) { up[ue].push_back(packet->GetUid()); });
        for (std::uint32_t ue = 0; ue < ues.size(); ++ue) {
            network->Attach(ue, network->StrongestCell(ue));
            backhaul.path[ue] = gnbOf[*network->ServingCell(ue)];
        }
        auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
        random->SetStream(77);
        handover = std::make_unique<nr::Handover>(*network, backhaul, gnbOf, settings, random);
        handover->SetTrace([this](const nr::HandoverRecord& record) { records.push_back(record); });
    }
    /// Packets for and from each UE over a bearer from now on, until a time.
    void Traffic(ns3::Time interval, std::uint32_t bytes, double untilS, unsigned bearer = 0) {
        if (ns3::Simulator::Now().GetSeconds() >= untilS) {
            return;
        }
        for (std::uint32_t ue = 0; ue < ues.size(); ++ue) {
            auto packet = ns3::Create<ns3::Packet>(bytes);
            sentDown[ue].push_back(packet->GetUid());
            bearerOf[packet->GetUid()] = bearer;
            ns3::Simulator::Schedule(ns3::MilliSeconds(1), [this, ue, packet, bearer, gnb = backhaul.path[ue]] {
                dropped += !handover->SendDown(gnb, ue, packet, 0, bearer);
            });
            packet = ns3::Create<ns3::Packet>(bytes);
            sentUp[ue].push_back(packet->GetUid());
            bearerOf[packet->GetUid()] = bearer;
            network->SendUp(ue, packet, 0, bearer);
        }
        ns3::Simulator::Schedule(interval, [=, this] { Traffic(interval, bytes, untilS, bearer); });
    }
    /// Those of these packets that a bearer has.
    std::vector<std::uint64_t> Over(unsigned bearer, const std::vector<std::uint64_t>& packets) const {
        std::vector<std::uint64_t> own;
        std::ranges::copy_if(packets, std::back_inserter(own),
                             [&](std::uint64_t packet) { return bearerOf.at(packet) == bearer; });
        return own;
    }
    void Run(double seconds) {
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
    }
    std::size_t Count(nr::HandoverEvent event) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            records, [event](const auto& record) { return record.event == static_cast<std::uint8_t>(event); }));
    }
    nr::HandoverCounts Sum() const {
        nr::HandoverCounts sum{};
        for (std::uint32_t ue = 0; ue < ues.size(); ++ue) {
            const nr::HandoverCounts& each = handover->GetCounts(ue);
            sum.handovers += each.handovers;
            sum.link_failures += each.link_failures;
            sum.reestablishments += each.reestablishments;
            sum.too_late += each.too_late;
            sum.too_early += each.too_early;
            sum.wrong_cell += each.wrong_cell;
            sum.ping_pongs += each.ping_pongs;
        }
        return sum;
    }

    ns3::Ptr<RadioChannel> channel;
    ns3::Ptr<nr::Network> network = ns3::CreateObject<nr::Network>();
    SimpleBackhaul backhaul;
    std::vector<End> gnbs, ues;
    std::vector<std::uint32_t> gnbOf;
    std::unique_ptr<nr::Handover> handover;
    using Numbers = std::map<std::uint32_t, std::vector<std::uint64_t>>; ///< of packets, by UE
    Numbers sentDown, sentUp, down, up;
    std::map<std::uint64_t, unsigned> bearerOf; ///< by packet
    std::uint64_t dropped = 0;
    std::vector<nr::HandoverRecord> records;

  private:
    double m_powerDbm;
};

inline const Settings street{.deployment = "UMi", .los = "Always", .frequency = 3.5e9, .shadowing = false};

} // namespace edgelam::test
