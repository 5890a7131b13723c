// SPDX-License-Identifier: GPL-2.0-only
// Beam management: the serving beam is watched, and another one is looked for when it has failed.
#include <algorithm>

#include "ns3/simulator.h"

#include "nr-beam-management.h"

namespace edgelam::nr {

namespace {

constexpr unsigned recovery_symbols = 28; ///< from the answer to a preamble to the new beam (TS 38.213 6)
constexpr unsigned recovery_slots = (recovery_symbols + symbols_per_slot - 1) / symbols_per_slot;

} // namespace

std::uint64_t BeamManagement::SlotNow() const {
    return static_cast<std::uint64_t>(m_carrier.numerology.SlotAt(ns3::Simulator::Now().GetNanoSeconds()));
}

void BeamManagement::WatchServing(std::uint32_t number, Ue& ue, std::uint64_t slot) {
    const std::uint32_t serving = ue.serving.gnb;
    const double dbm =
        m_meter->Measure(Listen(number, ue, ue.serving.ue, slot), {&serving, 1}, RsrpMeter::Signal::Ssb).front();
    ue.heard = m_meter->Sinr(dbm) >= m_carrier.control.outOfSync;
    if (!ue.heard) { // what the UE knew of the SSB is no better than this
        double& known = ue.rsrpDbm[std::size_t{m_codebook->SweepOf(serving)} * ue.NumBeams() + ue.serving.ue];
        known = std::min(known, dbm);
    }
    if (!ue.heard && !m_recovery.HasFailed(number)) {
        Record(number, BeamRecord::bad, ue.serving, dbm, slot);
    }
    if (m_recovery.Measure(number, !ue.heard, slot)) {
        Record(number, BeamRecord::failed, ue.serving, dbm, slot);
        ue.csiRs.reset();
        ue.next.reset();
    }
    if (m_recovery.HasFailed(number) && !m_recovery.Seeks(number) && !ue.next && ChooseCandidate(ue)) {
        m_recovery.Seek(
            number, [this, number] { return CandidateLossDb(number); }, [this, number] { Recover(number); },
            [this, number] { m_links.Radio(number).Fail(SlotNow()); });
    }
}

bool BeamManagement::ChooseCandidate(Ue& ue) const {
    const auto dbm = BestRsrp(ue);
    const auto best = std::ranges::max_element(dbm);
    if (*best < m_carrier.settings.beamCandidateDbm) {
        return false;
    }
    const auto ssb = static_cast<std::uint32_t>(best - dbm.begin());
    ue.candidate = {ssb, BestFor(ue, ssb)};
    return true;
}

double BeamManagement::CandidateLossDb(std::uint32_t number) {
    Ue& ue = UeOf(number);
    ChooseCandidate(ue);
    return m_meter->SubcarrierDbm() - m_meter->Exact(Listen(number, ue, ue.candidate.ue, SlotNow()), ue.candidate.gnb);
}

void BeamManagement::Recover(std::uint32_t number) {
    Ue& ue = UeOf(number);
    const std::uint64_t slot = SlotNow() + 1;
    Record(number, BeamRecord::found, ue.candidate,
           ue.rsrpDbm[std::size_t{ue.candidate.gnb} * ue.NumBeams() + ue.candidate.ue], slot);
    m_recovery.Reset(number);
    ue.report.clear();
    ue.active.insert(ue.active.begin(), {ue.candidate.gnb, slot});
    ue.next = Switch{ue.candidate, slot + std::max<std::uint64_t>(recovery_slots, m_carrier.longestGrant + 1)};
}

} // namespace edgelam::nr
