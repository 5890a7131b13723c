// SPDX-License-Identifier: GPL-2.0-only
#include "nr-reports.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

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

NrReports::NrReports(const NrHelper& helper, Registry& registry)
    : m_helper(helper), m_traces(helper.GetCell(), registry) {
    nr::TransportBlockRecord none{};
    none.time_ns = -1;
    none.sinr_db = none.bler = std::nanf("");
    for (std::size_t direction = 0; direction < num_directions; ++direction) {
        m_last[direction].assign(helper.NumUes(), none);
        for (std::uint32_t ue = 0; ue < helper.NumUes(); ++ue) {
            m_last[direction][ue].ue = ue;
            m_last[direction][ue].uplink = static_cast<std::uint8_t>(direction);
        }
        m_counts[direction].assign(helper.NumUes(), {});
        m_prbSlots[direction].assign(helper.NumUes(), 0);
        m_throughput[direction].assign(helper.NumUes(), {});
    }
    helper.GetCell()->TraceConnectWithoutContext("TransportBlock", ns3::MakeCallback(&NrReports::Record, this));
    PublishLinks(registry);
    PublishTraffic(registry);
    AddControls(registry);
    AddPrecoding(registry);
    AddQuality(registry);
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
    const auto numUes = m_helper.NumUes();
    registry.Publish<std::vector<LinkState>>(
        "ue_link", "", "distance, line of sight, path loss, shadowing and large-scale parameters of each UE's link",
        [this] {
            std::vector<LinkState> states;
            for (std::uint32_t ue = 0; ue < m_helper.NumUes(); ++ue) {
                states.push_back(m_helper.GetLink(ue)->GetState());
            }
            return states;
        },
        {{"ue", numUes}});
}

void NrReports::PublishTraffic(Registry& registry) {
    const auto numUes = m_helper.NumUes();
    const std::vector<Axis> each{{"direction", 2}, {"ue", numUes}};
    registry.Publish<NrCellInfo>("cell", "", "carrier and slots of the cell", [this] {
        const auto& numerology = m_helper.GetCell()->GetNumerology();
        return NrCellInfo{m_helper.CarrierHz(),
                          m_helper.BandwidthHz(),
                          1e-9 * static_cast<double>(numerology.MeanSlotNs()),
                          numerology.Mu(),
                          m_helper.GetCell()->NumPrbs(),
                          m_helper.GetCell()->NumGroups(),
                          m_helper.GetCell()->PrbsPerGroup()};
    });
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
        return m_helper.GetCell()->GetBearers(ue, direction(uplink));
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
            return EachDirection<double>(
                numUes, [&](bool uplink, auto ue) { return m_helper.GetCell()->UeJoules(ue, direction(uplink)); });
        },
        each);
    registry.Publish<Array<double>>("gnb_radio_j", "J", "energy of the gNB so far, downlink (with sleeping) and uplink",
                                    [this, direction] {
                                        Array<double> joules{{2}, {}};
                                        for (const bool uplink : {false, true}) {
                                            joules.values.push_back(m_helper.GetCell()->GnbJoules(direction(uplink)));
                                        }
                                        return joules;
                                    },
                                    {{"direction", 2}});
    registry.Publish<Array<std::uint8_t>>(
        "ue_radio_link", "", "radio link as last measured: 0 connected, 1 out of sync, 2 failed",
        [this, numUes] {
            Array<std::uint8_t> states{{numUes}, {}};
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                states.values.push_back(static_cast<std::uint8_t>(m_helper.GetCell()->GetRadioLink(ue)));
            }
            return states;
        },
        {{"ue", numUes}});
    registry.Publish<std::uint64_t>("control_slot", "",
                                    "first slot for which the newest prb_share, prb_least, prb_cap or precoder holds",
                                    [this] { return m_controlSlot; });
}

void NrReports::AddQuality(Registry& registry) {
    const auto& cell = m_helper.GetCell();
    registry.Control<Array<std::uint32_t>>(
        "cell_prb_cap", "",
        "greatest number of resource blocks of the cell in a slot, downlink and uplink, with retransmissions; as many "
        "as the band has: no cap",
        [this](const Array<std::uint32_t>& caps) {
            return SetSlot([&] { return m_helper.GetCell()->SetCellCaps(caps.values.at(0), caps.values.at(1)); });
        },
        {{"direction", 2}});
    if (const auto sliceOf = cell->SliceOfUes(); cell->NumSlices() > 0) {
        const std::vector<Axis> each{{"direction", 2}, {"slice", cell->NumSlices()}};
        registry.Publish<std::vector<std::int32_t>>("ue_slice", "", "slice of each UE; -1: none",
                                                    [this] { return m_helper.GetCell()->SliceOfUes(); },
                                                    {{"ue", m_helper.NumUes()}});
        registry.Control<Array<double>>(
            "slice_share", "", "share of the band of each slice, downlink and uplink; the sum is at most 1",
            [this](const Array<double>& shares) {
                return SetSlot([&] {
                    const auto [down, up] = Directions(shares);
                    return m_helper.GetCell()->SetSliceShares(down, up);
                });
            },
            each);
        registry.Control<Array<std::uint32_t>>(
            "slice_prb_cap", "",
            "greatest number of resource blocks of each slice in a slot, downlink and uplink, with retransmissions; as "
            "many as the band has: no cap",
            [this](const Array<std::uint32_t>& caps) {
                return SetSlot([&] {
                    const auto [down, up] = Directions(caps);
                    return m_helper.GetCell()->SetSliceCaps(down, up);
                });
            },
            each);
    }
    if (m_helper.Quality().IsDefault()) {
        return;
    }
    const auto numUes = m_helper.NumUes();
    const auto numBearers = static_cast<std::uint32_t>(m_helper.Quality().bearers.size());
    const std::vector<Axis> each{{"direction", 2}, {"ue", numUes}, {"bearer", numBearers}};
    const auto ofEach = [this, numUes, numBearers]<class T>(auto get) {
        Array<T> array{{2, numUes, numBearers}, {}};
        for (const Direction direction : {Direction::Downlink, Direction::Uplink}) {
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                for (unsigned i = 0; i < numBearers; ++i) {
                    array.values.push_back(get(m_helper.GetCell()->GetBearers(ue, direction)[i]));
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
                m_helper.GetCell()->SetGuaranteed(bps.values);
                return m_helper.GetCell()->NextSlot();
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

void NrReports::AddControls(Registry& registry) {
    const std::vector<Axis> each{{"direction", 2}, {"ue", m_helper.NumUes()}};
    registry.Control<Array<double>>(
        "prb_share", "", "share of the band of each UE, downlink and uplink; the sum is at most 1 in each direction",
        [this](const Array<double>& shares) {
            return SetSlot([&] {
                const auto [down, up] = Directions(shares);
                return m_helper.GetCell()->SetShares(down, up);
            });
        },
        each);
    registry.Control<Array<std::uint32_t>>(
        "prb_least", "", "least number of resource blocks of each UE, downlink and uplink, while it has enough to send",
        [this](const Array<std::uint32_t>& least) {
            return SetSlot([&] {
                const auto [down, up] = Directions(least);
                return m_helper.GetCell()->SetLeastPrbs(down, up);
            });
        },
        each);
    registry.Control<Array<std::uint32_t>>(
        "prb_cap", "",
        "greatest number of resource blocks of each UE in a slot, downlink and uplink, with retransmissions; as many "
        "as the band has: no cap; 0: only control and blocks that have begun",
        [this](const Array<std::uint32_t>& caps) {
            return SetSlot([&] {
                const auto [down, up] = Directions(caps);
                return m_helper.GetCell()->SetPrbCaps(down, up);
            });
        },
        each);
}

} // namespace edgelam
