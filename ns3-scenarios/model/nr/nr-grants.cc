// SPDX-License-Identifier: GPL-2.0-only
#include "nr-grants.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrGrants");

namespace edgelam::nr {

namespace {

constexpr std::uint64_t header_bytes = 16; ///< room for the headers of two segments
constexpr double smoothing_s = 0.1;        ///< of the throughput that proportional fair looks at

} // namespace

Grants::Grants(const Carrier& carrier, Links& links, ns3::Ptr<ns3::UniformRandomVariable> random)
    : m_carrier(carrier), m_links(links),
      m_schedulers{Scheduler::Make(carrier.settings.scheduler), Scheduler::Make(carrier.settings.scheduler)},
      m_random(random), m_allocation(carrier.numGroups),
      m_selections{UserSelection::Make(carrier.settings.selection == "auto" ? links.GetBeamformer().DefaultSelection()
                                                                            : carrier.settings.selection),
                   UserSelection::Make(carrier.settings.uplinkSelection, Direction::Uplink)},
      m_elements(1 + carrier.MostSharedLayers()) {
    if (m_selections[0] && !links.GetBeamformer().WantsChannel()) {
        throw std::invalid_argument("NR cell: Selection '" + carrier.settings.selection + "' with Beams '" +
                                    carrier.settings.beams +
                                    "', which do not look at the other UEs; legal are zf, rzf, a class that wants the "
                                    "channel, or external with Selection external");
    }
}

void Grants::Begin(const ControlRoom& room, std::uint32_t groups) {
    m_room = room;
    m_allocation.resize(groups);
    m_candidates.clear();
    m_demands.clear();
    m_sharing = false;
}

/// A block to be sent again goes before a new one.
void Grants::Add(std::uint32_t order, Demand demand, std::uint64_t slot, unsigned symbols, std::uint64_t bytes,
                 unsigned priority, unsigned cces, unsigned feedback, const Guarantee& guarantee,
                 std::uint64_t signalling) {
    Sender& sender = *demand.sender;
    m_links.FillRates(sender.adaptation, symbols, 0, sender.bitsPerGroup);
    if (demand.uplink) {
        m_links.LimitRates(demand.number, symbols, bytes + header_bytes, sender.bitsPerGroup);
    }
    sender.expected.clear();
    sender.layers = demand.multicast ? 1 : sender.adaptation.quality.layers;
    m_symbols = symbols;
    Average(sender, slot, 0);
    demand.harq = static_cast<std::uint8_t>(sender.harq.Next());
    m_candidates.push_back({.ue = order,
                            .wantedBytes = bytes + header_bytes,
                            .fixedGroups = sender.harq.FixedGroups(),
                            .bitsPerGroup = sender.bitsPerGroup.data(),
                            .averageBps = sender.averageBps,
                            .multicast = demand.multicast,
                            .priority = static_cast<std::uint8_t>(priority),
                            .mostGroups = sender.adaptation.quality.mostGroups,
                            .guaranteedBytes = guarantee.bytes > 0 ? guarantee.bytes + header_bytes : 0,
                            .signallingBytes = signalling,
                            .level = static_cast<std::uint8_t>(guarantee.priority),
                            .cces = cces,
                            .feedback = feedback});
    m_demands.push_back(demand);
}

void Grants::KeepOneBeam(Direction direction, std::uint64_t forSlot, BeamTurns& turns,
                         const std::function<std::uint32_t(std::uint32_t ue)>& beamOf) {
    if (m_candidates.empty()) {
        return;
    }
    const std::uint32_t beam = turns.Choose(Request(direction, forSlot), *GetScheduler(direction), beamOf);
    std::erase_if(m_candidates, [&](const Candidate& each) { return beamOf(each.ue) != beam; });
    std::erase_if(m_demands, [&](const Demand& each) { return beamOf(each.number) != beam; });
}

std::vector<Demand>& Grants::Divide(Direction direction, std::uint64_t forSlot) {
    if (m_candidates.empty()) {
        return m_demands;
    }
    for (auto& users : m_allocation) {
        users.clear();
    }
    const SchedulingRequest request = Request(direction, forSlot);
    Scheduler& scheduler = *GetScheduler(direction);
    scheduler.Allocate(request, m_allocation);
    CheckAllocation(scheduler, request, m_allocation, m_granted);
    SendGrants();
    if (m_selections[static_cast<std::size_t>(direction)] && m_candidates.size() > 1) {
        Select(request, scheduler);
    }
    for (std::size_t c = 0; c < m_demands.size(); ++c) {
        if (m_granted[c].count > 0) {
            ProcessOf(c).groups.clear();
            ProcessOf(c).dmrsParts = 1;
        }
    }
    for (std::uint32_t g = 0; g < m_allocation.size(); ++g) {
        for (const auto c : m_allocation[g]) {
            ProcessOf(c).groups.push_back(g);
        }
    }
    m_sharing =
        std::any_of(m_allocation.begin(), m_allocation.end(), [](const auto& users) { return users.size() > 1; });
    if (direction == Direction::Downlink) {
        for (std::size_t c = 0; c < m_demands.size(); ++c) {
            m_sharing |= m_granted[c].count > 0 && !m_demands[c].multicast &&
                         m_links.GetBeamformer().FormsAlways(m_demands[c].number, LayersOf(c));
        }
    }
    if (m_sharing) {
        Plan(direction, forSlot);
    }
    std::size_t got = 0;
    for (std::size_t c = 0; c < m_granted.size(); ++c) {
        if (m_granted[c].count > 0) {
            NS_LOG_LOGIC("slot " << forSlot << (direction == Direction::Downlink ? " downlink " : " uplink ")
                                 << m_candidates[c].ue << ": " << m_granted[c].count << " groups for "
                                 << m_candidates[c].wantedBytes << " bytes");
            m_demands[got++] = m_demands[c];
        }
    }
    m_demands.resize(got);
    return m_demands;
}

void Grants::Select(const SchedulingRequest& request, const Scheduler& scheduler) {
    UserSelection& selection = *m_selections[static_cast<std::size_t>(request.direction)];
    const bool up = request.direction == Direction::Uplink;
    m_selectable.clear();
    m_layers.clear();
    m_snr.resize(up ? m_candidates.size() * m_carrier.numGroups : 0);
    for (std::size_t c = 0; c < m_candidates.size(); ++c) {
        const Demand& demand = m_demands[c];
        const unsigned layers = LayersOf(c);
        const bool may = !demand.multicast && scheduler.MayShare(request, demand.number);
        m_selectable.push_back({.ue = demand.number,
                                .state = may ? &m_links.Of(demand.number).State() : nullptr,
                                .layers = layers,
                                .importance = scheduler.Importance(m_candidates[c])});
        if (up) {
            const auto snr = std::span(m_snr).subspan(c * m_carrier.numGroups, m_carrier.numGroups);
            for (std::uint32_t g = 0; g < m_carrier.numGroups; ++g) {
                snr[g] = m_links.UplinkSnr(demand.number, (2U << g) - 1);
            }
            m_selectable.back().snr = snr;
        }
        m_layers.push_back(layers);
    }
    for (unsigned layers = 1; layers < m_elements.size(); ++layers) {
        m_elements[layers] = m_carrier.DataElements(1, m_symbols, m_carrier.DmrsParts(layers));
    }
    SchedulingRequest left = request;
    left.room = m_room;
    selection.Select({left, m_selectable, m_elements, m_carrier.efficiency.back(), m_links.GetBeamformer()},
                     m_allocation, m_layers);
    const auto before = m_granted;
    CheckAllocation(selection, request, m_allocation, m_granted);
    for (std::size_t c = 0; c < m_granted.size(); ++c) {
        if (m_granted[c].count > 0 && before[c].count == 0) {
            m_room.Take(m_candidates[c]);
        }
        if (!m_demands[c].multicast) {
            m_demands[c].sender->layers = m_layers[c];
        }
    }
}

void Grants::Predict(Direction direction, const Demand& demand) {
    Sender& sender = *demand.sender;
    if (direction == Direction::Downlink) {
        m_planned.Predict(demand.number, m_links.GetBeamformer(), sender.adaptation.quality.sinrDb, sender.expected);
    } else if (m_carrier.ReceivesTogether()) {
        m_planned.PredictUplink(
            demand.number, [this](std::uint32_t ue, std::uint32_t groups) { return m_links.UplinkSnr(ue, groups); },
            sender.expected);
    } // otherwise the outer loop of the UE learns what others cost
}

/// Without somebody who would be out of range, the others get the power; so they go one at a time, the worst first.
void Grants::Plan(Direction direction, std::uint64_t forSlot) {
    for (std::size_t worst = 0; worst < m_demands.size();) {
        worst = m_demands.size();
        double least = m_carrier.outOfRange;
        m_planned.Clear();
        for (std::size_t c = 0; c < m_demands.size(); ++c) {
            if (m_granted[c].count > 0 && !m_demands[c].multicast) {
                const unsigned layers = LayersOf(c);
                m_planned.Add(forSlot, m_links.Of(m_demands[c].number), ProcessOf(c).groups, layers,
                              direction == Direction::Downlink &&
                                  m_links.GetBeamformer().FormsAlways(m_demands[c].number, layers));
                ProcessOf(c).dmrsParts = 1;
                m_demands[c].sender->expected.clear();
            }
        }
        for (std::size_t c = 0; c < m_demands.size(); ++c) {
            const std::uint32_t ue = m_demands[c].number;
            if (m_granted[c].count == 0 || m_demands[c].multicast || !m_planned.Shares(forSlot, ue)) {
                continue;
            }
            const unsigned layers = m_planned.LayersBeside(ue);
            if (layers > m_carrier.MostSharedLayers() ||
                m_carrier.DataElements(1, m_symbols, m_carrier.DmrsParts(layers)) == 0) {
                throw std::logic_error(
                    "NR cell: " + std::to_string(layers) + " layers on a resource block group with UE " +
                    std::to_string(ue) + " in a slot with " + std::to_string(m_symbols) +
                    " symbols for data; DmrsType " + std::to_string(m_carrier.settings.dmrsType) + " allows " +
                    std::to_string(m_carrier.MostSharedLayers()) + ", of which twice DmrsPerPrb must leave something");
            }
            ProcessOf(c).dmrsParts = static_cast<std::uint8_t>(m_carrier.DmrsParts(layers));
            if (m_candidates[c].fixedGroups == 0) {
                Predict(direction, m_demands[c]);
                const auto& expected = m_demands[c].sender->expected;
                const double sinr = expected.empty() ? least : EffectiveSinr(expected, m_carrier.beta[0]);
                if (sinr < least) {
                    least = sinr;
                    worst = c;
                }
            }
        }
        if (worst < m_demands.size()) {
            NS_LOG_LOGIC("slot " << forSlot << ": UE " << m_demands[worst].number
                                 << " would be out of range beside the others");
            m_granted[worst].count = 0;
        }
    }
}

/// A scheduler that looks at the room has granted no more; of one that does not, each candidate is first in turn.
void Grants::SendGrants() {
    const std::size_t count = m_candidates.size();
    ++m_firstGrant;
    bool all = true;
    for (std::size_t k = 0; k < count; ++k) {
        const std::size_t c = (m_firstGrant + k) % count;
        if (m_granted[c].count == 0) {
            continue;
        }
        if (m_room.Fits(m_candidates[c])) {
            m_room.Take(m_candidates[c]);
        } else {
            NS_LOG_LOGIC("the grant of " << m_candidates[c].ue << " waits: control channels are full");
            m_granted[c].count = 0;
            all = false;
        }
    }
    if (!all) {
        for (auto& users : m_allocation) {
            std::erase_if(users, [&](std::uint32_t c) { return m_granted[c].count == 0; });
        }
    }
}

void Grants::Share(Direction direction, std::uint64_t forSlot) {
    if (!m_sharing) {
        return;
    }
    for (const auto& each : m_demands) {
        if (!each.multicast) {
            m_links.Share(direction, forSlot, each.number, each.sender->harq[each.harq],
                          direction == Direction::Downlink ? &m_planned.Weights(each.number, m_links.GetBeamformer())
                                                           : nullptr);
        }
    }
}

void Grants::NewBlock(Sender& sender, unsigned harq, unsigned symbols, double offsetDb, unsigned limitedBits) {
    HarqProcess& process = sender.harq[harq];
    const unsigned layers = sender.layers;
    const unsigned elements = m_carrier.DataElements(m_carrier.PrbsOf(process.groups), symbols, process.dmrsParts);
    process.shares = !sender.expected.empty();
    const unsigned wanted = process.shares ? m_links.McsBeside(sender.adaptation, sender.expected)
                                           : m_links.McsFor(sender.adaptation, process.groups, offsetDb);
    unsigned mcs = wanted;
    process.bits = TransportBlockSize(elements, McsAt(m_carrier.mcsTable, mcs), layers);
    while (process.bits < least_block_bits && mcs + 1 < m_carrier.thresholdDb.size()) {
        process.bits = TransportBlockSize(elements, McsAt(m_carrier.mcsTable, ++mcs), layers);
    }
    process.mcs = static_cast<std::uint8_t>(mcs);
    process.lowest = mcs == 0 || mcs > wanted;
    process.layers = static_cast<std::uint8_t>(layers);
    process.blocks = Segment(process.bits, McsAt(m_carrier.mcsTable, mcs), limitedBits);
    process.reception.Begin(m_random->GetValue());
    sender.harq.Begin(harq);
}

bool Grants::TakeData(Sender& sender, unsigned harq, std::uint32_t room, std::uint64_t slot, bool admitted) {
    HarqProcess& process = sender.harq[harq];
    const std::uint32_t used = sender.bearers.Take(room, process.pdus, admitted);
    Charge(sender, harq, slot, 8.0 * used);
    if (used == 0 && process.statuses.empty()) {
        sender.harq.Release(harq);
        return false;
    }
    return true;
}

void Grants::Charge(Sender& sender, unsigned harq, std::uint64_t slot, double bits) const {
    sender.harq[harq].charge = bits;
    Average(sender, slot, bits);
}

bool Grants::SendAgain(Sender& sender, unsigned harq, std::uint64_t slot) const {
    if (!sender.harq.TakeRetransmission(harq)) {
        return false;
    }
    Average(sender, slot, sender.harq[harq].charge);
    return true;
}

void Grants::Average(Sender& sender, std::uint64_t slot, double bits) const {
    if (slot > sender.averagedSlot) {
        const double slotS = 1e-9 * static_cast<double>(m_carrier.numerology.MeanSlotNs());
        sender.averageBps *= std::exp(-static_cast<double>(slot - sender.averagedSlot) * slotS / smoothing_s);
        sender.averagedSlot = slot;
    }
    sender.averageBps += bits / smoothing_s;
}

} // namespace edgelam::nr
