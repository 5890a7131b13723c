// SPDX-License-Identifier: GPL-2.0-only
#include "nr-beam-management.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrBeamManagement");

namespace edgelam::nr {

namespace {

constexpr unsigned activation_subframes = 3; ///< from HARQ feedback for a MAC CE until it holds (TS 38.214 5.1.5)
constexpr std::size_t most_active = 8;       ///< maxNumberActiveTCI-PerBWP of TS 38.306
constexpr std::size_t csi_rs_slots = 4096;   ///< ahead of now, in which symbols for CSI-RS are looked for
constexpr double unheard_dbm = -300;

unsigned SlotsFor(unsigned symbols) {
    return (symbols + symbols_per_slot - 1) / symbols_per_slot;
}

/// As many beams along each side as elements, the longer side halved until there is room.
std::pair<unsigned, unsigned> SidesOf(const AnalogCodebook::Layout& layout, const BeamSettings& settings,
                                      unsigned room) {
    unsigned rows = settings.ssbRows == 0 ? layout.rows : settings.ssbRows,
             columns = settings.ssbColumns == 0 ? layout.columns : settings.ssbColumns;
    while (rows * columns > room) {
        const bool mayRows = settings.ssbRows == 0 && rows > 1, mayColumns = settings.ssbColumns == 0 && columns > 1;
        if (mayRows && (!mayColumns || rows >= columns)) {
            rows = (rows + 1) / 2;
        } else if (mayColumns) {
            columns = (columns + 1) / 2;
        } else {
            break;
        }
    }
    return {rows, columns};
}

} // namespace

BeamManagement::BeamManagement(const Carrier& carrier, Links& links, const ns3::PhasedArrayModel& array,
                               ns3::Ptr<ns3::UniformRandomVariable> random,
                               std::function<void(std::uint32_t, double)> sent, const Trace& trace)
    : m_carrier(carrier), m_links(links), m_trace(trace), m_recovery(carrier, random, std::move(sent)),
      m_csiRs(csi_rs_slots) {
    const auto [rows, columns] = SidesOf(AnalogCodebook::LayoutOf(array), carrier.settings, SsbBurst::Room(carrier));
    m_codebook = std::make_unique<AnalogCodebook>(array, rows, columns, carrier.settings.beamOversampling);
    m_burst = std::make_unique<SsbBurst>(carrier, m_codebook->NumSweep());
    m_meter = std::make_unique<RsrpMeter>(carrier, *m_codebook, random);
    m_sweep.resize(m_codebook->NumSweep());
    std::iota(m_sweep.begin(), m_sweep.end(), 0);
}

void BeamManagement::Add(std::uint32_t ue, std::unique_ptr<UePanels> panels, std::vector<ns3::Ptr<ChannelLink>> links) {
    const auto& array = *panels->All().front();
    const auto layout = AnalogCodebook::LayoutOf(array);
    if (m_ues.size() <= ue) {
        m_ues.resize(ue + 1);
    }
    m_ues[ue] = std::make_unique<Ue>();
    Ue& added = *m_ues[ue];
    added.codebook = std::make_unique<AnalogCodebook>(array, layout.rows, layout.columns, 1);
    added.panels = std::move(panels);
    added.links = std::move(links);
    added.rsrpDbm.assign(std::size_t{m_codebook->NumSweep()} * added.NumBeams(), unheard_dbm);
    // The number of ports is known from now on; which beams they have, from the first sweep on.
    m_links.Of(ue).Phy().UseAnalog(added.links.front(), m_codebook->Weights(0), added.codebook->Weights(0));
}

void BeamManagement::Remove(std::uint32_t ue) {
    m_recovery.Reset(ue);
    m_ues[ue].reset();
}

RsrpMeter::Listener BeamManagement::Listen(std::uint32_t number, const Ue& ue, std::uint32_t ueBeam,
                                           std::uint64_t slot) {
    const std::uint32_t perPanel = ue.codebook->NumSweep();
    return {number,
            ueBeam,
            ue.links[ueBeam / perPanel],
            &ue.codebook->Weights(ueBeam % perPanel),
            &m_links.Of(number).Phy().GnbElements(),
            slot};
}

void BeamManagement::Sweep(std::uint32_t number, Ue& ue, std::uint32_t ueBeam, std::uint64_t slot) {
    ue.panels->Follow();
    const auto dbm = m_meter->Measure(Listen(number, ue, ueBeam, slot), m_sweep, RsrpMeter::Signal::Ssb);
    for (std::size_t ssb = 0; ssb < dbm.size(); ++ssb) {
        ue.rsrpDbm[ssb * ue.NumBeams() + ueBeam] = dbm[ssb];
    }
    const auto best = std::ranges::max_element(dbm);
    Record(number, BeamRecord::sweep, {static_cast<std::uint32_t>(best - dbm.begin()), ueBeam}, *best, slot);
}

std::uint32_t BeamManagement::BestFor(const Ue& ue, std::uint32_t ssb) {
    const auto row = std::span(ue.rsrpDbm).subspan(std::size_t{ssb} * ue.NumBeams(), ue.NumBeams());
    return static_cast<std::uint32_t>(std::ranges::max_element(row) - row.begin());
}

std::vector<double> BeamManagement::BestRsrp(const Ue& ue) const {
    std::vector<double> dbm;
    for (const auto ssb : m_sweep) {
        dbm.push_back(ue.rsrpDbm[std::size_t{ssb} * ue.NumBeams() + BestFor(ue, ssb)]);
    }
    return dbm;
}

void BeamManagement::Begin(std::uint32_t number, Ue& ue, std::uint64_t slot) {
    for (std::uint32_t beam = 0; beam < ue.NumBeams(); ++beam) {
        Sweep(number, ue, beam, slot);
    }
    const bool again = std::exchange(ue.begun, true);
    ue.heard = true;
    m_recovery.Reset(number);
    ue.bursts = m_burst->EndedBefore(slot);
    ue.next.reset();
    ue.csiRs.reset();
    ue.report.clear();
    ue.active.clear();
    const auto report = ReportBeams(BestRsrp(ue), m_carrier.settings.reportedBeams);
    for (const auto& each : report) {
        ue.active.push_back({each.beam, slot});
    }
    const std::uint32_t beam = ue.given.value_or(report.front().beam), with = BestFor(ue, m_codebook->SweepOf(beam));
    const bool refined = again && Refines() && !ue.given; // as it would have been in the meantime
    Use(number, ue, {refined ? BestNarrow(number, ue, beam, with, slot) : beam, with}, slot);
    ue.nextCsiRs = slot;
    ue.report = report; // which the gNB has now
    ue.reportSlot = slot;
}

void BeamManagement::Use(std::uint32_t number, Ue& ue, const Pair& beams, std::uint64_t slot) {
    ue.serving = beams;
    ue.next.reset();
    const std::uint32_t perPanel = ue.codebook->NumSweep();
    m_links.UseAnalog(number, ue.links[beams.ue / perPanel], m_codebook->Weights(beams.gnb),
                      ue.codebook->Weights(beams.ue % perPanel));
    Record(number, BeamRecord::changed, beams, m_meter->Exact(Listen(number, ue, beams.ue, slot), beams.gnb), slot);
}

void BeamManagement::Burst(std::uint32_t number, Ue& ue, std::uint64_t burst, std::uint64_t slot) {
    const auto ueBeam = static_cast<std::uint32_t>(burst % ue.NumBeams());
    Sweep(number, ue, ueBeam, slot);
    WatchServing(number, ue, slot);
    if (ue.report.empty()) { // the one before has arrived
        ue.report = ReportBeams(BestRsrp(ue), m_carrier.settings.reportedBeams);
        ue.reportSlot = m_carrier.FeedbackSlot(m_burst->LastSlot(burst));
        SendReport(number, ue, m_codebook->NumSweep());
    }
    // The UE changes its own beam by itself; for a narrow one, P3 tells which.
    const bool bySweep = ue.given || !m_codebook->IsNarrow(ue.serving.gnb);
    const std::uint32_t best = BestFor(ue, m_codebook->SweepOf(ue.serving.gnb));
    if (bySweep && best == ueBeam && best != ue.serving.ue && !ue.next) {
        Use(number, ue, {ue.serving.gnb, best}, slot);
    }
}

void BeamManagement::SendReport(std::uint32_t number, Ue& ue, unsigned beams) {
    if (ue.heard && !m_recovery.HasFailed(number)) {
        ue.reportBytes = (BeamReportBits(beams, m_carrier.settings.reportedBeams) + 7) / 8;
    }
}

std::uint32_t BeamManagement::TakeReportBytes(std::uint32_t ue) {
    return std::exchange(UeOf(ue).reportBytes, 0);
}

void BeamManagement::Decide(std::uint32_t number, Ue& ue, std::uint64_t slot) {
    const auto report = std::exchange(ue.report, {});
    if (!ue.heard || m_recovery.HasFailed(number)) {
        return; // nothing has arrived
    }
    for (const auto& each : report) {
        Record(number, BeamRecord::report, {each.beam, BestFor(ue, each.beam)}, each.rsrpDbm, slot);
        Activate(ue, each.beam, slot);
    }
    if (ue.given || ue.next || ue.csiRs) {
        return; // what is under way comes first
    }
    const std::uint32_t present = m_codebook->SweepOf(ue.serving.gnb);
    const auto own = std::ranges::find(report, present, &ReportedBeam::beam);
    const auto& best = report.front();
    const bool leave =
        best.beam != present && (own == report.end() || best.rsrpDbm >= own->rsrpDbm + m_carrier.settings.beamMarginDb);
    if (leave && Refines()) {
        Trigger(ue, true, best.beam, slot);
    } else if (leave) {
        SwitchTo(number, ue, {best.beam, BestFor(ue, best.beam)}, slot);
    }
}

std::uint64_t BeamManagement::Activate(Ue& ue, std::uint32_t beam, std::uint64_t slot) const {
    const auto known = std::ranges::find(ue.active, beam, &Tci::beam);
    if (known != ue.active.end()) {
        std::rotate(ue.active.begin(), known, known + 1); // the newest first
        return ue.active.front().from;
    }
    const auto sent = static_cast<std::uint64_t>(
        m_carrier.pattern.NextDownlink(static_cast<std::int64_t>(slot + m_carrier.settings.gnbDelay)));
    const std::uint64_t from =
        m_carrier.UplinkOf(sent) + activation_subframes * m_carrier.numerology.SlotsPerSubframe() + 1;
    ue.active.insert(ue.active.begin(), {beam, from});
    if (ue.active.size() > most_active) {
        ue.active.pop_back();
    }
    return from;
}

std::uint64_t BeamManagement::SwitchTo(std::uint32_t number, Ue& ue, const Pair& beams, std::uint64_t slot) {
    const std::uint64_t granted = slot + m_carrier.longestGrant + 1,
                        indicated = std::max(Activate(ue, beams.gnb, slot), slot + m_carrier.settings.gnbDelay) +
                                    SlotsFor(m_carrier.settings.qclSymbols);
    ue.next = Switch{beams, std::max(granted, indicated)};
    NS_LOG_LOGIC("slot " << slot << " UE " << number << ": beam " << beams.gnb << " from slot " << ue.next->slot);
    return ue.next->slot;
}

void BeamManagement::Advance(std::uint64_t slot) {
    for (const auto number : m_links.Ues()) {
        Advance(number, UeOf(number), slot);
    }
}

void BeamManagement::Advance(std::uint32_t number, Ue& ue, std::uint64_t slot) {
    const std::uint64_t ended = m_burst->EndedBefore(slot);
    if (!ue.begun || ended > ue.bursts + 1) {
        Begin(number, ue, slot);
    }
    if (ue.next && slot >= ue.next->slot) {
        Use(number, ue, ue.next->beams, slot);
    }
    if (ue.csiRs && ue.csiRs->rsrpDbm.empty() && slot >= ue.csiRs->ended) {
        MeasureCsiRs(number, ue, slot);
    }
    if (ue.csiRs && !ue.csiRs->rsrpDbm.empty() && slot >= ue.csiRs->acted) {
        ActOnCsiRs(number, ue, slot);
    }
    if (ended > ue.bursts) {
        ue.bursts = ended;
        Burst(number, ue, ended - 1, slot);
    }
    if (!ue.report.empty() && slot >= ue.reportSlot) {
        Decide(number, ue, slot);
    }
    if (ue.given && *ue.given != ue.serving.gnb && !ue.next && ue.heard && !m_recovery.HasFailed(number)) {
        SwitchTo(number, ue, {*ue.given, BestFor(ue, m_codebook->SweepOf(*ue.given))}, slot);
    }
    if (Refines() && slot >= ue.nextCsiRs && !ue.csiRs && !ue.next && !ue.given && !m_recovery.HasFailed(number)) {
        Trigger(ue, true, m_codebook->SweepOf(ue.serving.gnb), slot);
    }
}

BeamManagement::Ue& BeamManagement::Current(std::uint32_t number, std::uint64_t slot) {
    Ue& ue = UeOf(number);
    if (!ue.begun) {
        Advance(number, ue, slot);
    }
    return ue;
}

std::uint32_t BeamManagement::BeamAt(std::uint32_t number, std::uint64_t slot) const {
    const Ue& ue = UeOf(number);
    return ue.next && slot >= ue.next->slot ? ue.next->beams.gnb : ue.serving.gnb;
}

BeamManagement::Pair BeamManagement::Serving(std::uint32_t number, std::uint64_t slot) {
    return Current(number, slot).serving;
}

std::vector<double> BeamManagement::Rsrp(std::uint32_t number, std::uint64_t slot) {
    return BestRsrp(Current(number, slot));
}

void BeamManagement::Check(std::uint32_t beam) const {
    if (beam >= m_codebook->NumBeams()) {
        throw std::invalid_argument("NR cell: analog beam " + std::to_string(beam) + "; legal are 0 to " +
                                    std::to_string(m_codebook->NumSweep() - 1) + " of the sweep, and narrow ones to " +
                                    std::to_string(m_codebook->NumBeams() - 1));
    }
}

std::uint64_t BeamManagement::Give(std::uint32_t number, std::optional<std::uint32_t> beam, std::uint64_t slot) {
    Ue& ue = Current(number, slot);
    if (beam) {
        Check(*beam);
        ue.csiRs.reset();
        ue.next.reset();
    }
    ue.given = beam;
    Advance(number, ue, slot);
    return ue.next ? ue.next->slot : slot;
}

void BeamManagement::Record(std::uint32_t number, BeamRecord::Event event, const Pair& beams, double rsrpDbm,
                            std::uint64_t slot) {
    if (!m_trace.IsEmpty()) {
        BeamRecord record{};
        record.time_ns = m_carrier.numerology.SlotStartNs(static_cast<std::int64_t>(slot));
        record.slot = slot;
        record.ue = number;
        record.event = event;
        record.beam = beams.gnb;
        record.ue_beam = beams.ue;
        record.rsrp_dbm = static_cast<float>(rsrpDbm);
        m_trace(record);
    }
}

} // namespace edgelam::nr
