// SPDX-License-Identifier: GPL-2.0-only
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"

#include "cases.h"

using namespace ns3;

namespace edgelam::validation {

void CellOptions::Add(Options& options) {
    options.Real("frequency", frequencyHz, "Hz", "of the carrier", 0.5e9, 71e9);
    options.Attribute("numerology", attributes, "Numerology");
    options.Attribute("bandwidth", attributes, "Bandwidth", {.scale = {"Hz", "MHz", 1e6}});
    options.Attribute("pattern", attributes, "Pattern");
    options.Attribute("mcsTable", attributes, "McsTable");
    options.Attribute("blerTarget", attributes, "BlerTarget");
    options.Attribute("layers", attributes, "MaxLayers");
    options.Attribute("gnbPower", attributes, "GnbPower");
    options.Attribute("uePower", attributes, "UePower");
    options.Attribute("p0", attributes, "P0");
    options.Integer("seed", seed, "of all random numbers", 1, 2147483647);
}

OneCell::OneCell(const CellOptions& options, test::Settings settings, const test::End& gnb) : m_gnb(gnb) {
    RngSeedManager::SetSeed(options.seed);
    RngSeedManager::SetRun(1);
    settings.frequency = options.frequencyHz;
    channel = test::MakeChannel(settings);
    channel->SetAttribute("CoherenceDistance", DoubleValue(0.03));
    cell = CreateObject<nr::Cell>();
    options.attributes.Apply(cell);
    cell->AssignStreams(settings.stream + 1);
}

OneCell::~OneCell() {
    Simulator::Destroy();
    cell->Dispose();
    channel->Dispose();
}

void OneCell::Begin() {
    cell->SetGnb(channel, m_gnb.mobility, m_gnb.array);
    if (onPacket) {
        cell->SetDeliver([this](std::uint32_t ue, Ptr<Packet> packet) { onPacket(false, ue, packet); },
                         [this](std::uint32_t ue, Ptr<Packet> packet) { onPacket(true, ue, packet); });
    }
    if (onBlock) {
        cell->TraceConnectWithoutContext("TransportBlock", MakeCallback(&OneCell::Note, this));
    }
}

std::uint32_t OneCell::AddUe(const test::End& ue, bool acknowledged) {
    m_ues.push_back(ue);
    nr::BearerSettings bearer;
    bearer.acknowledged = acknowledged;
    return cell->AddUe(ue.mobility, ue.array, bearer);
}

void OneCell::Fill(bool uplink, std::uint32_t packetBytes, std::uint64_t backlogBytes) {
    for (std::uint32_t i = 0; i < cell->NumUes(); ++i) {
        const auto& bearer = uplink ? cell->UpBearer(i) : cell->DownBearer(i);
        while (bearer.BacklogBytes() < backlogBytes && (uplink ? cell->SendUp(i, Create<Packet>(packetBytes))
                                                               : cell->SendDown(i, Create<Packet>(packetBytes)))) {
        }
    }
    Simulator::Schedule(MicroSeconds(500), [=, this] { Fill(uplink, packetBytes, backlogBytes); });
}

void OneCell::RunUntil(double seconds) {
    Simulator::Stop(Seconds(seconds) - Simulator::Now());
    Simulator::Run();
}

} // namespace edgelam::validation
