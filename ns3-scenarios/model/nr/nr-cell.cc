// SPDX-License-Identifier: GPL-2.0-only
#include "nr-cell.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>

#include "ns3/double.h"
#include "ns3/integer.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(Cell);

namespace {

constexpr double thermal_dbm_per_hz = -174;

double Watt(double dbm) {
    return std::pow(10, dbm / 10 - 3);
}

double Db(double linear) {
    return 10 * std::log10(std::max(linear, 1e-30));
}

constexpr unsigned short_control = 2;   ///< symbols of uplink that are for sounding and short PUCCH
constexpr unsigned least_elements = 36; ///< of a resource block, for data

/// TS 38.214 table 5.1.2.2.1-1, configuration 1; twice and four times as many beyond its 275 resource blocks (FR3), so
/// that there are never more than 18 groups.
unsigned GroupSize(unsigned prbs) {
    return prbs <= 36 ? 2 : prbs <= 72 ? 4 : prbs <= 144 ? 8 : prbs <= 275 ? 16 : prbs <= 550 ? 32 : 64;
}

} // namespace

ns3::TypeId Cell::GetTypeId() {
    using namespace ns3;
    const auto real = MakeDoubleChecker<double>();
    const auto whole = MakeUintegerChecker<unsigned>();
    static TypeId tid =
        TypeId("edgelam::nr::Cell")
            .SetParent<Object>()
            .AddConstructor<Cell>()
            .AddAttribute("Numerology", "mu: subcarrier spacing 15 kHz x 2^mu; 0 to 3, 5, 6.", UintegerValue(1),
                          MakeUintegerAccessor(&Cell::m_mu), whole)
            .AddAttribute("Bandwidth", "Channel bandwidth in Hz, of TS 38.104 5.3.2.", DoubleValue(100e6),
                          MakeDoubleAccessor(&Cell::m_bandwidthHz), real)
            .AddAttribute("Pattern", "FDD, or TDD slots as D, S, U with the split of S: DDDSU:10,2,2.",
                          StringValue("DDDSU"), MakeStringAccessor(&Cell::m_patternText), MakeStringChecker())
            .AddAttribute("GnbPower", "Transmit power of the gNB over all resource blocks, dBm.", DoubleValue(44),
                          MakeDoubleAccessor(&Cell::m_gnbPowerDbm), real)
            .AddAttribute("UePower", "Largest transmit power of a UE, dBm.", DoubleValue(23),
                          MakeDoubleAccessor(&Cell::m_uePowerDbm), real)
            .AddAttribute("GnbNoiseFigure", "dB.", DoubleValue(5), MakeDoubleAccessor(&Cell::m_gnbNoiseDb), real)
            .AddAttribute("UeNoiseFigure", "dB.", DoubleValue(9), MakeDoubleAccessor(&Cell::m_ueNoiseDb), real)
            .AddAttribute("P0",
                          "Uplink power control: received power aimed at in one resource block of 180 kHz, dBm (TS "
                          "38.213 7.1.1).",
                          DoubleValue(-90), MakeDoubleAccessor(&Cell::m_p0Dbm), real)
            .AddAttribute("Alpha", "Uplink power control: part of the path loss made up for, 0 to 1.", DoubleValue(0.8),
                          MakeDoubleAccessor(&Cell::m_alpha), real)
            .AddAttribute("BlerTarget", "Block error rate that link adaptation aims at, 0.001 to 0.5.",
                          DoubleValue(0.1), MakeDoubleAccessor(&Cell::m_blerTarget), real)
            .AddAttribute("Scheduler",
                          "rr, pf, max-rate, external, or the TypeId of a class derived from edgelam::nr::Scheduler.",
                          StringValue("pf"), MakeStringAccessor(&Cell::m_schedulerName), MakeStringChecker())
            .AddAttribute("Beams",
                          "eigen, codebook, direct, external (SetPrecoders), or the TypeId of a class derived from "
                          "edgelam::nr::Beamformer.",
                          StringValue("eigen"), MakeStringAccessor(&Cell::m_beamsName), MakeStringChecker())
            .AddAttribute("McsTable", "MCS and CQI table of TS 38.214: 1 (64QAM), 2 (256QAM), 3 (low efficiency).",
                          UintegerValue(2), MakeUintegerAccessor(&Cell::m_mcsTableNumber), whole)
            .AddAttribute("MaxLayers", "Most layers of a downlink block, 1 to 4.", UintegerValue(4),
                          MakeUintegerAccessor(&Cell::m_maxLayers), whole)
            .AddAttribute("MaxUplinkLayers", "Most layers of an uplink block, 1 to 4.", UintegerValue(1),
                          MakeUintegerAccessor(&Cell::m_maxUplinkLayers), whole)
            .AddAttribute("ControlSymbols", "Symbols of each downlink slot taken by control channels, 0 to 3.",
                          UintegerValue(1), MakeUintegerAccessor(&Cell::m_controlSymbols), whole)
            .AddAttribute("DmrsPerPrb", "Resource elements of DMRS in each resource block and slot, 6 to 36.",
                          UintegerValue(12), MakeUintegerAccessor(&Cell::m_dmrsPerPrb), whole)
            .AddAttribute("MaxTransmissions", "Most transmissions of a block, the first included, 1 to 16.",
                          UintegerValue(4), MakeUintegerAccessor(&Cell::m_maxTransmissions), whole)
            .AddAttribute("MulticastTransmissions",
                          "Most transmissions of a multicast block, the first included, 1 to 16; 1: no HARQ feedback.",
                          UintegerValue(4), MakeUintegerAccessor(&Cell::m_multicastTransmissions), whole)
            .AddAttribute("MulticastMcs", "Of all multicast blocks; -1: what the worst receiver allows.",
                          IntegerValue(-1), MakeIntegerAccessor(&Cell::m_multicastMcs), MakeIntegerChecker<int>())
            .AddAttribute("Combining", "Of HARQ transmissions: ir (incremental redundancy) or chase.",
                          StringValue("ir"), MakeStringAccessor(&Cell::SetCombining, &Cell::GetCombining),
                          MakeStringChecker())
            .AddAttribute("ImplementationGap", "How far receivers are from the normal approximation, dB, 0 to 10.",
                          DoubleValue(ErrorModel::default_gap_db), MakeDoubleAccessor(&Cell::m_gapDb), real)
            .AddAttribute("GnbDelay",
                          "Slots between a decision of the gNB and what it sends, and to read what it received.",
                          UintegerValue(1), MakeUintegerAccessor(&Cell::m_gnbDelay), whole)
            .AddAttribute("UeDelay", "Slots the UE takes to decode.", UintegerValue(1),
                          MakeUintegerAccessor(&Cell::m_ueDelay), whole)
            .AddAttribute("K1", "Least slots from a downlink block to its HARQ feedback.", UintegerValue(2),
                          MakeUintegerAccessor(&Cell::m_k1), whole)
            .AddAttribute("K2", "Least slots from a grant to its uplink block.", UintegerValue(2),
                          MakeUintegerAccessor(&Cell::m_k2), whole)
            .AddAttribute("CsiPeriod", "Slots between two CSI reports of a UE.", UintegerValue(20),
                          MakeUintegerAccessor(&Cell::m_csiPeriod), whole)
            .AddAttribute("CsiDelay", "Slots until the gNB uses a CSI report.", UintegerValue(4),
                          MakeUintegerAccessor(&Cell::m_csiDelay), whole)
            .AddTraceSource("TransportBlock", "Every transmission of a transport block.",
                            MakeTraceSourceAccessor(&Cell::m_blockTrace), "edgelam::nr::Cell::BlockCallback")
            .AddTraceSource("CsiReport", "Every CSI report of a UE, with what the gNB measures itself.",
                            MakeTraceSourceAccessor(&Cell::m_csiTrace), "edgelam::nr::Cell::CsiCallback")
            .AddTraceSource("PacketDelivered", "Every packet that a bearer delivers.",
                            MakeTraceSourceAccessor(&Cell::m_packetTrace), "edgelam::nr::Cell::PacketCallback");
    return tid;
}

Cell::Cell() : m_random(ns3::CreateObject<ns3::UniformRandomVariable>()) {}

Cell::~Cell() = default;

void Cell::DoDispose() {
    m_event.Cancel();
    m_multicasts.clear();
    m_ues.clear();
    m_channel = nullptr;
    m_schedulerDown = m_schedulerUp = nullptr;
    m_beamformer = nullptr;
    m_atUe = m_atGnb = nullptr;
    ns3::Object::DoDispose();
}

void Cell::SetGnb(ns3::Ptr<RadioChannel> channel, ns3::Ptr<ns3::MobilityModel> mobility,
                  ns3::Ptr<ns3::PhasedArrayModel> array) {
    const auto within = [](const char* name, double value, double smallest, double largest) {
        if (!(value >= smallest && value <= largest)) {
            throw std::invalid_argument(std::string("NR cell: ") + name + " " + std::to_string(value) + "; legal are " +
                                        std::to_string(smallest) + " to " + std::to_string(largest));
        }
    };
    within("GnbPower", m_gnbPowerDbm, -200, 200);
    within("UePower", m_uePowerDbm, -200, 200);
    within("GnbNoiseFigure", m_gnbNoiseDb, 0, 100);
    within("UeNoiseFigure", m_ueNoiseDb, 0, 100);
    within("P0", m_p0Dbm, -300, 200);
    within("BlerTarget", m_blerTarget, 0.001, 0.5);
    within("Alpha", m_alpha, 0, 1);
    within("MaxLayers", m_maxLayers, 1, max_layers);
    within("MaxUplinkLayers", m_maxUplinkLayers, 1, max_layers);
    within("ControlSymbols", m_controlSymbols, 0, 3);
    within("DmrsPerPrb", m_dmrsPerPrb, 6, 36);
    within("MaxTransmissions", m_maxTransmissions, 1, 16);
    within("MulticastTransmissions", m_multicastTransmissions, 1, 16);
    within("MulticastMcs", m_multicastMcs, -1, NumMcs(McsTableOf(m_mcsTableNumber)) - 1.0);
    within("GnbDelay", m_gnbDelay, 0, 20);
    within("UeDelay", m_ueDelay, 0, 20);
    within("K1", m_k1, 1, 32);
    within("K2", m_k2, 1, 32);
    within("CsiPeriod", m_csiPeriod, 1, 10000);
    within("CsiDelay", m_csiDelay, 0, 100);
    m_channel = channel;
    m_gnbMobility = mobility;
    m_gnbArray = array;
    m_numerology = std::make_unique<Numerology>(m_mu);
    m_pattern = SlotPattern::Parse(m_patternText);
    m_mcsTable = McsTableOf(m_mcsTableNumber);
    m_cqiTable = static_cast<CqiTable>(m_mcsTable);
    m_numPrbs = NumResourceBlocks(FrequencyRangeOf(channel->GetStatistics().GetFrequencyHz()), m_mu, m_bandwidthHz);
    SetSlots();
    m_prbsPerGroup = GroupSize(m_numPrbs);
    m_numGroups = (m_numPrbs + m_prbsPerGroup - 1) / m_prbsPerGroup;
    m_samplesPerGroup = std::max(1u, m_prbsPerGroup / 4);
    const double prbHz = 12.0 * static_cast<double>(m_numerology->SubcarrierSpacingHz());
    m_offsetsHz.clear();
    for (unsigned g = 0; g < m_numGroups; ++g) {
        for (unsigned i = 0; i < m_samplesPerGroup; ++i) {
            const double prb = g * m_prbsPerGroup + (i + 0.5) * PrbsOf(g) / m_samplesPerGroup;
            m_offsetsHz.push_back((prb - 0.5 * m_numPrbs) * prbHz);
        }
    }
    m_noiseDownW = Watt(thermal_dbm_per_hz + m_ueNoiseDb) * prbHz;
    m_noiseUpW = Watt(thermal_dbm_per_hz + m_gnbNoiseDb) * prbHz;
    m_errors = std::make_unique<ErrorModel>(m_gapDb);
    m_thresholdDb.clear();
    m_efficiency.clear();
    m_beta.clear();
    const unsigned elements = NumResourceElements(std::min(50u, m_numPrbs), 12, 12);
    for (unsigned mcs = 0; mcs < NumMcs(m_mcsTable); ++mcs) {
        const Mcs& scheme = McsAt(m_mcsTable, mcs);
        const auto blocks = Segment(TransportBlockSize(elements, scheme, 1), scheme);
        const double sinr =
            m_errors->SinrFor(m_blerTarget, blocks, scheme.bitsPerSymbol, double(elements) * scheme.bitsPerSymbol);
        m_thresholdDb.push_back(static_cast<float>(Db(sinr)));
        m_efficiency.push_back(static_cast<float>(scheme.Efficiency()));
        m_beta.push_back(EesmBeta(m_mcsTable, mcs));
    }
    for (std::size_t mcs = m_thresholdDb.size() - 1; mcs-- > 0;) { // where a constellation begins, more may need less
        m_thresholdDb[mcs] = std::min(m_thresholdDb[mcs], m_thresholdDb[mcs + 1]);
    }
    m_schedulerDown = Scheduler::Make(m_schedulerName);
    m_schedulerUp = Scheduler::Make(m_schedulerName);
    m_beamformer = Beamformer::Make(m_beamsName);
}

/// Which slots carry data, and when uplink slots are granted.
void Cell::SetSlots() {
    const std::size_t count = m_pattern->NumSlots();
    m_plan.assign(count, {});
    unsigned mostDown = 0, mostUp = 0;
    const auto left = [&](unsigned symbols) { return 12 * symbols - std::min(12 * symbols, m_dmrsPerPrb); };
    for (std::size_t i = 0; i < count; ++i) {
        const auto& slot = m_pattern->At(static_cast<std::int64_t>(i));
        const unsigned down = slot.downlink.count - std::min(slot.downlink.count, m_controlSymbols);
        const unsigned up = slot.uplink.count > short_control ? slot.uplink.count : 0;
        m_plan[i].downSymbols = left(down) >= least_elements ? down : 0;
        m_plan[i].upSymbols = left(up) >= least_elements ? up : 0;
        m_plan[i].uplink = slot.uplink.count > 0;
        mostDown = std::max(mostDown, down);
        mostUp = std::max(mostUp, up);
    }
    const auto refuse = [&](const char* direction, unsigned symbols, const std::string& taken) {
        throw std::invalid_argument("NR cell: Pattern '" + m_patternText + "' has no slot for " + direction +
                                    " data: at most " + std::to_string(symbols) + " symbols are left of " + taken +
                                    ", and with DmrsPerPrb " + std::to_string(m_dmrsPerPrb) + " " +
                                    std::to_string(left(symbols)) + " resource elements in each block; legal is " +
                                    std::to_string(least_elements) + " or more");
    };
    if (std::none_of(m_plan.begin(), m_plan.end(), [](const SlotPlan& slot) { return slot.downSymbols > 0; })) {
        refuse("downlink", mostDown, "ControlSymbols " + std::to_string(m_controlSymbols));
    }
    if (std::none_of(m_plan.begin(), m_plan.end(), [](const SlotPlan& slot) { return slot.upSymbols > 0; })) {
        refuse("uplink", mostUp, "slots with more than " + std::to_string(short_control) + " of uplink");
    }
    std::size_t longest = 0;
    for (std::size_t up = 0; up < count; ++up) {
        if (m_plan[up].upSymbols == 0) {
            continue;
        }
        // There is a slot with downlink data, so also one that a grant fits into.
        std::size_t back = m_k2;
        const auto at = [&](std::size_t ahead) { return (up + 1000 * count - ahead) % count; };
        while (m_pattern->At(static_cast<std::int64_t>(at(back))).downlink.count < std::max(1u, m_controlSymbols)) {
            ++back;
        }
        back += m_gnbDelay;
        m_plan[at(back)].grantsFor.push_back(static_cast<unsigned>(back));
        longest = std::max(longest, back);
    }
    for (auto& slot : m_plan) {
        std::sort(slot.grantsFor.begin(), slot.grantsFor.end());
    }
    const std::size_t feedback = m_gnbDelay + std::max(m_k1, 1 + m_ueDelay) + count + 1 + m_gnbDelay;
    m_ring.assign(std::bit_ceil(std::max(longest, feedback) + 2), {});
    m_sharedDown.assign(m_ring.size(), {});
    m_sharedUp.assign(m_ring.size(), {});
}

std::uint32_t Cell::AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                          const BearerSettings& bearer) {
    if (!m_channel) {
        throw std::logic_error("NR cell: SetGnb comes before AddUe");
    }
    const auto link = m_channel->GetLink(m_gnbMobility, m_gnbArray, mobility, array);
    if (link->GetBaseStation() != m_gnbMobility) {
        throw std::invalid_argument("NR cell: a UE is higher than the gNB; legal is a gNB above its UEs");
    }
    m_ues.push_back(std::make_unique<Ue>(
        UeLink(NumUes(), PhyLink(link, m_offsetsHz, m_maxUplinkLayers), m_beamformer, GroupCentresHz()), bearer));
    const auto number = NumUes() - 1;
    Ue& ue = *m_ues.back();
    for (Side* side : {&ue.down, &ue.up}) {
        side->averagedSlot = NextSlot();
        side->bitsPerGroup.resize(m_numGroups);
        side->bearer.SetWake([this] { Wake(); }, [this] { Wake(); });
        TracePackets(side->bearer, {.ue = number, .uplink = side == &ue.up});
    }
    ue.down.bearer.SetDeliver([this, number](ns3::Ptr<ns3::Packet> packet) {
        if (m_atUe) {
            m_atUe(number, packet);
        }
    });
    ue.up.bearer.SetDeliver([this, number](ns3::Ptr<ns3::Packet> packet) {
        if (m_atGnb) {
            m_atGnb(number, packet);
        }
    });
    return number;
}

bool Cell::SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority) {
    return m_ues.at(ue)->down.bearer.Send(packet, priority);
}

bool Cell::SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority) {
    return m_ues.at(ue)->up.bearer.Send(packet, priority);
}

void Cell::SetCombining(std::string name) {
    if (name != "ir" && name != "chase") {
        throw std::invalid_argument("NR cell: Combining '" + name + "'; legal are ir, chase");
    }
    m_redundancy = name == "ir";
}

void Cell::SetDeliver(Deliver atUe, Deliver atGnb) {
    m_atUe = std::move(atUe);
    m_atGnb = std::move(atGnb);
}

const Bearer& Cell::DownBearer(std::uint32_t ue) const {
    return m_ues.at(ue)->down.bearer;
}

const Bearer& Cell::UpBearer(std::uint32_t ue) const {
    return m_ues.at(ue)->up.bearer;
}

double Cell::DownThroughputBps(std::uint32_t ue) const {
    return m_ues.at(ue)->down.averageBps;
}

double Cell::UpThroughputBps(std::uint32_t ue) const {
    return m_ues.at(ue)->up.averageBps;
}

std::int64_t Cell::AssignStreams(std::int64_t stream) {
    m_random->SetStream(stream);
    return 1;
}

unsigned Cell::PrbsOf(std::uint32_t group) const {
    return std::min(m_prbsPerGroup, m_numPrbs - group * m_prbsPerGroup);
}

unsigned Cell::PrbsOf(const std::vector<std::uint32_t>& groups) const {
    unsigned prbs = 0;
    for (const auto g : groups) {
        prbs += PrbsOf(g);
    }
    return prbs;
}

std::vector<double> Cell::GroupCentresHz() const {
    const double prbHz = 12.0 * static_cast<double>(m_numerology->SubcarrierSpacingHz());
    std::vector<double> centres;
    for (unsigned g = 0; g < m_numGroups; ++g) {
        centres.push_back((g * m_prbsPerGroup + 0.5 * PrbsOf(g) - 0.5 * m_numPrbs) * prbHz);
    }
    return centres;
}

unsigned Cell::DataElements(unsigned prbs, unsigned symbols) const {
    return NumResourceElements(prbs, symbols, m_dmrsPerPrb);
}

} // namespace edgelam::nr
