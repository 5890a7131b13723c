// SPDX-License-Identifier: GPL-2.0-only
// Beam management: CSI-RS over narrow beams (P2), and over the beam in use for the UE's own beams (P3).
#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "nr-beam-management.h"

namespace edgelam::nr {

namespace {

constexpr unsigned beam_switch_symbols = 48; ///< beamSwitchTiming of TS 38.306, from a DCI to its CSI-RS
constexpr unsigned beam_switch_slots = (beam_switch_symbols + symbols_per_slot - 1) / symbols_per_slot;

} // namespace

std::uint32_t BeamManagement::BestNarrow(std::uint32_t number, Ue& ue, std::uint32_t sweep, std::uint32_t with,
                                         std::uint64_t slot) {
    const auto beams = NarrowBeams(sweep);
    const auto dbm = m_meter->Measure(Listen(number, ue, with, slot), beams, RsrpMeter::Signal::CsiRs);
    const auto best = std::ranges::max_element(dbm);
    const std::uint32_t beam = beams[static_cast<std::size_t>(best - dbm.begin())];
    Record(number, BeamRecord::refine, {beam, with}, *best, slot);
    return beam;
}

std::vector<std::uint32_t> BeamManagement::NarrowBeams(std::uint32_t sweep) const {
    std::vector<std::uint32_t> beams(m_codebook->NumNarrow());
    std::iota(beams.begin(), beams.end(), m_codebook->Narrow(sweep, 0));
    return beams;
}

unsigned BeamManagement::CsiRsSymbols(std::uint64_t slot) const {
    const Taking& taking = m_csiRs[slot % m_csiRs.size()];
    return taking.slot == slot ? taking.symbols : 0;
}

/// One symbol for each resource, in the first downlink symbols that are free.
void BeamManagement::Trigger(Ue& ue, bool narrow, std::uint32_t beam, std::uint64_t slot) {
    unsigned left = narrow ? m_codebook->NumNarrow() : ue.NumBeams();
    m_csiRsSymbols += left;
    const std::uint64_t first = slot + std::max(m_carrier.settings.gnbDelay + 1, beam_switch_slots);
    std::uint64_t at = first;
    for (; left > 0 && at < first + m_csiRs.size() / 2; ++at) {
        const unsigned symbols = m_carrier.PlanOf(at).downSymbols, taken = Taken(at);
        const unsigned more = std::min(left, symbols - std::min(symbols, taken));
        m_csiRs[at % m_csiRs.size()] = {at, CsiRsSymbols(at) + more};
        left -= more;
    }
    m_csiRsSymbols -= left; // no room: a pattern with hardly any downlink
    ue.csiRs = CsiRs{narrow, beam, at, m_carrier.FeedbackSlot(at - 1), {}};
}

void BeamManagement::MeasureCsiRs(std::uint32_t number, Ue& ue, std::uint64_t slot) {
    CsiRs& csiRs = *ue.csiRs;
    ue.panels->Follow();
    if (csiRs.narrow) {
        const auto beams = NarrowBeams(csiRs.beam);
        const std::uint32_t with =
            csiRs.beam == m_codebook->SweepOf(ue.serving.gnb) ? ue.serving.ue : BestFor(ue, csiRs.beam);
        csiRs.rsrpDbm = m_meter->Measure(Listen(number, ue, with, slot), beams, RsrpMeter::Signal::CsiRs);
        SendReport(number, ue, m_codebook->NumNarrow());
        const auto best = std::ranges::max_element(csiRs.rsrpDbm);
        Record(number, BeamRecord::refine, {beams[static_cast<std::size_t>(best - csiRs.rsrpDbm.begin())], with}, *best,
               slot);
        return;
    }
    double most = -std::numeric_limits<double>::infinity();
    std::uint32_t best = 0;
    for (std::uint32_t beam = 0; beam < ue.NumBeams(); ++beam) {
        const double dbm =
            m_meter->Measure(Listen(number, ue, beam, slot), {&csiRs.beam, 1}, RsrpMeter::Signal::CsiRs).front();
        if (dbm > most) {
            most = dbm;
            best = beam;
        }
    }
    Record(number, BeamRecord::receive, {csiRs.beam, best}, most, slot);
    if (csiRs.beam == ue.serving.gnb && best != ue.serving.ue && !ue.next) {
        Use(number, ue, {ue.serving.gnb, best}, slot);
    }
    ue.csiRs.reset();
}

void BeamManagement::ActOnCsiRs(std::uint32_t number, Ue& ue, std::uint64_t slot) {
    const CsiRs csiRs = *std::exchange(ue.csiRs, {});
    const auto report = ReportBeams(csiRs.rsrpDbm, m_carrier.settings.reportedBeams);
    ue.nextCsiRs = slot + m_carrier.SlotsOf(m_carrier.settings.csiRsPeriod);
    if (ue.given || ue.next || !ue.heard || m_recovery.HasFailed(number)) {
        return;
    }
    const bool same = csiRs.beam == m_codebook->SweepOf(ue.serving.gnb);
    const std::uint32_t with = same ? ue.serving.ue : BestFor(ue, csiRs.beam);
    double own = -std::numeric_limits<double>::infinity();
    for (const auto& each : report) {
        const std::uint32_t beam = m_codebook->Narrow(csiRs.beam, each.beam);
        Record(number, BeamRecord::report, {beam, with}, each.rsrpDbm, slot);
        Activate(ue, beam, slot);
        own = beam == ue.serving.gnb ? each.rsrpDbm : own;
    }
    const std::uint32_t best = m_codebook->Narrow(csiRs.beam, report.front().beam);
    if (best != ue.serving.gnb && report.front().rsrpDbm >= own + m_carrier.settings.beamMarginDb) {
        SwitchTo(number, ue, {best, with}, slot);
    }
    if (ue.NumBeams() > 1) {
        Trigger(ue, false, ue.next ? ue.next->beams.gnb : ue.serving.gnb, ue.next ? ue.next->slot : slot);
    }
}

} // namespace edgelam::nr
