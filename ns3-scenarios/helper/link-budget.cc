// SPDX-License-Identifier: GPL-2.0-only
#include "link-budget.h"

#include <algorithm>
#include <cmath>

#include "ns3/simulator.h"

#include "power-rule.h"

namespace edgelam {

namespace {

double Db(double gain) {
    return 10 * std::log10(gain);
}

double Linear(double db) {
    return std::pow(10, db / 10);
}

} // namespace

void AddReceivedPowerOptions(Options& options, AttributeValues& network) {
    options.AttributeChoice("rsrp", network, "Rsrp", PowerRule::Names());
    options.Attribute("rayCells", network, "RayCells");
    options.Attribute("attachMargin", network, "AttachMargin", {.unit = "dB"});
}

void LinkBudget::AddOptions(Options& options) {
    options.Section("Received power");
    AddReceivedPowerOptions(options, m_network);
}

void LinkBudget::Set(ns3::Ptr<RadioChannel> channel, std::vector<Cell> cells, std::vector<Ue> ues, double subcarriers,
                     double noiseDbm, NamedRandom random) {
    m_channel = channel;
    m_cells = std::move(cells);
    m_ues = std::move(ues);
    m_subcarriers = subcarriers;
    m_noiseDbm = noiseDbm;
    m_serving.assign(m_ues.size(), -1);
    m_choices.clear();
    for (std::size_t ue = 0; ue < m_ues.size(); ++ue) {
        m_choices.push_back(random.Uniform());
    }
    m_beamChoices.assign(m_ues.size(), std::vector<double>(m_cells.size()));
    for (auto& ofUe : m_beamChoices) {
        for (auto& choice : ofUe) {
            choice = random.Uniform();
        }
    }
}

LinkBudget::CellGains LinkBudget::CouplingGains(std::uint32_t ue) {
    const PowerRule rule(m_network.Text("Rsrp"), static_cast<unsigned>(m_network.Number("RayCells")));
    CellGains gains{std::vector<double>(m_cells.size(), -1), std::vector<std::size_t>(m_cells.size()), {}};
    for (const auto& array : m_ues.at(ue).beams) {
        std::vector<ns3::Ptr<ChannelLink>> links; // [cell, beam]
        std::vector<double> powers;
        for (const Cell& cell : m_cells) {
            for (const auto& beam : cell.beams) {
                links.push_back(m_channel->GetLink(cell.mobility, beam, m_ues[ue].mobility, array));
                powers.push_back(Linear(cell.powerDbm));
            }
        }
        const auto ofBeams = rule.Gains(links, powers);
        std::vector<double> any;
        auto first = ofBeams.begin();
        for (std::size_t cell = 0; cell < m_cells.size(); ++cell) {
            const auto count = static_cast<std::ptrdiff_t>(m_cells[cell].beams.size());
            if (const double best = *std::max_element(first, first + count); best > gains.best[cell]) {
                gains.best[cell] = best;
                gains.ueBeam[cell] = gains.any.size();
            }
            any.push_back(first[static_cast<std::ptrdiff_t>(m_beamChoices[ue][cell] * static_cast<double>(count))]);
            first += count;
        }
        gains.any.push_back(std::move(any));
    }
    return gains;
}

const LinkBudget::CellGains& LinkBudget::GainsNow(std::uint32_t ue) {
    const std::int64_t now = ns3::Simulator::Now().GetNanoSeconds();
    if (m_now.timeNs != now || m_now.gains.empty()) {
        m_now = {now, std::vector<CellGains>(m_ues.size())};
    }
    auto& gains = m_now.gains[ue];
    if (gains.best.empty()) {
        gains = CouplingGains(ue);
    }
    return gains;
}

std::uint32_t LinkBudget::ServingCell(std::uint32_t ue) {
    if (m_serving[ue] < 0) {
        const auto& gains = GainsNow(ue).best;
        std::vector<double> powers;
        for (std::size_t cell = 0; cell < gains.size(); ++cell) {
            powers.push_back(Db(gains[cell]) + m_cells[cell].powerDbm);
        }
        const double least = *std::max_element(powers.begin(), powers.end()) - m_network.Number("AttachMargin");
        std::vector<std::size_t> alike;
        for (std::size_t cell = 0; cell < powers.size(); ++cell) {
            if (powers[cell] >= least) {
                alike.push_back(cell);
            }
        }
        m_serving[ue] = static_cast<std::int64_t>(
            alike[static_cast<std::size_t>(m_choices[ue] * static_cast<double>(alike.size()))]);
    }
    return static_cast<std::uint32_t>(m_serving[ue]);
}

double LinkBudget::SinrDb(std::uint32_t ue, bool withNoise) {
    const std::uint32_t serving = ServingCell(ue);
    const auto& gains = GainsNow(ue);
    const auto& any = gains.any[gains.ueBeam[serving]];
    double others = withNoise ? Linear(m_noiseDbm) : 0;
    for (std::size_t cell = 0; cell < m_cells.size(); ++cell) {
        others += cell == serving ? 0 : any[cell] * Linear(m_cells[cell].powerDbm);
    }
    return Db(gains.best[serving]) + m_cells[serving].powerDbm - Db(others);
}

void LinkBudget::Publish(Registry& registry) {
    const auto numUes = static_cast<std::int64_t>(m_ues.size()), numCells = static_cast<std::int64_t>(m_cells.size());
    const auto perCell = [this, numUes, numCells](auto value) {
        return [this, numUes, numCells, value] {
            Array<double> array{{numUes, numCells}, {}};
            for (std::uint32_t ue = 0; ue < m_ues.size(); ++ue) {
                const auto& gains = GainsNow(ue).best;
                for (std::size_t cell = 0; cell < gains.size(); ++cell) {
                    array.values.push_back(Db(gains[cell]) + value(cell));
                }
            }
            return array;
        };
    };
    const std::vector<Axis> each{{"ue", numUes}, {"cell", numCells}};
    registry.Publish<Array<double>>(
        "rsrp", "dBm", "reference signal received power of each cell: of one subcarrier, from its first port",
        perCell([this](std::size_t cell) { return m_cells[cell].powerDbm - Db(m_subcarriers); }), each);
    registry.Publish<Array<double>>(
        "coupling_gain", "dB",
        "from the first port of each cell to the mean over the UE's antennas; the coupling loss is its negative",
        perCell([](std::size_t) { return 0.0; }), each);
    registry.Publish<std::vector<std::uint32_t>>("serving_cell", "", "the cell that each UE is attached to",
                                                 [this] {
                                                     std::vector<std::uint32_t> cells;
                                                     for (std::uint32_t ue = 0; ue < m_ues.size(); ++ue) {
                                                         cells.push_back(ServingCell(ue));
                                                     }
                                                     return cells;
                                                 },
                                                 {{"ue", numUes}});
    for (const bool noise : {true, false}) {
        registry.Publish<std::vector<double>>(
            noise ? "geometry" : "sir", "dB",
            noise ? "received power of the serving cell over that of all others and noise"
                  : "received power of the serving cell over that of all others",
            [this, noise] {
                std::vector<double> values;
                for (std::uint32_t ue = 0; ue < m_ues.size(); ++ue) {
                    values.push_back(SinrDb(ue, noise));
                }
                return values;
            },
            {{"ue", numUes}});
    }
}

} // namespace edgelam
