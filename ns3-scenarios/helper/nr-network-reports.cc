// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Observables and controls of a network of NR cells with handover.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "nr-network-helper.h"
#include "participant-time.h"

namespace edgelam {

namespace {

std::int64_t Participants(std::int64_t ns) {
    return ns < 0 ? ns : ParticipantNs(ns);
}

nr::HandoverRecord InParticipantTime(nr::HandoverRecord record) {
    for (auto* time : {&record.time_ns, &record.started_ns, &record.left_ns, &record.access_ns}) {
        *time = Participants(*time);
    }
    return record;
}

} // namespace

void NrNetworkHelper::PublishCells(Registry& registry) {
    const std::uint32_t numUes = NumUes(), numCells = m_network->NumCells();
    registry.Publish<std::vector<std::int32_t>>("serving_cell", "", "the cell of each UE; -1: none",
                                                [this] {
                                                    std::vector<std::int32_t> cells;
                                                    for (std::uint32_t ue = 0; ue < NumUes(); ++ue) {
                                                        const auto cell = m_network->ServingCell(ue);
                                                        cells.push_back(cell ? static_cast<std::int32_t>(*cell) : -1);
                                                    }
                                                    return cells;
                                                },
                                                {{"ue", numUes}});
    registry.Publish<std::vector<std::uint32_t>>("gnb_of_cell", "", "the gNB of each cell", [this] { return m_gnbOf; },
                                                 {{"cell", numCells}});
    const std::vector<Axis> ofCells{{"ue", numUes}, {"cell", numCells}};
    registry.Publish<Array<double>>(
        "rsrp_dbm", "dBm", "RSRP of each cell at each UE, after layer 3 filtering; nan: not measured yet",
        [this, numUes, numCells] {
            Array<double> array{{numUes, numCells}, {}};
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                const auto& dbm = m_ues->handover->GetMeasurements().FilteredDbm(ue);
                array.values.insert(array.values.end(), dbm.begin(), dbm.end());
            }
            return array;
        },
        ofCells);
    registry.Publish<Array<double>>(
        "coupling_gain", "dB",
        "from the first port of each cell to the mean over the UE's antennas, as --rsrp takes it; where the UE was "
        "looked at last, within a metre",
        [this, numUes, numCells] {
            Array<double> array{{numUes, numCells}, {}};
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                for (std::uint32_t cell = 0; cell < numCells; ++cell) {
                    array.values.push_back(10 * std::log10(m_network->CouplingGain(cell, ue)));
                }
            }
            return array;
        },
        ofCells);
    registry.Publish<Array<double>>(
        "cell_sinr_db", "dB",
        "SINR of each cell's reference signals at each UE, if all cells of its carrier send on the whole band",
        [this, numUes, numCells] {
            Array<double> array{{numUes, numCells}, {}};
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                const auto& dbm = m_ues->handover->GetMeasurements().FilteredDbm(ue);
                for (std::uint32_t cell = 0; cell < numCells; ++cell) {
                    array.values.push_back(m_network->SinrDb(cell, dbm));
                }
            }
            return array;
        },
        ofCells);
}

void NrNetworkHelper::PublishHandovers(Registry& registry) {
    const std::uint32_t numUes = NumUes();
    const std::vector<Axis> each{{"ue", numUes}};
    nr::Handover& handover = *m_ues->handover;
    const auto ofUes = [this]<class T>(auto get, T) {
        return [this, get] {
            std::vector<T> values;
            for (std::uint32_t ue = 0; ue < NumUes(); ++ue) {
                values.push_back(get(ue));
            }
            return values;
        };
    };
    registry.Publish<std::vector<std::uint8_t>>(
        "handover_phase", "",
        "0 connected, 1 handover decided, 2 between cells, 3 in the new cell, 4 searching a cell, 5 re-establishing",
        ofUes([&handover](std::uint32_t ue) { return static_cast<std::uint8_t>(handover.GetPhase(ue)); },
              std::uint8_t{}),
        each);
    registry.Publish<std::vector<nr::HandoverCounts>>(
        "handover_counts", "", "handovers, failures and re-establishments of each UE so far",
        ofUes([&handover](std::uint32_t ue) { return handover.GetCounts(ue); }, nr::HandoverCounts{}), each);
    registry.Publish<std::vector<nr::HandoverRecord>>(
        "handover_last", "", "the newest event of each UE's mobility; time_ns -1: none yet",
        ofUes([&handover](std::uint32_t ue) { return InParticipantTime(handover.GetLast(ue)); }, nr::HandoverRecord{}),
        each);
    registry.PublishTrace<nr::HandoverRecord>(
        "trace_handovers", "every handover, failure and re-establishment",
        [this] { return std::exchange(m_handovers, {}); },
        [this](bool on) {
            m_handovers.clear();
            m_traces = on;
        });
    registry.Publish<std::vector<nr::HandoverRecord>>("handovers", "",
                                                      "every handover, failure and re-establishment so far",
                                                      [this] { return m_allHandovers; }, {{"record", -1}});
    handover.SetTrace([this](const nr::HandoverRecord& record) {
        m_allHandovers.push_back(InParticipantTime(record));
        if (m_traces) {
            m_handovers.push_back(m_allHandovers.back());
        }
    });
    registry.PublishTrace<nr::MeasurementRecord>(
        "trace_measurements", "every measurement of every cell by every UE: RSRP, filtered RSRP, event A3, reports",
        [this] { return std::exchange(m_measurements, {}); },
        [this, &handover](bool on) {
            m_measurements.clear();
            handover.GetMeasurements().SetTrace(on ? std::function([this](const nr::MeasurementRecord& record) {
                m_measurements.push_back(record);
                m_measurements.back().time_ns = ParticipantNs(record.time_ns);
            })
                                                   : std::function<void(const nr::MeasurementRecord&)>());
        });
}

/// One way from a UE to an edge server: propagation on the wires, and the number of links, the air included.
double NrNetworkHelper::EdgeDelayS(std::uint32_t ue, std::size_t edge, std::uint32_t& hops) const {
    const std::uint32_t home = m_ues->handover->GetPath().Home(ue);
    const std::int64_t at = m_edges[edge].gnb;
    const std::uint32_t n3 = at == static_cast<std::int64_t>(home) ? 0 : at < 0 ? 1 : 2;
    hops = 2 + n3;
    return n3 * m_radio.BackhaulDelayS() + m_links.edgeDelayS;
}

void NrNetworkHelper::PublishTiers(Registry& registry) {
    const auto numUes = NumUes();
    const auto numEdges = static_cast<std::uint32_t>(m_edges.size());
    const std::vector<Axis> each{{"ue", numUes}, {"edge", numEdges}};
    registry.Publish<Array<std::uint32_t>>(
        "edge_hops", "", "links between each UE and each edge server, the air included, over the UE's present gNB",
        [this, numUes, numEdges] {
            Array<std::uint32_t> array{{numUes, numEdges}, std::vector<std::uint32_t>(numUes * numEdges)};
            for (std::uint32_t i = 0; i < array.values.size(); ++i) {
                EdgeDelayS(i / numEdges, i % numEdges, array.values[i]);
            }
            return array;
        },
        each);
    registry.Publish<Array<double>>(
        "edge_round_trip_s", "s",
        "round trip between each UE's present gNB and each edge server: delays of links, without queues and the air",
        [this, numUes, numEdges] {
            Array<double> array{{numUes, numEdges}, {}};
            std::uint32_t hops = 0;
            for (std::uint32_t i = 0; i < numUes * numEdges; ++i) {
                array.values.push_back(2 * EdgeDelayS(i / numEdges, i % numEdges, hops));
            }
            return array;
        },
        each);
    registry.Publish<std::vector<std::int32_t>>(
        "nearest_edge", "", "the edge server with the shortest round trip to each UE, the first of several; -1: none",
        [this, numUes, numEdges] {
            std::vector<std::int32_t> nearest(numUes, -1);
            std::uint32_t hops = 0;
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                double least = INFINITY;
                for (std::uint32_t edge = 0; edge < numEdges; ++edge) {
                    if (const double delay = EdgeDelayS(ue, edge, hops); delay < least) {
                        least = delay;
                        nearest[ue] = static_cast<std::int32_t>(edge);
                    }
                }
            }
            return nearest;
        },
        {{"ue", numUes}});
}

/// Changes the settings of all pairs, or of none.
std::string NrNetworkHelper::SetPairs(const std::function<void(nr::EventA3Settings&, std::size_t)>& set) {
    nr::Measurements& measurements = m_ues->handover->GetMeasurements();
    const std::uint32_t numCells = m_network->NumCells();
    std::vector<nr::EventA3Settings> pairs;
    try {
        for (std::uint32_t i = 0; i < numCells * numCells; ++i) {
            pairs.push_back(measurements.Pair(i / numCells, i % numCells));
            set(pairs.back(), i);
            pairs.back().Check();
        }
    } catch (const std::invalid_argument& refusal) {
        return std::string(refusal.what()) + "; it is for serving cell " +
               std::to_string((pairs.size() - 1) / numCells) + " and cell " +
               std::to_string((pairs.size() - 1) % numCells);
    }
    for (std::uint32_t i = 0; i < pairs.size(); ++i) {
        measurements.SetPair(i / numCells, i % numCells, pairs[i]);
    }
    return {};
}

void NrNetworkHelper::AddControls(Registry& registry) {
    const auto numUes = NumUes(), numCells = m_network->NumCells();
    registry.Control<std::vector<std::int32_t>>(
        "handover", "", "for each UE the cell to which it is handed over now; -1: it stays",
        [this](const std::vector<std::int32_t>& targets) -> std::string {
            nr::Handover& handover = *m_ues->handover;
            for (std::uint32_t ue = 0; ue < targets.size(); ++ue) {
                if (targets[ue] < -1) {
                    return "cell " + std::to_string(targets[ue]) + " for UE " + std::to_string(ue) +
                           "; legal are 0 to " + std::to_string(m_network->NumCells() - 1) + ", and -1 to stay";
                }
                if (targets[ue] >= 0) {
                    if (std::string refusal = handover.Refusal(ue, static_cast<std::uint32_t>(targets[ue]));
                        !refusal.empty()) {
                        return refusal;
                    }
                }
            }
            for (std::uint32_t ue = 0; ue < targets.size(); ++ue) {
                if (targets[ue] >= 0) {
                    handover.Request(ue, static_cast<std::uint32_t>(targets[ue]));
                }
            }
            return {};
        },
        {{"ue", numUes}});
    const std::vector<Axis> pair{{"serving", numCells}, {"cell", numCells}};
    const auto offset = [&](const std::string& name, const std::string& help, double nr::EventA3Settings::* member) {
        registry.Control<Array<double>>(
            name, "dB", help,
            [this, member](const Array<double>& values) {
                return SetPairs(
                    [&](nr::EventA3Settings& settings, std::size_t i) { settings.*member = values.values[i]; });
            },
            pair);
    };
    offset("a3_offset_db", "Off of event A3 for each serving cell towards each cell, -15 to 15 dB",
           &nr::EventA3Settings::offDb);
    offset("a3_hysteresis_db", "Hys of event A3, 0 to 15 dB", &nr::EventA3Settings::hysteresisDb);
    offset("cell_offset_db", "Ocn of event A3, -24 to 24 dB", &nr::EventA3Settings::cellDb);
    registry.Control<Array<std::uint32_t>>(
        "time_to_trigger_ms", "ms", "time-to-trigger of event A3, one of TS 38.331 TimeToTrigger",
        [this](const Array<std::uint32_t>& values) {
            return SetPairs([&](nr::EventA3Settings& settings, std::size_t i) {
                settings.timeToTrigger = ns3::MilliSeconds(values.values[i]);
            });
        },
        pair);
}

} // namespace edgelam
