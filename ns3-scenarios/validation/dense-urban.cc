// SPDX-License-Identifier: GPL-2.0-only
// Spectral efficiency of downlink with full buffers: Dense Urban eMBB, configuration A, of TR 37.910
// (table 5.4.1.2.1-1: 4 GHz, 10 MHz at 15 kHz, FDD, 32 ports, multi-user MIMO).
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <numbers>
#include <string>

#include "ns3/callback.h"
#include "ns3/packet.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"

#include "antenna-options.h"
#include "cases.h"
#include "named-random.h"
#include "nr-network.h"
#include "site-options.h"
#include "ue-drop.h"

namespace edgelam::validation {

namespace {

constexpr std::uint64_t full_bytes = 60'000; ///< of a bearer: more than a slot carries to one UE
constexpr std::uint32_t packet_bytes = 1500;
constexpr unsigned most_layers = 12;

struct Settings {
    SiteOptions sites{{.rings = 2, .siteDistanceM = 200, .heightM = 25}};
    AntennaOptions antennas{
        {.rows = 8, .columns = 8, .portRows = 2, .portColumns = 8, .verticalSpacing = 0.8, .electricalTiltDeg = 15}};
    UeDrop drop{{.indoorFraction = 0.8, .building = "mixed", .carFraction = 1}};
    AttributeValues channel{"edgelam::RadioChannel"}, cell{"edgelam::nr::Cell"}, network{"edgelam::nr::Network"};
    std::uint32_t uesPerCell = 10, seed = 1, drops = 1;
    double walkMps = 3 / 3.6, driveMps = 30 / 3.6, beginS = 0.3, seconds = 1;

    Settings() {
        channel.Set("Deployment", "UMa");
        channel.Set("Frequency", 4e9);
        channel.Set("LosState", "Hard");
        channel.Set("KeepLargeScale", "true"); // a drop: nobody leaves its place, or its cell
        channel.Set("CoherenceDistance", 0.03);
        cell.Set("Numerology", 0.0);
        cell.Set("Bandwidth", 10e6);
        cell.Set("Pattern", "FDD");
        cell.Set("GnbPower", 41.0);
        cell.Set("UeNoiseFigure", 7.0);
        cell.Set("Beams", "zf");
        cell.Set("ControlSymbols", 2.0);
        cell.Set("AggregationLevel", 1.0);
        // CSI-RS of 32 ports and CSI-IM every 5 slots 6.4 + 0.8, SSB and TRS every 20 slots 0.9 + 0.6: more than 6.
        cell.Set("Overhead", "12");
        cell.Set("CsiPeriod", 5.0);
    }
};

class City {
  public:
    explicit City(Settings& settings, std::uint32_t drop) : m_settings(settings) {
        ns3::RngSeedManager::SetSeed(settings.seed);
        ns3::RngSeedManager::SetRun(drop + 1);
        settings.channel.Apply(m_channel);
        m_channel->AssignStreams(1);
        m_channel->SetWrapAround(settings.sites.Images());
        settings.network.Apply(m_network);
        m_network->AssignStreams(3);
        std::map<std::uint32_t, ns3::Ptr<ns3::MobilityModel>> sites;
        for (const auto& place : settings.sites.Layout().Cells()) {
            auto& at = sites[place.site];
            if (!at) {
                at = Place(place.place, {});
                m_channel->SetDeploymentAt(at, settings.channel.Text("Deployment"));
            }
            auto cell = ns3::CreateObject<nr::Cell>();
            settings.cell.Apply(cell);
            cell->SetGnb(m_channel, at, MakeArray(settings.antennas.Gnb(0, place.bearingDeg)));
            const std::uint32_t number = m_network->AddCell(cell);
            cell->TraceConnectWithoutContext("TransportBlock",
                                             ns3::Callback<void, const nr::TransportBlockRecord&>(
                                                 [this, number](const auto& block) { Note(number, block); }));
        }
        const auto ignore = [](std::uint32_t, ns3::Ptr<ns3::Packet>) {};
        m_network->SetDeliver(ignore, ignore);
        const std::uint32_t cells = m_network->NumCells();
        const auto ueArray = settings.antennas.MakeUe();
        const std::uint64_t seed = UeDrop::Seed();
        nr::BearerSettings bearer;
        bearer.acknowledged = false;
        for (std::uint32_t i = 0; i < cells * settings.uesPerCell; ++i) {
            const auto dropped = settings.drop.Draw(settings.sites.Layout(), i % cells, seed, i);
            NamedRandom heading(seed, {4, i});
            const double angle = 2 * std::numbers::pi * heading.Uniform(),
                         speed = dropped.car != 0 ? settings.driveMps : settings.walkMps;
            const auto ue =
                Place({dropped.x, dropped.y, dropped.z}, {speed * std::cos(angle), speed * std::sin(angle), 0});
            settings.drop.Apply(*m_channel, ue, dropped);
            m_network->AddUe(ue, ueArray, bearer);
            m_network->Attach(i, m_network->StrongestCell(i));
            m_ues.push_back({dropped});
        }
    }
    ~City() {
        ns3::Simulator::Destroy();
        m_network->Dispose();
        m_channel->Dispose();
    }
    City(const City&) = delete;
    City& operator=(const City&) = delete;

    void Run(std::uint32_t drop) {
        Fill();
        ns3::Simulator::Stop(ns3::Seconds(m_settings.beginS));
        ns3::Simulator::Run();
        m_counts = true;
        ns3::Simulator::Stop(ns3::Seconds(m_settings.seconds));
        ns3::Simulator::Run();
        for (const auto& [cell, slot] : m_slots) {
            Count(slot);
        }
        const nr::Carrier& carrier = m_network->GetCell(0)->GetCarrier();
        const double slots = m_settings.seconds / (1e-9 * static_cast<double>(carrier.numerology.MeanSlotNs()));
        const unsigned symbols = carrier.PlanOf(0).downSymbols;
        std::printf("{\"kind\": \"drop\", \"drop\": %u, \"cells\": %u, \"seconds\": %.9g, \"bandwidth_hz\": %.9g, "
                    "\"slots\": %.9g, \"prbs\": %u, \"control_elements\": %u, \"overhead_elements\": %u, "
                    "\"dmrs_elements\": [%u, %u], \"data_elements\": [%u, %u], \"layer_prb_slots\": [",
                    drop, m_network->NumCells(), m_settings.seconds, carrier.settings.bandwidthHz, slots,
                    carrier.numPrbs, 12 * (nr::symbols_per_slot - symbols), carrier.overheadPerPrb,
                    carrier.settings.dmrsPerPrb, 2 * carrier.settings.dmrsPerPrb, carrier.DataElements(1, symbols, 1),
                    carrier.DataElements(1, symbols, 2));
        for (unsigned layers = 0; layers <= most_layers; ++layers) {
            std::printf("%s%llu", layers == 0 ? "" : ", ", static_cast<unsigned long long>(m_layerPrbs[layers]));
        }
        std::printf("], \"ue_prb_slots\": %llu}\n", static_cast<unsigned long long>(m_uePrbs));
        for (std::uint32_t ue = 0; ue < m_ues.size(); ++ue) {
            const Ue& each = m_ues[ue];
            std::printf("{\"kind\": \"ue\", \"drop\": %u, \"ue\": %u, \"cell\": %u, \"indoor\": %u, \"bits\": %llu, "
                        "\"first\": %llu, \"lost\": %llu, \"again\": %llu, \"shared_first\": %llu, "
                        "\"shared_lost\": %llu, \"shared_again\": %llu}\n",
                        drop, ue, *m_network->ServingCell(ue), each.dropped.indoor, each.bits, each.first, each.lost,
                        each.again, each.sharedFirst, each.sharedLost, each.sharedAgain);
        }
    }

  private:
    struct Ue {
        DroppedUe dropped;
        /// Bits of decoded blocks; first transmissions, those of them that were lost, and further transmissions; the
        /// same of blocks beside others.
        unsigned long long bits = 0, first = 0, lost = 0, again = 0, sharedFirst = 0, sharedLost = 0, sharedAgain = 0;
    };
    /// The blocks of a cell in the slot that is received.
    struct Slot {
        std::uint64_t number = 0;
        std::vector<nr::TransportBlockRecord> blocks;
    };

    static ns3::Ptr<ns3::MobilityModel> Place(const ns3::Vector& place, const ns3::Vector& velocity) {
        auto node = ns3::CreateObject<ns3::Node>();
        auto mobility = ns3::CreateObject<ns3::ConstantVelocityMobilityModel>();
        node->AggregateObject(mobility);
        mobility->SetPosition(place);
        mobility->SetVelocity(velocity);
        return mobility;
    }

    void Fill() {
        for (std::uint32_t ue = 0; ue < m_network->NumUes(); ++ue) {
            while (m_network->GetConnection(ue).down.BacklogBytes() < full_bytes &&
                   m_network->SendDown(ue, ns3::Create<ns3::Packet>(packet_bytes))) {
            }
        }
        ns3::Simulator::Schedule(ns3::MilliSeconds(1), &City::Fill, this);
    }

    void Note(std::uint32_t cell, const nr::TransportBlockRecord& block) {
        if (!m_counts || block.uplink != 0) {
            return;
        }
        Slot& slot = m_slots[cell];
        if (slot.number != block.slot) {
            Count(slot);
            slot.number = block.slot;
            slot.blocks.clear();
        }
        slot.blocks.push_back(block);
        Ue& ue = m_ues[block.ue];
        ue.bits += block.received != 0 ? block.bits : 0;
        ue.first += block.attempt == 1;
        ue.lost += block.attempt == 1 && block.received == 0;
        ue.again += block.attempt > 1;
    }

    /// Who was on which groups.
    void Count(const Slot& slot) {
        if (slot.blocks.empty()) {
            return;
        }
        const nr::Carrier& carrier = m_network->GetCell(0)->GetCarrier();
        std::uint32_t shared = 0;
        for (std::uint32_t g = 0; g < carrier.numGroups; ++g) {
            unsigned layers = 0, ues = 0;
            for (const auto& block : slot.blocks) {
                const bool on = (block.rbgs >> g & 1U) != 0;
                layers += on ? block.layers : 0;
                ues += on;
            }
            m_layerPrbs[layers] += carrier.PrbsOf(g);
            m_uePrbs += std::uint64_t{ues} * carrier.PrbsOf(g);
            shared |= ues > 1 ? 1U << g : 0;
        }
        for (const auto& block : slot.blocks) {
            if ((block.rbgs & shared) != 0) {
                Ue& ue = m_ues[block.ue];
                ue.sharedFirst += block.attempt == 1;
                ue.sharedLost += block.attempt == 1 && block.received == 0;
                ue.sharedAgain += block.attempt > 1;
            }
        }
    }

    const Settings& m_settings;
    ns3::Ptr<RadioChannel> m_channel = ns3::CreateObject<RadioChannel>();
    ns3::Ptr<nr::Network> m_network = ns3::CreateObject<nr::Network>();
    std::vector<Ue> m_ues;
    std::map<std::uint32_t, Slot> m_slots; ///< [cell]
    std::array<std::uint64_t, most_layers + 1> m_layerPrbs{};
    std::uint64_t m_uePrbs = 0;
    bool m_counts = false;
};

} // namespace

Body DenseUrban(Options& options) {
    auto settings = std::make_shared<Settings>();
    settings->sites.AddOptions(options);
    options.Section("Radio");
    options.Attribute("frequency", settings->channel, "Frequency",
                      {.help = "carrier frequency", .smallest = 0.5e9, .largest = 7e9, .unit = "Hz"});
    options.AttributeChoice("deployment", settings->channel, "Deployment", {"UMa", "UMi"}, "TR 38.901 deployment");
    options.Attribute("coherenceDistance", settings->channel, "CoherenceDistance");
    options.Attribute("keepLargeScale", settings->channel, "KeepLargeScale");
    for (const auto& [option, attribute] : {std::pair{"numerology", "Numerology"},
                                            {"pattern", "Pattern"},
                                            {"gnbPower", "GnbPower"},
                                            {"ueNoiseFigure", "UeNoiseFigure"},
                                            {"beams", "Beams"},
                                            {"csi", "Csi"},
                                            {"etypeTwoCombination", "EtypeTwoCombination"},
                                            {"selection", "Selection"},
                                            {"layers", "MaxLayers"},
                                            {"controlSymbols", "ControlSymbols"},
                                            {"aggregationLevel", "AggregationLevel"},
                                            {"overhead", "Overhead"},
                                            {"csiPeriod", "CsiPeriod"},
                                            {"csiDelay", "CsiDelay"},
                                            {"threads", "Threads"}}) {
        options.Attribute(option, settings->cell, attribute);
    }
    options.Attribute("bandwidth", settings->cell, "Bandwidth", {.scale = {"Hz", "MHz", 1e6}});
    options.Attribute("explicitInterferers", settings->network, "ExplicitInterferers");
    settings->antennas.AddOptions(options);
    settings->drop.AddOptions(options);
    options.Section("Run");
    options.Integer("uesPerCell", settings->uesPerCell, "UEs dropped in the area of each cell", 1, 100);
    options.Real("speed", settings->walkMps, "m/s", "of UEs that are in no car", 0, 150);
    options.Real("carSpeed", settings->driveMps, "m/s", "of a car", 0, 150);
    options.Integer("seed", settings->seed, "of all random numbers", 1, 2147483647);
    options.Integer("drop", settings->drops, "number of the drop: places and channels", 0, 100000);
    options.Real("begin", settings->beginS, "s", "before anything is counted", 0, 100);
    options.Real("seconds", settings->seconds, "s", "counted", 0.001, 100);
    return [settings] {
        settings->sites.Build();
        settings->drop.Apply(settings->channel);
        City(*settings, settings->drops).Run(settings->drops);
    };
}

} // namespace edgelam::validation
