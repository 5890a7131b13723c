// SPDX-License-Identifier: GPL-2.0-only
// Cells that disturb one another, with full buffers down or up: the channels, what every cell (or UE) sent in every
// slot through which weights, and the SINR of each block as the trace says it.
#include <cmath>
#include <complex>
#include <cstdio>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>

#include "ns3/callback.h"
#include "ns3/packet.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"

#include "cases.h"
#include "named-random.h"
#include "nr-network.h"
#include "site-layout.h"

namespace edgelam::validation {

namespace {

struct Settings {
    CellOptions cell;
    AttributeValues network{"edgelam::nr::Network"};
    std::uint32_t sites = 7, sectors = 3, uesPerCell = 1, watched = 6;
    double siteDistanceM = 200, beginS = 0.03, seconds = 0.02;
    bool uplink = false;
};

/// The numbers of a list, or the real and imaginary parts of complex ones, one after the other.
template<class T>
void PrintList(const char* name, const std::vector<T>& values) {
    std::printf("\"%s\": [", name);
    const char* comma = "";
    for (const auto& value : values) {
        if constexpr (std::is_same_v<T, std::complex<float>>) {
            std::printf("%s%.8g, %.8g", comma, static_cast<double>(value.real()), static_cast<double>(value.imag()));
        } else {
            std::printf("%s%.12g", comma, value);
        }
        comma = ", ";
    }
    std::printf("]");
}

class Cells {
  public:
    explicit Cells(const Settings& settings) : m_settings(settings) {
        ns3::RngSeedManager::SetSeed(settings.cell.seed);
        ns3::RngSeedManager::SetRun(1);
        m_channel = test::MakeChannel({.deployment = "UMi", .los = "Probability", .frequency = 3.5e9, .stream = 1});
        const auto layout = SiteLayout::FirstHexagons(settings.siteDistanceM, settings.sites, settings.sectors, 10);
        m_channel->SetWrapAround(layout.Images());
        settings.network.Apply(m_network);
        m_network->AssignStreams(2);
        for (const auto& place : layout.Cells()) {
            m_ends.push_back(test::MakeEnd(place.place, 4, 2, true, false));
            m_ends.back().array->SetAlpha(place.bearingDeg * std::numbers::pi / 180);
            auto cell = ns3::CreateObject<nr::Cell>();
            settings.cell.attributes.Apply(cell);
            cell->SetGnb(m_channel, m_ends.back().mobility, m_ends.back().array);
            const std::uint32_t number = m_network->AddCell(cell);
            cell->TraceConnectWithoutContext("TransportBlock",
                                             ns3::Callback<void, const nr::TransportBlockRecord&>(
                                                 [this, number](const auto& block) { Note(number, block); }));
        }
        const auto ignore = [](std::uint32_t, ns3::Ptr<ns3::Packet>) {};
        m_network->SetDeliver(ignore, ignore);
        for (std::uint32_t ue = 0; ue < m_network->NumCells() * settings.uesPerCell; ++ue) {
            NamedRandom random(settings.cell.seed, {ue});
            ns3::Vector place = layout.Drop(ue % m_network->NumCells(), 10, random);
            place.z = 1.5;
            m_ends.push_back(test::MakeEnd(place, 1, 2, true));
            m_network->AddUe(m_ends.back().mobility, m_ends.back().array);
            m_network->Attach(ue, m_network->FirstCell(ue));
        }
    }
    ~Cells() {
        ns3::Simulator::Destroy();
        m_network->Dispose();
        m_channel->Dispose();
    }
    Cells(const Cells&) = delete;
    Cells& operator=(const Cells&) = delete;

    void Run() {
        Fill();
        ns3::Simulator::Stop(ns3::Seconds(m_settings.beginS));
        ns3::Simulator::Run();
        PrintSetting();
        m_counts = true;
        ns3::Simulator::Stop(ns3::Seconds(m_settings.seconds));
        ns3::Simulator::Run();
    }

  private:
    void Fill() {
        for (std::uint32_t ue = 0; ue < m_network->NumUes(); ++ue) {
            const auto& connection = m_network->GetConnection(ue);
            while ((m_settings.uplink ? connection.up : connection.down).BacklogBytes() < 500'000) {
                const auto packet = ns3::Create<ns3::Packet>(1500);
                if (!(m_settings.uplink ? m_network->SendUp(ue, packet) : m_network->SendDown(ue, packet))) {
                    break;
                }
            }
        }
        ns3::Simulator::Schedule(ns3::MilliSeconds(1), &Cells::Fill, this);
    }

    /// What stays: UEs stand.
    void PrintSetting() {
        const nr::Carrier& carrier = m_network->GetCell(0)->GetCarrier();
        std::printf("{\"kind\": \"setting\", \"cells\": %u, \"ues\": %u, \"all_ues\": %u, \"antennas\": %zu, "
                    "\"elements\": %zu, "
                    "\"groups\": %u, \"samples_per_group\": %u, \"noise_w\": %.12g, \"cell_power_w\": %.12g, "
                    "\"explicit\": %.0f, \"relevance_db\": %.12g, ",
                    m_network->NumCells(), m_settings.watched, m_network->NumUes(), m_ends.back().array->GetNumElems(),
                    m_ends.front().array->GetNumElems(), carrier.numGroups, carrier.samplesPerGroup,
                    m_settings.uplink ? carrier.noiseUpW : carrier.noiseDownW,
                    nr::WattOfDbm(carrier.settings.gnbPowerDbm) / carrier.numPrbs,
                    m_settings.network.Number("ExplicitInterferers"), m_settings.network.Number("Relevance"));
        PrintList("beta", carrier.beta);
        std::printf("}\n");
        std::set<std::uint32_t> watched; // the receivers: UEs, or their cells
        for (std::uint32_t ue = 0; ue < m_settings.watched; ++ue) {
            watched.insert(m_settings.uplink ? *m_network->ServingCell(ue) : ue);
        }
        for (std::uint32_t ue = 0; ue < m_network->NumUes(); ++ue) {
            for (std::uint32_t cell = 0; cell < m_network->NumCells(); ++cell) {
                if (!watched.contains(m_settings.uplink ? cell : ue)) {
                    continue;
                }
                const auto h = test::Measure(m_network->GetLink(cell, ue), carrier.offsetsHz);
                std::printf("{\"kind\": \"channel\", \"ue\": %u, \"cell\": %u, \"mean_gain\": %.12g, ", ue, cell,
                            m_network->CouplingGain(cell, ue));
                PrintList("h", h);
                std::printf("}\n");
            }
        }
    }

    /// When a block is received, all cells have decided who sends what in its slot.
    void Note(std::uint32_t cell, const nr::TransportBlockRecord& block) {
        if (!m_counts || (block.uplink != 0) != m_settings.uplink || block.ue >= m_settings.watched) {
            return;
        }
        if (m_printed.insert(block.slot).second) {
            const nr::Air& air = m_network->GetAir(0);
            for (std::uint32_t other = 0; !m_settings.uplink && other < m_network->NumCells(); ++other) {
                PrintSent(block.slot, air.SentDown(block.slot, other));
            }
            if (m_settings.uplink) {
                PrintSent(block.slot, air.SentUp(block.slot));
            }
        }
        std::printf("{\"kind\": \"block\", \"slot\": %llu, \"cell\": %u, \"ue\": %u, \"mcs\": %u, \"layers\": %u, "
                    "\"groups\": %u, \"sinr_db\": %.6f, ",
                    static_cast<unsigned long long>(block.slot), cell, block.ue, unsigned{block.mcs},
                    unsigned{block.layers}, block.rbgs, static_cast<double>(block.sinr_db));
        PrintList("beams", m_settings.uplink ? m_network->GetCell(cell)->ReceivingBeams(block.ue).values()
                                             : std::vector<std::complex<float>>());
        std::printf("}\n");
    }

    static void PrintSent(std::uint64_t slot, std::span<const nr::Emission> sent) {
        for (const auto& emission : sent) {
            std::printf(
                "{\"kind\": \"sent\", \"slot\": %llu, \"cell\": %u, \"sender\": %u, \"groups\": %u, \"layers\": %u, "
                "\"per_group\": %s, \"power_w\": %.12g, ",
                static_cast<unsigned long long>(slot), emission.cell, emission.sender, emission.groups, emission.layers,
                emission.perGroup ? "true" : "false", emission.powerW);
            PrintList("weights", emission.weights);
            std::printf("}\n");
        }
    }

    const Settings& m_settings;
    ns3::Ptr<RadioChannel> m_channel;
    ns3::Ptr<nr::Network> m_network = ns3::CreateObject<nr::Network>();
    std::vector<test::End> m_ends;
    std::set<std::uint64_t> m_printed; ///< slots
    bool m_counts = false;
};

} // namespace

Body Interference(Options& options) {
    auto settings = std::make_shared<Settings>();
    settings->cell.Add(options);
    options.Integer("sites", settings->sites, "on a hexagonal grid, from the middle outwards", 1, 37);
    options.Integer("sectors", settings->sectors, "cells of each site, with a UE in the area of each", 1, 6);
    options.Real("siteDistance", settings->siteDistanceM, "m", "of neighbouring sites", 50, 5000);
    options.Integer("uesPerCell", settings->uesPerCell, "UEs in the area of each cell", 1, 20);
    options.Attribute("uplinkSelection", settings->cell.attributes, "UplinkSelection");
    options.Integer("watched", settings->watched, "UEs whose blocks are printed: the first ones", 1, 100);
    options.Attribute("explicitInterferers", settings->network, "ExplicitInterferers");
    options.Attribute("relevance", settings->network, "Relevance");
    options.Flag("uplink", settings->uplink, "full buffers up instead of down");
    options.Real("begin", settings->beginS, "s", "before the first block that is printed", 0, 100);
    options.Real("seconds", settings->seconds, "s", "of blocks", 0.001, 100);
    return [settings] {
        const std::uint32_t ues = settings->sites * settings->sectors * settings->uesPerCell;
        if (settings->watched > ues) {
            throw std::invalid_argument("option --watched=" + std::to_string(settings->watched) +
                                        " is not legal: there are " + std::to_string(ues) + " UEs");
        }
        Cells(*settings).Run();
    };
}

} // namespace edgelam::validation
