// SPDX-License-Identifier: GPL-2.0-only
// Several cells: what a receiver meets of the others, in hand-computed cases and against slow code; the order of
// installation; relevance; attaching and detaching.
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "named-random.h"
#include "nr-carrier.h"
#include "nr-cell-testbed.h"
#include "nr-matrix-kernels.h"
#include "nr-network.h"

namespace {

using namespace edgelam::test;
using edgelam::nr::Cell;
using edgelam::nr::Network;

constexpr const char* everywhere = "Always";

/// gNBs at places, UEs, full buffers, and what came of it.
class NetworkTestbed {
  public:
    struct Gnb {
        ns3::Vector place;
        double azimuthDeg = 0;
        Attributes own = {};
        std::uint32_t rows = 2, columns = 2;
        bool isotropic = true;
    };
    explicit NetworkTestbed(const Settings& settings, const Attributes& attributes = {},
                            const Attributes& ofNetwork = {})
        : channel(MakeChannel(settings)), m_attributes(attributes) {
        network->AssignStreams(20);
        for (const auto& [name, value] : ofNetwork) {
            network->SetAttribute(name, *value);
        }
    }
    ~NetworkTestbed() {
        ns3::Simulator::Destroy();
        network->Dispose();
        channel->Dispose();
    }
    NetworkTestbed(const NetworkTestbed&) = delete;
    NetworkTestbed& operator=(const NetworkTestbed&) = delete;

    std::uint32_t AddCell(const Gnb& gnb) {
        gnbs.push_back(MakeEnd(gnb.place, gnb.rows, gnb.columns, true, gnb.isotropic));
        gnbs.back().array->SetAlpha(gnb.azimuthDeg * std::numbers::pi / 180);
        auto cell = ns3::CreateObject<Cell>();
        for (const Attributes* list : {static_cast<const Attributes*>(&m_attributes), &gnb.own}) {
            for (const auto& [name, value] : *list) {
                cell->SetAttribute(name, *value);
            }
        }
        cell->SetGnb(channel, gnbs.back().mobility, gnbs.back().array);
        const std::uint32_t number = network->AddCell(cell);
        cell->TraceConnectWithoutContext("TransportBlock",
                                         ns3::Callback<void, const edgelam::nr::TransportBlockRecord&>(
                                             [this, number](const edgelam::nr::TransportBlockRecord& record) {
                                                 blocks.push_back({number, record});
                                             }));
        cell->TraceConnectWithoutContext("CsiReport", ns3::Callback<void, const edgelam::nr::CsiReportRecord&>(
                                                          [this](const edgelam::nr::CsiReportRecord& record) {
                                                              reports[record.ue].push_back(record);
                                                          }));
        return number;
    }
    std::uint32_t AddUe(const ns3::Vector& place, const ns3::Vector& velocity = {}, std::uint32_t columns = 2) {
        ues.push_back(columns == 0 ? MakeEnd(place) : MakeEnd(place, 1, columns, true));
        ues.back().mobility->SetVelocity(velocity);
        return network->AddUe(ues.back().mobility, ues.back().array);
    }
    /// \param cells [UE]; by default the strongest
    void AttachAll(const std::vector<std::uint32_t>& cells = {}) {
        network->SetDeliver([this](std::uint32_t ue, ns3::Ptr<ns3::Packet> packet) { down[ue] += packet->GetSize(); },
                            [this](std::uint32_t ue, ns3::Ptr<ns3::Packet> packet) { up[ue] += packet->GetSize(); });
        for (std::uint32_t ue = 0; ue < network->NumUes(); ++ue) {
            network->Attach(ue, cells.empty() ? network->StrongestCell(ue) : cells[ue]);
        }
    }
    /// Keep the bearers of these UEs full.
    void Fill(bool uplink, const std::vector<std::uint32_t>& which) {
        for (const auto ue : which) {
            auto& connection = network->GetConnection(ue);
            while ((uplink ? connection.up : connection.down).BacklogBytes() < 1'000'000 &&
                   (uplink ? network->SendUp(ue, ns3::Create<ns3::Packet>(1500))
                           : network->SendDown(ue, ns3::Create<ns3::Packet>(1500)))) {
            }
        }
        ns3::Simulator::Schedule(ns3::MicroSeconds(500), [=, this] { Fill(uplink, which); });
    }
    void Run(double seconds) {
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
    }
    /// The SINRs of a UE's blocks, dB, from a slot on.
    std::vector<float> SinrDb(std::uint32_t ue, bool uplink, std::uint64_t from = 0) const {
        std::vector<float> values;
        for (const auto& [cell, block] : blocks) {
            if (block.ue == ue && (block.uplink != 0) == uplink && block.slot >= from) {
                values.push_back(block.sinr_db);
            }
        }
        return values;
    }

    ns3::Ptr<edgelam::RadioChannel> channel;
    ns3::Ptr<Network> network = ns3::CreateObject<Network>();
    std::vector<End> gnbs, ues;
    std::vector<std::pair<std::uint32_t, edgelam::nr::TransportBlockRecord>> blocks; ///< with the cell
    std::map<std::uint32_t, std::vector<edgelam::nr::CsiReportRecord>> reports;
    std::map<std::uint32_t, std::uint64_t> down, up; ///< bytes delivered

  private:
    Attributes m_attributes;
};

/// One antenna at both ends and a channel without fading: the SINRs are known.
Settings Flat() {
    return {.deployment = "UMi", .los = everywhere, .frequency = 3.5e9, .shadowing = false};
}

double Mean(const std::vector<float>& values) {
    double sum = 0;
    for (const float value : values) {
        sum += value / static_cast<double>(values.size());
    }
    return sum;
}

/// A second gNB that arrives as strong as the noise takes 3.01 dB, when it is white.
void White(Case& test) {
    std::array<std::vector<float>, 2> sinr, reported;
    for (const bool active : {false, true}) {
        NetworkTestbed bed(Flat(), {Set("MaxLayers", 1u), Set("Bandwidth", 20e6)},
                           {{"ExplicitInterferers", ns3::Create<ns3::UintegerValue>(0)}});
        bed.AddCell({{0, 0, 10}});
        // Where it has its own UE within its reach.
        constexpr double probeDbm = 10;
        bed.AddCell({{400, 0, 10}, 180, {Set("GnbPower", probeDbm)}});
        bed.AddUe({60, 20, 1.5}, {}, 1);
        bed.AddUe({420, 0, 1.5}, {}, 1);
        const auto& carrier = bed.network->GetCell(0)->GetCarrier();
        const double arrivesDbm = bed.network->RsrpDbm(1, 0) + 10 * std::log10(12);
        const double noiseDbm = 10 * std::log10(carrier.noiseDownW) + 30;
        // The same once more, with the power that makes them equal.
        NetworkTestbed exact(Flat(), {Set("MaxLayers", 1u), Set("Bandwidth", 20e6)},
                             {{"ExplicitInterferers", ns3::Create<ns3::UintegerValue>(0)}});
        exact.AddCell({{0, 0, 10}});
        exact.AddCell({{400, 0, 10}, 180, {Set("GnbPower", probeDbm + noiseDbm - arrivesDbm)}});
        exact.AddUe({60, 20, 1.5}, {}, 1);
        exact.AddUe({420, 0, 1.5}, {}, 1);
        exact.AttachAll({0, 1});
        exact.Fill(false, active ? std::vector<std::uint32_t>{0, 1} : std::vector<std::uint32_t>{0});
        exact.Run(0.05);
        sinr[active] = exact.SinrDb(0, false, 40);
        reported[active] = {exact.reports[0].back().sinr_db};
        test.True(sinr[active].size() > 20, "blocks");
    }
    test.Near(Mean(sinr[0]) - Mean(sinr[1]), 10 * std::log10(2), 0.05, "SINR of blocks");
}

/// SINR of reference signals by hand: only cells of the same carrier disturb, and noise is that of a subcarrier.
void SinrOfCells(Case& test) {
    NetworkTestbed bed(Flat());
    const auto upper = MakeChannel({.deployment = "UMi", .los = everywhere, .frequency = 3.7e9, .shadowing = false});
    for (const unsigned mu : {1u, 1u, 2u}) { // the last one is beside the others
        bed.gnbs.push_back(MakeEnd({100.0 * static_cast<double>(bed.gnbs.size()), 0, 10}));
        auto cell = ns3::CreateObject<Cell>();
        cell->SetAttribute("Bandwidth", ns3::DoubleValue(20e6));
        cell->SetAttribute("Numerology", ns3::UintegerValue(mu));
        cell->SetAttribute("UeNoiseFigure", ns3::DoubleValue(mu == 1 ? 9 : 5));
        cell->SetGnb(mu == 1 ? bed.channel : upper, bed.gnbs.back().mobility, bed.gnbs.back().array);
        bed.network->AddCell(cell);
    }
    const std::array dbm{-80.0, -90.0, -70.0};
    // -174 + 10 log10(30e3) + 9 = -120.23 dBm: 9.5e-13 mW beside 1e-9 and 1e-8 mW; at 60 kHz -174 + 47.78 + 5.
    test.Near(bed.network->SinrDb(0, dbm), -80 - 10 * std::log10(1e-9 + 9.486e-13), 1e-3, "beside another cell");
    test.Near(bed.network->SinrDb(1, dbm), -90 - 10 * std::log10(1e-8 + 9.486e-13), 1e-3, "the other one");
    test.Near(bed.network->SinrDb(2, dbm), -70 + 174 - 10 * std::log10(60e3) - 5, 1e-6, "alone on its carrier");
    upper->Dispose();
}

/// A gNB that stays 40 dB below the noise changes no byte; it is there, and serves its own UE.
void Faint(Case& test) {
    const auto run = [](bool withFaint) {
        NetworkTestbed bed({.deployment = "UMi", .frequency = 3.5e9}, {Set("Bandwidth", 20e6)});
        bed.AddCell({{0, 0, 10}});
        if (withFaint) {
            bed.AddCell({{3000, 0, 10}, 180, {Set("GnbPower", 5.0), Set("UePower", 0.0)}});
        }
        for (int i = 0; i < 3; ++i) {
            bed.AddUe({40.0 + 30 * i, 20.0 - 20 * i, 1.5}, {1, 2, 0});
        }
        if (withFaint) {
            bed.AddUe({2990, 0, 1.5});
        }
        bed.AttachAll(withFaint ? std::vector<std::uint32_t>{0, 0, 0, 1} : std::vector<std::uint32_t>{});
        bed.Fill(false, withFaint ? std::vector<std::uint32_t>{0, 1, 2, 3} : std::vector<std::uint32_t>{0, 1, 2});
        bed.Fill(true, {0, 1, 2});
        bed.Run(0.1);
        std::vector<edgelam::nr::TransportBlockRecord> blocks;
        std::size_t ofFaint = 0;
        for (const auto& [cell, block] : bed.blocks) {
            if (cell == 0) {
                blocks.push_back(block);
            } else {
                ++ofFaint;
            }
        }
        return std::pair(blocks, ofFaint);
    };
    const auto [alone, none] = run(false);
    const auto [beside, faint] = run(true);
    test.True(faint > 50 && none == 0, "the faint cell serves its UE: " + std::to_string(faint));
    test.True(alone.size() == beside.size() && alone.size() > 200, "as many blocks: " + std::to_string(alone.size()));
    const bool same = std::ranges::equal(alone, beside, [](const auto& a, const auto& b) {
        return a.slot == b.slot && a.ue == b.ue && a.uplink == b.uplink && a.rbgs == b.rbgs && a.bits == b.bits &&
               a.sinr_db == b.sinr_db && a.bler == b.bler && a.received == b.received;
    });
    test.True(same, "the same blocks, bit for bit");
}

/// Cells in another order: the same blocks, with other numbers of the cells.
void Order(Case& test) {
    const std::vector<NetworkTestbed::Gnb> gnbs{
        {{0, 0, 10}, 0}, {{150, 30, 10}, 180}, {{60, 140, 10}, -90}, {{60, 140, 10}, 30}};
    const auto run = [&](const std::vector<std::size_t>& order) {
        NetworkTestbed bed({.deployment = "UMi", .frequency = 3.5e9}, {Set("Bandwidth", 20e6)},
                           {{"ExplicitInterferers", ns3::Create<ns3::UintegerValue>(2)}});
        std::vector<std::size_t> place(order.size());
        for (const auto which : order) {
            auto gnb = gnbs[which];
            gnb.isotropic = false;
            place[bed.AddCell(gnb)] = which;
        }
        for (int i = 0; i < 8; ++i) {
            bed.AddUe({20.0 + 17 * i, 10.0 + 13 * ((3 * i) % 8), 1.5}, {0.5 * i, -1, 0});
        }
        bed.AttachAll();
        bed.Fill(false, {0, 1, 2, 3, 4, 5, 6, 7});
        bed.Fill(true, {0, 2, 4, 6});
        bed.Run(0.06);
        std::vector<std::tuple<std::uint64_t, int, std::uint32_t, std::size_t, std::uint32_t, float, float, int>> all;
        std::map<std::size_t, int> cells;
        for (const auto& [cell, b] : bed.blocks) {
            all.emplace_back(b.slot, b.uplink, b.ue, place[cell], b.rbgs, b.sinr_db, b.bler, b.received);
            ++cells[place[cell]];
        }
        std::ranges::sort(all);
        return std::pair(all, cells.size());
    };
    const auto [first, cells] = run({0, 1, 2, 3});
    test.True(first.size() > 200 && cells >= 3, std::to_string(cells) + " cells serve UEs");
    test.True(run({2, 3, 0, 1}).first == first && run({3, 2, 1, 0}).first == first, "the same blocks");
}

/// Strong interference from one direction: a receiver of several antennas rejects it, as slow code computes.
void Irc(Case& test) {
    const auto matrix = [](std::size_t n) { return std::vector<Complex>(n * n); };
    for (const unsigned explicitInterferers : {8u, 0u}) {
        NetworkTestbed bed(
            Flat(),
            {Set("Beams", std::string("external")), Set("GnbPower", 4.0), Set("MaxLayers", 1u), Set("Bandwidth", 20e6)},
            {{"ExplicitInterferers", ns3::Create<ns3::UintegerValue>(explicitInterferers)}});
        bed.AddCell({{0, 0, 10}});
        bed.AddCell({{160, 10, 10}, 180});
        bed.AddUe({75, 20, 1.5});
        bed.AddUe({120, -30, 1.5});
        bed.AttachAll();
        const auto& carrier = bed.network->GetCell(0)->GetCarrier();
        const std::size_t elements = 8, antennas = 4, groups = carrier.numGroups;
        // One layer from the elements of one column, with phases.
        std::vector<std::complex<float>> weights(2 * groups * elements);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const double turn = 0.37 * static_cast<double>(i % elements * (i / elements / groups + 1));
            weights[i] = static_cast<float>(1 / std::sqrt(8.0)) *
                         std::complex<float>(static_cast<float>(std::cos(turn)), static_cast<float>(std::sin(turn)));
        }
        for (const std::uint32_t cell : {0u, 1u}) {
            bed.network->GetCell(cell)->SetPrecoders(weights);
        }
        bed.Fill(false, {0, 1});
        bed.Run(0.03);
        std::vector<double> offsets = carrier.offsetsHz;
        const auto through = [&](std::uint32_t cell, std::uint32_t of) { // [sample][antenna]
            const auto h = Measure(bed.network->GetLink(cell, 0), offsets);
            std::vector<std::vector<Complex>> y(offsets.size(), std::vector<Complex>(antennas));
            for (std::size_t a = 0; a < antennas; ++a) {
                for (std::size_t e = 0; e < elements; ++e) {
                    for (std::size_t f = 0; f < offsets.size(); ++f) {
                        const std::size_t g = f * groups / offsets.size();
                        y[f][a] += Complex(h[(a * elements + e) * offsets.size() + f]) *
                                   Complex(weights[(of * groups + g) * elements + e]);
                    }
                }
            }
            return y;
        };
        const auto own = through(0, 0), other = through(1, 1);
        const double snr = carrier.DownlinkSnr();
        std::vector<float> sinrs;
        double white = 0;
        if (explicitInterferers == 0) {
            white = std::pow(10, (bed.network->RsrpDbm(1, 0) + 10 * std::log10(12) - 30) / 10) / carrier.noiseDownW;
        }
        for (std::size_t f = 0; f < offsets.size(); ++f) {
            auto r = matrix(antennas);
            for (std::size_t i = 0; i < antennas; ++i) {
                for (std::size_t j = 0; j < antennas; ++j) {
                    r[i * antennas + j] =
                        (i == j ? 1 + white : 0) + (white > 0 ? 0 : snr * other[f][i] * std::conj(other[f][j]));
                }
            }
            // x = R^-1 a by Gauss and Jordan.
            std::vector<Complex> x = own[f];
            for (std::size_t k = 0; k < antennas; ++k) {
                const Complex pivot = r[k * antennas + k];
                for (std::size_t j = 0; j < antennas; ++j) {
                    r[k * antennas + j] /= pivot;
                }
                x[k] /= pivot;
                for (std::size_t i = 0; i < antennas; ++i) {
                    const Complex factor = r[i * antennas + k];
                    for (std::size_t j = 0; i != k && j < antennas; ++j) {
                        r[i * antennas + j] -= factor * r[k * antennas + j];
                    }
                    x[i] -= i != k ? factor * x[k] : 0;
                }
            }
            Complex sinr = 0;
            for (std::size_t i = 0; i < antennas; ++i) {
                sinr += snr * std::conj(own[f][i]) * x[i];
            }
            sinrs.push_back(static_cast<float>(sinr.real()));
        }
        unsigned compared = 0;
        double lossDb = 0;
        for (const auto& [cell, block] : bed.blocks) {
            if (cell == 0 && block.slot >= 20 && block.uplink == 0) {
                const double expected = 10 * std::log10(edgelam::nr::EffectiveSinr(sinrs, carrier.beta[block.mcs]));
                test.Near(block.sinr_db, expected, 0.02, "SINR beside another cell");
                lossDb = expected;
                ++compared;
            }
        }
        test.True(compared > 10, "blocks: " + std::to_string(compared));
        test.True(std::isfinite(lossDb), "finite");
        test.Near(bed.reports[0].back().sinr_db, lossDb, 3, "reports know it");
    }
}

/// With one antenna at each end: received power of the signal over that of noise and the other cell's UE.
void Uplink(Case& test) {
    for (const unsigned explicitInterferers : {8u, 0u}) {
        NetworkTestbed bed(Flat(), {Set("Bandwidth", 20e6), Set("Alpha", 1.0)},
                           {{"ExplicitInterferers", ns3::Create<ns3::UintegerValue>(explicitInterferers)}});
        for (const double x : {0.0, 200.0}) {
            bed.gnbs.push_back(MakeEnd({x, 0, 10}));
            auto cell = ns3::CreateObject<Cell>();
            cell->SetAttribute("Bandwidth", ns3::DoubleValue(20e6));
            cell->SetGnb(bed.channel, bed.gnbs.back().mobility, bed.gnbs.back().array);
            const std::uint32_t number = bed.network->AddCell(cell);
            cell->TraceConnectWithoutContext("TransportBlock",
                                             ns3::Callback<void, const edgelam::nr::TransportBlockRecord&>(
                                                 [&bed, number](const edgelam::nr::TransportBlockRecord& record) {
                                                     bed.blocks.push_back({number, record});
                                                 }));
        }
        bed.AddUe({60, 30, 1.5}, {}, 0);
        bed.AddUe({120, 10, 1.5}, {}, 0);
        bed.AttachAll();
        test.True(bed.network->ServingCell(0) == 0u && bed.network->ServingCell(1) == 1u, "attached");
        bed.Fill(true, {0, 1});
        bed.Run(0.06);
        const auto& carrier = bed.network->GetCell(0)->GetCarrier();
        const auto powerW = [&](std::uint32_t ue, unsigned prbs) { // open loop of TS 38.213 7.1.1
            const double loss = -10 * std::log10(bed.network->GetLink(ue, ue)->GetLargeScaleGain());
            return std::pow(10, std::min(-90 + 10 * std::log10(2.0 * prbs) + 0.8 * loss, 23.0) / 10 - 3) / prbs;
        };
        std::map<std::uint64_t, const edgelam::nr::TransportBlockRecord*> others;
        for (const auto& [cell, block] : bed.blocks) {
            if (cell == 1 && block.uplink != 0) {
                others[block.slot] = &block;
            }
        }
        const auto& offsets = carrier.offsetsHz;
        const auto own = Measure(bed.network->GetLink(0, 0), offsets),
                   across = Measure(bed.network->GetLink(0, 1), offsets);
        const double meanAcross =
            std::pow(10, (bed.network->RsrpDbm(0, 1) - carrier.settings.gnbPowerDbm) / 10) * 12 * carrier.numPrbs;
        unsigned compared = 0;
        for (const auto& [cell, block] : bed.blocks) {
            if (cell != 0 || block.uplink == 0 || block.slot < 20 || !others.contains(block.slot)) {
                continue;
            }
            const auto& other = *others[block.slot];
            std::vector<float> sinrs;
            for (std::size_t f = 0; f < offsets.size(); ++f) {
                const std::size_t g = f / carrier.samplesPerGroup;
                if ((block.rbgs >> g & 1U) == 0) {
                    continue;
                }
                const double gain = explicitInterferers > 0 ? std::norm(Complex(across[f])) : meanAcross;
                const double interference = (other.rbgs >> g & 1U) != 0 ? powerW(1, other.prbs) * gain : 0;
                sinrs.push_back(static_cast<float>(powerW(0, block.prbs) * std::norm(Complex(own[f])) /
                                                   (carrier.noiseUpW + interference)));
            }
            test.Near(block.sinr_db, 10 * std::log10(edgelam::nr::EffectiveSinr(sinrs, carrier.beta[block.mcs])), 0.02,
                      "uplink SINR");
            ++compared;
        }
        test.True(compared > 5, "uplink blocks: " + std::to_string(compared));
    }
}

/// What does not go together is refused.
void Refusals(Case& test) {
    NetworkTestbed bed(Flat());
    bed.AddCell({{0, 0, 10}});
    test.Refuses([&] { bed.AddCell({{0, 0, 10}}); }, {"cells 0 and 1", "same orientation", "0:0:10"}, "same place");
    test.Refuses([&] { bed.AddCell({{0, 0, 10}, 360}); }, {"cells 0 and 1", "same orientation"}, "once around");
    bed.AddCell({{0, 0, 10}, 120});
    test.Refuses([&] { bed.AddCell({{90, 0, 10}, 0, {Set("Numerology", 0u), Set("Bandwidth", 50e6)}}); },
                 {"overlaps cell 0", "Numerology 0", "Numerology 1"}, "numerology");
    test.Refuses([&] { bed.AddCell({{90, 0, 10}, 0, {Set("Pattern", std::string("DDDSUUDDDD"))}}); },
                 {"Pattern DDDSUUDDDD", "Pattern DDDSU"}, "pattern");
    bed.AddUe({50, 0, 1.5});
    test.Refuses([&] { bed.network->Attach(0, 7); }, {"cell 7", "0 to 1"}, "unknown cell");
    test.Refuses<std::logic_error>([&] { bed.network->Detach(0); }, {"UE 0", "no cell"}, "not attached");
    bed.network->Attach(0, 1);
    test.Refuses<std::logic_error>([&] { bed.network->Attach(0, 0); }, {"UE 0", "is in cell 1"}, "attached twice");
    test.Refuses<std::logic_error>([&] { bed.AddCell({{500, 0, 10}}); }, {"before the first UE"}, "late cell");
    test.Refuses<std::logic_error>([&] { bed.network->GetCell(0)->AddUe(bed.ues[0].mobility, bed.ues[0].array); },
                                   {"Network::AddUe"}, "UE past the network");
}

/// A UE changes cells again and again under load: RLC AM delivers every byte in both directions, and others go on.
void Change(Case& test) {
    NetworkTestbed bed({.deployment = "UMi", .los = everywhere, .frequency = 3.5e9}, {Set("Bandwidth", 20e6)});
    bed.AddCell({{0, 0, 10}});
    bed.AddCell({{120, 0, 10}, 180});
    bed.AddUe({60, 10, 1.5}, {5, 0, 0});
    bed.AddUe({20, 0, 1.5});
    bed.AddUe({100, 0, 1.5});
    bed.AttachAll();
    constexpr std::uint32_t packets = 3000;
    for (std::uint32_t i = 0; i < packets; ++i) {
        bed.network->SendDown(0, ns3::Create<ns3::Packet>(1000));
        bed.network->SendUp(0, ns3::Create<ns3::Packet>(i < packets / 4 ? 1000 : 0 + 100));
    }
    bed.Fill(false, {1, 2});
    for (int i = 1; i <= 8; ++i) {
        ns3::Simulator::Schedule(ns3::MilliSeconds(12 * i), [&] {
            const std::uint32_t from = *bed.network->ServingCell(0);
            bed.network->Detach(0);
            ns3::Simulator::Schedule(ns3::MicroSeconds(3300), [&, from] { bed.network->Attach(0, 1 - from); });
        });
    }
    bed.Run(1.5);
    test.True(bed.down[0] == 1000 * packets, "all bytes down: " + std::to_string(bed.down[0]));
    test.True(bed.up[0] == 1000 * (packets / 4) + 100 * (packets - packets / 4),
              "all bytes up: " + std::to_string(bed.up[0]));
    test.True(bed.down[1] > 1'000'000 && bed.down[2] > 1'000'000, "others are served");
    std::map<std::uint32_t, int> cells;
    for (const auto& [cell, block] : bed.blocks) {
        cells[cell] += block.ue == 0;
    }
    test.True(cells[0] > 5 && cells[1] > 5, "in both cells");
}

/// What arrives of an emission, for each number of layers and several numbers of antennas, against the plain sum.
void ThroughWeights(Case& test) {
    edgelam::NamedRandom random(1, {7});
    const auto draw = [&](std::size_t count) {
        Response values(count);
        for (auto& each : values) {
            each = {static_cast<float>(random.Normal()), static_cast<float>(random.Normal())};
        }
        return values;
    };
    constexpr std::size_t elements = 5, four = 4;
    for (std::size_t layers = 1; layers <= 4; ++layers) {
        for (std::size_t antennas = 1; antennas <= 7; ++antennas) {
            const auto h = draw(antennas * elements * four), weights = draw(elements * layers);
            Response out(antennas * layers * four);
            edgelam::nr::kernels::ThroughWeights(h.data(), weights.data(), antennas, elements, layers, out.data());
            double worst = 0;
            for (std::size_t u = 0; u < antennas; ++u) {
                for (std::size_t l = 0; l < layers; ++l) {
                    for (std::size_t f = 0; f < four; ++f) {
                        Complex sum = 0;
                        for (std::size_t e = 0; e < elements; ++e) {
                            sum += Complex(h[(u * elements + e) * four + f]) * Complex(weights[e * layers + l]);
                        }
                        worst = std::max(worst, std::abs(sum - Complex(out[(u * layers + l) * four + f])));
                    }
                }
            }
            test.True(worst < 1e-5, std::to_string(layers) + " layers, " + std::to_string(antennas) +
                                        " antennas: " + std::to_string(worst));
        }
    }
}

/// Some samples of a covariance, and some columns of a channel, are what they are among all of them.
void Samples(Case& test) {
    using edgelam::nr::Covariance;
    edgelam::NamedRandom random(1, {9});
    constexpr std::size_t receivers = 3, samples = 21, columns = 4, used = 2, layers = 2;
    const auto draw = [&](std::size_t count) {
        std::vector<std::complex<float>> values(count);
        for (auto& value : values) {
            value = {static_cast<float>(random.Uniform() - 0.5), static_cast<float>(random.Uniform() - 0.5)};
        }
        return values;
    };
    const auto heard = draw(receivers * layers * samples), channel = draw(receivers * columns * samples);
    const std::vector<std::uint32_t> at{2, 3, 4, 5, 11, 12, 13, 14, 6, 20};
    Covariance whole, part;
    whole.Reset(receivers, samples);
    part.Reset(receivers, samples, at);
    for (Covariance* each : {&whole, &part}) {
        each->AddLayers(heard.data(), layers, layers, samples, 0, samples, 30);
        each->AddWhite(0, samples, 0.5);
    }
    for (std::size_t f = 0; f < samples; ++f) { // by hand
        std::complex<double> sum = 0;
        for (std::size_t l = 0; l < layers; ++l) {
            sum += 30. * Complex(heard[(2 * layers + l) * samples + f]) *
                   std::conj(Complex(heard[(layers + l) * samples + f]));
        }
        test.True(std::abs(whole.At(2, 1, f) - sum) < 1e-5, "entry");
    }
    std::vector<std::complex<float>> all, some;
    whole.Whiten(channel, columns, columns, {}, all);
    part.Whiten(channel, columns, used, at, some);
    test.True(some.size() == receivers * used * at.size(), "size");
    bool same = true;
    for (std::size_t r = 0; r < receivers; ++r) {
        for (std::size_t c = 0; c < used; ++c) {
            for (std::size_t i = 0; i < at.size(); ++i) {
                same &= some[(r * used + c) * at.size() + i] == all[(r * columns + c) * samples + at[i]];
            }
        }
    }
    test.True(same, "bit by bit");
}

/// Channels to others that are kept for a few millimetres have the distribution of those that are always exact.
void Coherence(Case& test) {
    std::array<std::vector<float>, 2> sinr;
    for (const int coherence : {0, 3}) {
        NetworkTestbed bed({.deployment = "UMi", .frequency = 3.5e9}, {Set("Bandwidth", 20e6)},
                           {{"InterferenceCoherence", ns3::Create<ns3::DoubleValue>(coherence)}});
        for (const auto& gnb : {NetworkTestbed::Gnb{{0, 0, 10}}, {{150, 30, 10}, 180}, {{60, 140, 10}, -90}}) {
            bed.AddCell(gnb);
        }
        for (int i = 0; i < 6; ++i) {
            bed.AddUe({20.0 + 20 * i, 10.0 + 15 * ((3 * i) % 6), 1.5}, {3 * std::cos(i), 3 * std::sin(i), 0});
        }
        bed.AttachAll();
        bed.Fill(false, {0, 1, 2, 3, 4, 5});
        bed.Run(0.2);
        auto& all = sinr[coherence == 0 ? 0 : 1];
        for (std::uint32_t ue = 0; ue < 6; ++ue) {
            const auto own = bed.SinrDb(ue, false, 40);
            all.insert(all.end(), own.begin(), own.end());
        }
        std::ranges::sort(all);
        test.True(all.size() > 500, "blocks: " + std::to_string(all.size()));
    }
    test.True(sinr[0] != sinr[1], "it makes a difference");
    for (const std::size_t percent : {5, 50, 95}) {
        const auto at = [percent](const auto& sorted) { return sorted[sorted.size() * percent / 100]; };
        test.Near(at(sinr[1]), at(sinr[0]), 0.5, std::to_string(percent) + " % of SINRs");
    }
}

CaseSuite severalCellsTestSuite("edgelam-nr-several-cells", {{"white", White},
                                                             {"samples", Samples},
                                                             {"SINR of cells", SinrOfCells},
                                                             {"faint", Faint},
                                                             {"order", Order},
                                                             {"interference rejection", Irc},
                                                             {"weights", ThroughWeights},
                                                             {"uplink", Uplink},
                                                             {"coherence", Coherence},
                                                             {"refusals", Refusals},
                                                             {"change of cells", Change}});

} // namespace
