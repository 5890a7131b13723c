// SPDX-License-Identifier: GPL-2.0-only
#include "nr-network.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "ns3/double.h"
#include "ns3/log.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/string.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

#include "named-random.h"

NS_LOG_COMPONENT_DEFINE("NrNetwork");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(Network);

namespace {

constexpr double same_place_m = 1e-3, same_angle_rad = 1e-6;
constexpr std::int64_t streams = 1LL << 32;    ///< of the cells
constexpr std::uint64_t attachment = 0xa77ac4; ///< name of the random choice of a cell

double Frequency(const Cell& cell) {
    return cell.GetChannel()->GetStatistics().GetFrequencyHz();
}

/// The direction in which an array faces, rad: bearing, tilt, slant. Of other classes: the pattern in three directions.
std::vector<double> Orientation(const ns3::PhasedArrayModel& array) {
    if (const auto* planar = dynamic_cast<const ns3::UniformPlanarArray*>(&array)) {
        return {planar->GetAlpha(), planar->GetBeta(), planar->GetPolSlant()};
    }
    std::vector<double> patterns;
    for (const double azimuth : {0.1, 2.2, 4.3}) {
        const auto [phi, theta] = array.GetElementFieldPattern(ns3::Angles(azimuth, 1.2));
        patterns.insert(patterns.end(), {phi, theta});
    }
    return patterns;
}

std::string Text(const Cell& cell) {
    std::ostringstream text;
    const CellSettings& settings = cell.GetCarrier().settings;
    text << Frequency(cell) / 1e6 << " MHz, Bandwidth " << settings.bandwidthHz / 1e6 << " MHz, Numerology "
         << settings.mu << ", Pattern " << settings.pattern;
    return text.str();
}

} // namespace

/// The cells of one carrier.
struct Network::CarrierGroup {
    std::shared_ptr<SlotClock> clock;
    std::shared_ptr<Air> air;
    std::vector<std::uint32_t> cells;
};

ns3::TypeId Network::GetTypeId() {
    using namespace ns3;
    static const TypeId tid =
        TypeId("edgelam::nr::Network")
            .SetParent<Object>()
            .SetGroupName("Edgelam")
            .AddConstructor<Network>()
            .AddAttribute("ExplicitInterferers",
                          "How many of the strongest interferers a receiver hears with their direction (covariance of "
                          "its antennas); the others are white.",
                          UintegerValue(8), MakeUintegerAccessor(&Network::m_explicit),
                          MakeUintegerChecker<unsigned>(0, 1000))
            .AddAttribute("Relevance",
                          "Interferers whose mean power in a resource block is more than this below the noise of a "
                          "receiver are not heard there, dB.",
                          DoubleValue(30), MakeDoubleAccessor(&Network::m_relevanceDb),
                          MakeDoubleChecker<double>(-200, 200))
            .AddAttribute("InterferenceCoherence",
                          "How far a UE may move before its channels to other cells are computed again, as a multiple "
                          "of the channel's CoherenceDistance.",
                          DoubleValue(Air::Settings{}.coherence), MakeDoubleAccessor(&Network::m_coherence),
                          MakeDoubleChecker<double>(0, 1000))
            .AddAttribute("Rsrp",
                          "Gains of antennas in a mean received power (RSRP, white interferers): of each ray (rays); "
                          "averaged over the angular spreads of the link (mean); of each ray for the strongest cells "
                          "and averaged for the rest (strongest); or along the straight line (direction).",
                          StringValue("strongest"), MakeStringAccessor(&Network::SetRsrp, &Network::GetRsrp),
                          MakeStringChecker())
            .AddAttribute("RayCells", "With Rsrp=strongest: how many cells of each UE are the strongest.",
                          UintegerValue(9), MakeUintegerAccessor(&Network::m_rayCells),
                          MakeUintegerChecker<unsigned>(1, 1000))
            .AddAttribute("AttachMargin",
                          "A UE begins in any of the cells that are at most this much weaker than the strongest, dB.",
                          DoubleValue(0), MakeDoubleAccessor(&Network::m_attachMarginDb),
                          MakeDoubleChecker<double>(0, 30))
            .AddTraceSource("Attachment", "A UE has entered or left a cell.",
                            MakeTraceSourceAccessor(&Network::m_attachmentTrace),
                            "edgelam::nr::Network::AttachmentCallback");
    return tid;
}

Network::Network() = default;
Network::~Network() = default;

void Network::DoDispose() {
    for (const auto& cell : m_cells) {
        cell->Dispose();
    }
    m_cells.clear();
    m_groups.clear();
    m_groupOf.clear();
    m_ues.clear();
    ns3::Object::DoDispose();
}

std::uint32_t Network::AddCell(ns3::Ptr<Cell> cell) {
    if (!m_ues.empty()) {
        throw std::logic_error("NR network: cells are added before the first UE");
    }
    const double frequency = Frequency(*cell);
    const CellSettings& settings = cell->GetCarrier().settings;
    std::uint32_t group = static_cast<std::uint32_t>(m_groups.size());
    for (std::uint32_t i = 0; i < NumCells(); ++i) {
        const Cell& other = *m_cells[i];
        const CellSettings& others = other.GetCarrier().settings;
        if (std::abs(frequency - Frequency(other)) >= 0.5 * (settings.bandwidthHz + others.bandwidthHz)) {
            continue; // beside each other
        }
        if (frequency != Frequency(other) || settings.bandwidthHz != others.bandwidthHz || settings.mu != others.mu ||
            settings.pattern != others.pattern) {
            throw std::invalid_argument("NR network: cell " + std::to_string(NumCells()) + " (" + Text(*cell) +
                                        ") overlaps cell " + std::to_string(i) + " (" + Text(other) +
                                        "); legal are carriers beside each other, or the same frequency, bandwidth, "
                                        "numerology and pattern: interference across grids, and between uplink and "
                                        "downlink, is not modelled");
        }
        const auto a = Orientation(*cell->GetGnbArray()), b = Orientation(*other.GetGnbArray());
        if (ns3::CalculateDistance(cell->GetGnbMobility()->GetPosition(), other.GetGnbMobility()->GetPosition()) <
                same_place_m &&
            std::ranges::equal(a, b, [](double x, double y) {
                return std::abs(std::remainder(x - y, 2 * std::numbers::pi)) < same_angle_rad;
            })) {
            std::ostringstream text;
            text << "NR network: cells " << i << " and " << NumCells() << " are both at "
                 << cell->GetGnbMobility()->GetPosition()
                 << " m with the same orientation of their arrays, on one carrier; legal are other places, other "
                    "orientations, or carriers beside each other";
            throw std::invalid_argument(text.str());
        }
        group = m_groupOf[i];
    }
    const std::uint32_t number = NumCells();
    m_cells.push_back(cell);
    if (group == m_groups.size()) {
        m_groups.emplace_back();
    }
    m_groups[group].cells.push_back(number);
    m_groupOf.push_back(group);
    return number;
}

void Network::SetRsrp(std::string name) {
    PowerRule{name}; // refuses unknown names
    m_rsrp = std::move(name);
}

/// All cells are known: they begin to hear one another.
void Network::Start() {
    for (auto& group : m_groups) {
        // An order that follows from the cells' places.
        const auto key = [&](std::uint32_t number) {
            const Cell& cell = *m_cells[number];
            const ns3::Vector at = cell.GetGnbMobility()->GetPosition();
            auto values = Orientation(*cell.GetGnbArray());
            values.insert(values.begin(), {at.x, at.y, at.z});
            return values;
        };
        auto byPlace = group.cells;
        std::ranges::sort(byPlace, {}, key);
        group.clock = std::make_shared<SlotClock>(m_cells[byPlace.front()]->GetNumerology());
        group.air =
            std::make_shared<Air>(Air::Settings{m_explicit, m_relevanceDb, m_coherence, PowerRule(m_rsrp, m_rayCells)});
        for (std::uint64_t rank = 0; rank < byPlace.size(); ++rank) {
            const std::uint32_t number = byPlace[rank];
            Cell& cell = *m_cells[number];
            group.air->AddCell(number, rank, cell.GetChannel(), cell.GetGnbMobility(), cell.GetGnbArray(),
                               cell.GetCarrier());
            cell.Join({group.clock, group.air, number, rank});
        }
    }
    m_isSeeded.resize(m_cells.size());
    m_started = true;
    NS_LOG_INFO(NumCells() << " cells on " << m_groups.size() << " carriers");
}

std::uint32_t Network::AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                             const std::vector<QosBearer>& bearers) {
    if (m_cells.empty()) {
        throw std::logic_error("NR network: cells are added before the first UE");
    }
    for (const auto& cell : m_cells) {
        cell->CheckBearers(bearers);
        cell->CheckPlace(mobility);
    }
    if (!m_started) {
        Start();
    }
    m_ues.push_back({mobility, array, std::make_shared<Connection>(bearers), std::nullopt, std::nullopt, 0});
    for (auto& group : m_groups) {
        group.air->AddUe(mobility, array);
    }
    for (const auto& cell : m_cells) {
        cell->SetNumNumbers(NumUes());
    }
    return NumUes() - 1;
}

void Network::Attach(std::uint32_t ue, std::uint32_t cell) {
    Ue& entering = m_ues.at(ue);
    if (cell >= NumCells()) {
        throw std::invalid_argument("NR network: cell " + std::to_string(cell) + "; legal are 0 to " +
                                    std::to_string(NumCells() - 1));
    }
    if (entering.cell) {
        throw std::logic_error("NR network: UE " + std::to_string(ue) + " is in cell " +
                               std::to_string(*entering.cell) + "; it leaves this first");
    }
    if (!m_isSeeded[cell]) { // whatever other cells there are, this UE's cell has these numbers
        const std::int64_t name = (static_cast<std::int64_t>(entering.opened++) << 24) + ue;
        m_cells[cell]->AssignStreams(name == 0 ? m_stream : m_stream + streams + name);
        m_isSeeded[cell] = true;
    }
    if (entering.last) { // no slot is counted twice, or not at all
        const std::uint32_t last = *entering.last;
        m_cells[last]->Forget(ue, m_cells[m_groupOf[last] == m_groupOf[cell] ? cell : last]->NextSlot());
    }
    m_cells[cell]->Attach(ue, entering.mobility, entering.array, entering.connection);
    entering.cell = entering.last = cell;
    NS_LOG_INFO("UE " << ue << " enters cell " << cell);
    m_attachmentTrace(ue, cell, true);
}

void Network::Detach(std::uint32_t ue) {
    Ue& leaving = m_ues.at(ue);
    if (!leaving.cell) {
        throw std::logic_error("NR network: UE " + std::to_string(ue) + " is in no cell");
    }
    const std::uint32_t cell = *leaving.cell;
    m_cells[cell]->Detach(ue);
    leaving.cell.reset();
    NS_LOG_INFO("UE " << ue << " leaves cell " << cell);
    m_attachmentTrace(ue, cell, false);
}

bool Network::SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority, unsigned bearer) {
    return m_ues.at(ue).connection->down[bearer].Send(packet, priority);
}

bool Network::SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority, unsigned bearer) {
    return m_ues.at(ue).connection->up[bearer].Send(packet, priority);
}

void Network::SetGuaranteed(std::span<const double> bps) {
    std::vector<std::array<Bearers*, 2>> bearers;
    for (auto& ue : m_ues) {
        bearers.push_back({&ue.connection->down, &ue.connection->up});
    }
    SetGuaranteedRates(bps, bearers, [this](std::size_t ue, double rate, Direction direction) {
        m_cells[m_ues[ue].last.value_or(0)]->CheckGuaranteed(rate, direction);
    });
}

double Network::UeJoules(std::uint32_t ue, Direction direction) const {
    double joules = 0;
    for (const auto& cell : m_cells) {
        joules += cell->UeJoules(ue, direction);
    }
    return joules;
}

void Network::SendPreamble(std::uint32_t ue, double dbm) {
    m_cells[m_ues.at(ue).last.value()]->SendPreamble(ue, dbm);
}

void Network::SetDeliver(const Cell::Deliver& atUe, const Cell::Deliver& atGnb) {
    for (const auto& cell : m_cells) {
        cell->SetDeliver(atUe, atGnb);
    }
}

Air& Network::AirOf(std::uint32_t cell) const {
    return *m_groups[m_groupOf.at(cell)].air;
}

double Network::RsrpDbm(std::uint32_t cell, std::uint32_t ue) const {
    const CellSettings& settings = m_cells.at(cell)->GetCarrier().settings;
    return settings.gnbPowerDbm - DbOf(12.0 * m_cells[cell]->NumPrbs()) + DbOf(CouplingGain(cell, ue));
}

double Network::SinrDb(std::uint32_t cell, std::span<const double> rsrpDbm) const {
    double disturbanceW = m_cells.at(cell)->GetCarrier().noiseDownW / 12; // of a subcarrier
    for (const auto other : m_groups[m_groupOf[cell]].cells) {
        disturbanceW += other == cell ? 0 : WattOfDbm(rsrpDbm[other]);
    }
    return rsrpDbm[cell] - 30 - DbOf(disturbanceW);
}

std::uint32_t Network::FirstCell(std::uint32_t ue) const {
    const auto cell = CellWithin(ue, m_attachMarginDb, [this](std::uint32_t each) { return HasRoom(each); });
    if (!cell) {
        throw std::invalid_argument("NR network: no cell has room for the scheduling requests of UE " +
                                    std::to_string(ue) + "; legal is a longer SrPeriod, 0, or more SrPrbs");
    }
    return *cell;
}

std::optional<std::uint32_t> Network::CellWithin(std::uint32_t ue, double marginDb, const Admits& admits) const {
    std::vector<std::pair<double, std::uint32_t>> rsrp; // the order of cells is that of their places
    for (std::uint32_t cell = 0; cell < NumCells(); ++cell) {
        if (!admits || admits(cell)) {
            rsrp.emplace_back(RsrpDbm(cell, ue), cell);
        }
    }
    if (rsrp.empty()) {
        return std::nullopt;
    }
    const auto placeOf = [&](std::uint32_t cell) {
        const ns3::Vector at = m_cells[cell]->GetGnbMobility()->GetPosition();
        return std::tuple(at.x, at.y, at.z, Orientation(*m_cells[cell]->GetGnbArray()));
    };
    std::ranges::sort(rsrp, [&](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : placeOf(a.second) < placeOf(b.second);
    });
    const auto beyond =
        std::ranges::find_if(rsrp, [&](const auto& each) { return each.first < rsrp.front().first - marginDb; });
    NamedRandom random(ns3::RngSeedManager::GetSeed(), {attachment, ns3::RngSeedManager::GetRun(), ue});
    return rsrp[random.Below(static_cast<std::size_t>(beyond - rsrp.begin()))].second;
}

ns3::Ptr<ChannelLink> Network::GetLink(std::uint32_t cell, std::uint32_t ue) const {
    return AirOf(cell).GetLink(cell, ue);
}

std::int64_t Network::AssignStreams(std::int64_t stream) {
    m_stream = stream;
    return 1;
}

} // namespace edgelam::nr
