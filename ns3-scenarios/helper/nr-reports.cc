// SPDX-License-Identifier: GPL-2.0-only
#include "nr-reports.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "ns3/callback.h"
#include "ns3/simulator.h"

#include "participant-time.h"

namespace edgelam {

namespace {

constexpr double smoothing_s = 0.1; ///< of the published throughput

/// [direction, ue] of what `get(uplink, ue)` gives.
template<class T, class F>
Array<T> EachDirection(std::uint32_t numUes, F get) {
    Array<T> array{{2, numUes}, {}};
    for (const bool uplink : {false, true}) {
        for (std::uint32_t ue = 0; ue < numUes; ++ue) {
            array.values.push_back(get(uplink, ue));
        }
    }
    return array;
}

/// Downlink and uplink of a control's value [direction, ue].
template<class T>
std::array<std::vector<T>, 2> Directions(const Array<T>& array) {
    const auto middle = array.values.begin() + static_cast<std::ptrdiff_t>(array.values.size() / 2);
    return {std::vector<T>(array.values.begin(), middle), std::vector<T>(middle, array.values.end())};
}

NrBearerCounts CountsOf(const nr::Bearer::Counters& c) {
    return {c.sentPackets, c.droppedPackets, c.deliveredPackets, c.deliveredBytes, c.lostPackets, c.retransmittedPdus};
}

} // namespace

NrReports::NrReports(const NrHelper& helper, NrCells cells, Registry& registry)
    : m_helper(helper), m_cells(std::move(cells)), m_pairs(m_cells, helper.Csi().pairs), m_traces(m_cells, registry) {
    nr::TransportBlockRecord none{};
    none.time_ns = -1;
    none.sinr_db = none.bler = std::nanf("");
    for (std::size_t direction = 0; direction < num_directions; ++direction) {
        m_last[direction].assign(m_cells.NumUes(), none);
        for (std::uint32_t ue = 0; ue < m_cells.NumUes(); ++ue) {
            m_last[direction][ue].ue = ue;
            m_last[direction][ue].uplink = static_cast<std::uint8_t>(direction);
        }
        m_counts[direction].assign(m_cells.NumUes(), {});
        m_prbSlots[direction].assign(m_cells.NumUes(), 0);
        m_throughput[direction].assign(m_cells.NumUes(), {});
    }
    for (const auto& cell : m_cells.All()) {
        cell->TraceConnectWithoutContext("TransportBlock", ns3::MakeCallback(&NrReports::Record, this));
    }
    PublishLinks(registry);
    PublishTraffic(registry);
    AddControls(registry);
    AddPrecoding(registry);
    AddQuality(registry);
    if (m_cells.Front().HasAnalogBeams()) {
        m_analogBeams.emplace(helper, m_cells, registry, [this](std::uint64_t slot) { m_controlSlot = slot; });
    }
}

void NrReports::Record(const nr::TransportBlockRecord& record) {
    m_last[record.uplink][record.ue] = record;
    m_last[record.uplink][record.ue].time_ns = ParticipantNs(record.time_ns);
    if (record.group < 0) { // what a multicast group shares is nobody's own
        m_prbSlots[record.uplink][record.ue] += record.prbs;
    }
    NrBlockCounts& counts = m_counts[record.uplink][record.ue];
    if (record.attempt == 1) {
        ++counts.blocks;
        counts.first_errors += record.received == 0;
    } else {
        ++counts.retransmissions;
    }
    if (record.received != 0) {
        counts.decoded_bits += record.bits;
        Throughput& throughput = m_throughput[record.uplink][record.ue];
        throughput = {throughput.At(record.time_ns) + record.bits / smoothing_s, record.time_ns};
    }
}

double NrReports::Throughput::At(std::int64_t timeNs) const {
    return bps * std::exp(-1e-9 * static_cast<double>(std::max<std::int64_t>(timeNs - sinceNs, 0)) / smoothing_s);
}

void NrReports::PublishLinks(Registry& registry) {
    const auto numUes = m_cells.NumUes();
    registry.Publish<std::vector<LinkState>>(
        "ue_link", "", "distance, line of sight, path loss, shadowing and large-scale parameters of each UE's link",
        [this] {
            std::vector<LinkState> states;
            for (std::uint32_t ue = 0; ue < m_cells.NumUes(); ++ue) {
                states.push_back(m_cells.GetLink(ue)->GetState());
            }
            return states;
        },
        {{"ue", numUes}});
}

void NrReports::PublishTraffic(Registry& registry) {
    const auto numUes = m_cells.NumUes();
    const std::vector<Axis> each{{"direction", 2}, {"ue", numUes}};
    registry.Publish<Array<NrCellInfo>>(
        "cell", "", "carrier and slots of the cell",
        [this] {
            Array<NrCellInfo> infos;
            for (const auto& cell : m_cells.All()) {
                const auto& numerology = cell->GetNumerology();
                infos.values.push_back({m_helper.CarrierHz(), m_helper.BandwidthHz(),
                                        1e-9 * static_cast<double>(numerology.MeanSlotNs()), numerology.Mu(),
                                        cell->NumPrbs(), cell->NumGroups(), cell->PrbsPerGroup()});
            }
            if (m_cells.AreNetwork()) {
                infos.shape.push_back(static_cast<std::int64_t>(infos.values.size()));
            }
            return infos;
        },
        m_cells.WithCells({}, 0));
    registry.Publish<Array<nr::TransportBlockRecord>>(
        "ue_last_block", "",
        "newest transmission, downlink and uplink: MCS, layers, SINR, ...; attempt is 0 before the first",
        [this, numUes] {
            return EachDirection<nr::TransportBlockRecord>(numUes,
                                                           [this](bool uplink, auto ue) { return m_last[uplink][ue]; });
        },
        each);
    registry.Publish<Array<NrBlockCounts>>(
        "ue_block_counts", "", "transport blocks so far, downlink and uplink",
        [this, numUes] {
            return EachDirection<NrBlockCounts>(numUes, [this](bool uplink, auto ue) { return m_counts[uplink][ue]; });
        },
        each);
    registry.Publish<Array<std::uint64_t>>(
        "ue_prb_slots", "", "resource blocks times slots so far of its own bearer, downlink and uplink",
        [this, numUes] {
            return EachDirection<std::uint64_t>(numUes,
                                                [this](bool uplink, auto ue) { return m_prbSlots[uplink][ue]; });
        },
        each);
    registry.Publish<Array<double>>(
        "ue_throughput_bps", "bit/s",
        "throughput of decoded transport blocks, downlink and uplink, smoothed over 0.1 s",
        [this, numUes] {
            return EachDirection<double>(numUes, [this](bool uplink, auto ue) {
                return m_throughput[uplink][ue].At(ns3::Simulator::Now().GetNanoSeconds());
            });
        },
        each);
    const auto direction = [](bool uplink) { return uplink ? Direction::Uplink : Direction::Downlink; };
    const auto bearers = [this, direction](bool uplink, std::uint32_t ue) -> const nr::Bearers& {
        return m_cells.GetBearers(ue, direction(uplink));
    };
    registry.Publish<Array<std::uint64_t>>(
        "ue_backlog_bytes", "byte", "bytes that wait in RLC, downlink and uplink",
        [numUes, bearers] {
            return EachDirection<std::uint64_t>(
                numUes, [&](bool uplink, auto ue) { return bearers(uplink, ue).BacklogBytes(); });
        },
        each);
    registry.Publish<Array<NrBearerCounts>>(
        "ue_bearer_counts", "", "packets so far, downlink and uplink",
        [numUes, bearers] {
            return EachDirection<NrBearerCounts>(
                numUes, [&](bool uplink, auto ue) { return CountsOf(bearers(uplink, ue).counters()); });
        },
        each);
    registry.Publish<Array<double>>(
        "ue_radio_j", "J", "energy of the radio so far, downlink (with listening and sleeping) and uplink",
        [this, numUes, direction] {
            return EachDirection<double>(numUes,
                                         [&](bool uplink, auto ue) { return m_cells.UeJoules(ue, direction(uplink)); });
        },
        each);
    registry.Publish<double>("ue_radio_peak_w", "W", "the most that the radio of a UE takes in a slot", [this] {
        double peak = 0;
        for (const auto& cell : m_cells.All()) {
            peak = std::max(peak, cell->UePeakW());
        }
        return peak;
    });
    std::vector<Axis> ofGnbs{{"direction", 2}};
    if (m_cells.AreNetwork()) {
        ofGnbs.push_back({"gnb", m_cells.GnbJoules().shape.at(1)});
    }
    registry.Publish<Array<double>>(
        "gnb_radio_j", "J", "energy of the gNB so far, downlink (with sleeping) and uplink",
        [this] { return m_cells.GnbJoules(); }, ofGnbs);
    registry.Publish<Array<std::uint8_t>>(
        "ue_radio_link", "", "radio link as last measured: 0 connected, 1 out of sync, 2 failed",
        [this, numUes] {
            Array<std::uint8_t> states{{numUes}, {}};
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                const auto cell = m_cells.ServingCell(ue);
                states.values.push_back(static_cast<std::uint8_t>(cell ? m_cells.All()[*cell]->GetRadioLink(ue)
                                                                       : nr::RadioLink::State::Failed));
            }
            return states;
        },
        {{"ue", numUes}});
    registry.Publish<std::uint64_t>("control_slot", "",
                                    "first slot for which the newest prb_share, prb_least, prb_cap or precoder holds",
                                    [this] { return m_controlSlot; });
}

void NrReports::AddQuality(Registry& registry) {
    registry.Control<Array<std::uint32_t>>(
        "cell_prb_cap", "",
        "greatest number of resource blocks of the cell in a slot, downlink and uplink, with retransmissions; as many "
        "as the band has: no cap",
        [this](const Array<std::uint32_t>& caps) {
            return SetCells([&](std::uint32_t cell) {
                return m_cells.All()[cell]->CellCaps(caps.values.at(cell), caps.values.at(m_cells.All().size() + cell));
            });
        },
        m_cells.WithCells({{"direction", 2}}, 1));
    if (m_cells.Front().NumSlices() > 0) {
        SliceOfUes();
        registry.Publish<std::vector<std::int32_t>>("ue_slice", "", "slice of each UE; -1: none",
                                                    [this] { return SliceOfUes(); }, {{"ue", m_cells.NumUes()}});
        ControlSlices(registry, "slice_share",
                      "share of the band of each slice, downlink and uplink; the sum is at most 1",
                      &nr::Cell::SliceShares);
        ControlSlices(registry, "slice_prb_cap",
                      "greatest number of resource blocks of each slice in a slot, downlink and uplink, with "
                      "retransmissions; as many as the band has: no cap",
                      &nr::Cell::SliceCaps);
    }
    if (m_helper.Quality().IsDefault()) {
        return;
    }
    const auto numUes = m_cells.NumUes();
    const auto numBearers = static_cast<std::uint32_t>(m_helper.Quality().bearers.size());
    const std::vector<Axis> each{{"direction", 2}, {"ue", numUes}, {"bearer", numBearers}};
    const auto ofEach = [this, numUes, numBearers]<class T>(auto get) {
        Array<T> array{{2, numUes, numBearers}, {}};
        for (const Direction direction : {Direction::Downlink, Direction::Uplink}) {
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                for (unsigned i = 0; i < numBearers; ++i) {
                    array.values.push_back(get(m_cells.GetBearers(ue, direction)[i]));
                }
            }
        }
        return array;
    };
    registry.Publish<Array<std::uint64_t>>(
        "bearer_backlog_bytes", "byte", "bytes that wait in RLC of each bearer, downlink and uplink",
        [ofEach] {
            return ofEach.template operator()<std::uint64_t>([](const nr::Bearer& at) { return at.BacklogBytes(); });
        },
        each);
    registry.Publish<Array<NrBearerCounts>>(
        "bearer_counts", "", "packets of each bearer so far, downlink and uplink",
        [ofEach] {
            return ofEach.template operator()<NrBearerCounts>(
                [](const nr::Bearer& at) { return CountsOf(at.counters()); });
        },
        each);
    registry.Control<Array<double>>(
        "guaranteed_bps", "bit/s", "guaranteed rate of each bearer, downlink and uplink; 0 with 5QIs that have none",
        [this](const Array<double>& bps) {
            return SetSlot([&] {
                m_cells.SetGuaranteed(bps.values);
                return m_cells.Front().NextSlot();
            });
        },
        each);
}

std::string NrReports::SetSlot(const std::function<std::uint64_t()>& apply) {
    try {
        m_controlSlot = apply();
    } catch (const std::invalid_argument& refusal) {
        return refusal.what();
    }
    return {};
}

std::string NrReports::SetCells(const std::function<nr::Cell::Change(std::uint32_t)>& prepare) {
    return SetSlot([&] { return m_cells.Change(prepare); });
}

std::vector<std::int32_t> NrReports::SliceOfUes() const {
    auto sliceOf = m_cells.Front().SliceOfUes();
    if (sliceOf.size() > m_cells.NumUes()) { // the cells of a network do not know
        throw std::invalid_argument("slices: there is no UE " + std::to_string(sliceOf.size() - 1) +
                                    "; legal are the UEs of the network, 0 to " + std::to_string(m_cells.NumUes() - 1));
    }
    sliceOf.resize(m_cells.NumUes(), -1);
    return sliceOf;
}

template<class T>
void NrReports::ControlUes(Registry& registry, const std::string& name, const std::string& help,
                           nr::Cell::Change (nr::Cell::*change)(const std::vector<T>&, const std::vector<T>&)) {
    registry.Control<Array<T>>(name, "", help,
                               [this, change](const Array<T>& values) {
                                   const auto [down, up] = Directions(values);
                                   return SetCells(
                                       [&](std::uint32_t cell) { return ((*m_cells.All()[cell]).*change)(down, up); });
                               },
                               {{"direction", 2}, {"ue", m_cells.NumUes()}});
}

template<class T>
void NrReports::ControlSlices(Registry& registry, const std::string& name, const std::string& help,
                              nr::Cell::Change (nr::Cell::*change)(const std::vector<T>&, const std::vector<T>&)) {
    const std::uint32_t numSlices = m_cells.Front().NumSlices();
    registry.Control<Array<T>>(
        name, "", help,
        [this, change, numSlices](const Array<T>& values) {
            const auto [down, up] = Directions(values);
            const auto of = [&](const std::vector<T>& both, std::uint32_t cell) { // [cell, slice]
                const auto begin = both.begin() + static_cast<std::ptrdiff_t>(cell) * numSlices;
                return std::vector<T>(begin, begin + numSlices);
            };
            return SetCells(
                [&](std::uint32_t cell) { return ((*m_cells.All()[cell]).*change)(of(down, cell), of(up, cell)); });
        },
        m_cells.WithCells({{"direction", 2}, {"slice", numSlices}}, 1));
}

void NrReports::AddControls(Registry& registry) {
    ControlUes(registry, "prb_share",
               "share of the band of each UE, downlink and uplink; the sum is at most 1 in each direction",
               &nr::Cell::Shares);
    ControlUes(registry, "prb_least",
               "least number of resource blocks of each UE, downlink and uplink, while it has enough to send",
               &nr::Cell::LeastPrbs);
    ControlUes(registry, "prb_cap",
               "greatest number of resource blocks of each UE in a slot, downlink and uplink, with retransmissions; as "
               "many as the band has: no cap; 0: only control and blocks that have begun",
               &nr::Cell::PrbCaps);
}

} // namespace edgelam
