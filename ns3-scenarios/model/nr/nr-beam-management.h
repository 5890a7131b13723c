// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Which analog beams a gNB and its UEs use: sweep, reports, refinement and switching (TR 38.802 6.1.6,
/// TS 38.214 5.1.5, 5.1.6 and 5.2).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ns3/traced-callback.h"

#include "nr-analog-codebook.h"
#include "nr-beam-recovery.h"
#include "nr-links.h"
#include "nr-records.h"
#include "nr-rsrp-meter.h"
#include "nr-rsrp-report.h"
#include "nr-ssb-burst.h"
#include "nr-ue-panels.h"

namespace edgelam::nr {

/// Sweep (P1): in each SS burst, the gNB sends one SSB over each beam of the sweep (AnalogCodebook). A UE listens to a
/// whole burst with one of its own beams (DFT beams of each panel, all orthogonal), and to the next burst with the next
/// one; it knows the newest L1-RSRP of each pair. After each burst it reports the strongest SSBs, each with its best
/// beam of the UE (nr-rsrp-report). The report takes as long as HARQ feedback for a block in the last SSB's slot.
///
/// The gNB serves a UE over the strongest beam in its reports, but leaves the present one only for one that is
/// BeamMargin stronger. Refinement: for a new strongest SSB, and every CsiRsPeriod, CSI-RS are sent in one symbol over
/// each narrow beam around it (P2); the UE reports the strongest as above, and the gNB takes it. Then as many symbols
/// over the beam in use let the UE find its own (P3). All these symbols, like those of SSBs, carry no data on any
/// resource block, since they have beams of their own. CSI-RS begin 48 symbols (beamSwitchTiming) after the gNB wants
/// them.
///
/// A switch needs a TCI state for the new beam. Those of beams in a report are activated with a MAC CE, 3 ms after its
/// HARQ feedback (TS 38.214 5.1.5); up to 8 are active. Between the DCI that indicates the state and the first slot
/// over the new beam are timeDurationForQCL symbols, and all grants that were given before are sent first. The new
/// beams are then those of both directions (beam correspondence), and CSI is measured anew.
///
/// Failure (BeamRecovery): in each burst period a UE also measures the beam that serves it. If PDCCH would be lost in
/// 10 % of all cases (Qout, with one port), this is a beam failure instance, and nothing that UE and gNB tell each
/// other about beams arrives until it is better. BeamFailureInstanceMaxCount of them, with no pause of
/// BeamFailureDetectionTimer measurements, are a failure. The UE then takes the SSB that it knows as the strongest, if
/// that has BeamCandidateRsrp, and gets access over it; its beam is the new one of both 28 symbols after the answer.
///
/// A UE that has nothing to send or get for a while is as if all this had gone on: it then begins with a whole sweep.
///
/// RsrpMeter tells what UEs measure, and with which errors. The bits of reports take room in the UE's uplink blocks
/// like those of CSI (Mac). Simplified: a burst is measured at one moment, its end; each period of preambles has an
/// occasion for each SSB, which takes no resource blocks; PDCCH, PUCCH and SRS are not limited by the beam of their
/// slot; other cells disturb data only; MAC CEs take no resource blocks; while the serving beam is good, reports and
/// MAC CEs are never lost, and the gNB acts on reports in time even if an uplink block with room for them comes later.
class BeamManagement {
  public:
    using Trace = ns3::TracedCallback<const BeamRecord&>;
    /// Throws std::invalid_argument for an array or settings that do not go together; the text says what is legal.
    /// \param random for random access, see RandomAccessChannel, and for the noise of RSRP; \param sent called when a
    /// UE sends a preamble
    BeamManagement(const Carrier& carrier, Links& links, const ns3::PhasedArrayModel& array,
                   ns3::Ptr<ns3::UniformRandomVariable> random, std::function<void(std::uint32_t ue, double dbm)> sent,
                   const Trace& trace);

    /// A UE whose link exists. \param link to each of its panels
    void Add(std::uint32_t ue, std::unique_ptr<UePanels> panels, std::vector<ns3::Ptr<ChannelLink>> links);
    /// A UE leaves.
    void Remove(std::uint32_t ue);
    /// Bring all UEs up to date with the beginning of this slot.
    void Advance(std::uint64_t slot);
    /// Symbols of a slot that SSBs and CSI-RS take.
    unsigned Taken(std::uint64_t slot) const { return m_burst->Symbols(slot) + CsiRsSymbols(slot); }
    /// Bytes of the newest report that a UE has made since this was asked last; 0: none.
    std::uint32_t TakeReportBytes(std::uint32_t ue);
    /// The gNB's beam with which a UE is served in a slot, as far as that has been decided.
    std::uint32_t BeamAt(std::uint32_t ue, std::uint64_t slot) const;

    /// The beams that serve a UE now.
    struct Pair {
        std::uint32_t gnb, ue;
    };
    Pair Serving(std::uint32_t ue, std::uint64_t slot);
    /// [SSB] L1-RSRP that the UE has measured last with its best beam, dBm.
    std::vector<double> Rsrp(std::uint32_t ue, std::uint64_t slot);
    AnalogCodebook& Codebook() { return *m_codebook; }
    const SsbBurst& Burst() const { return *m_burst; }
    std::uint32_t NumUeBeams(std::uint32_t ue) const { return UeOf(ue).NumBeams(); }
    /// Symbols of CSI-RS sent so far.
    std::uint64_t CsiRsSymbolsSoFar() const { return m_csiRsSymbols; }
    /// From now on a UE is served over this beam, whatever it reports; empty: by its reports again. It takes the time
    /// that every switch takes, and waits as long as the serving beam is bad. Throws std::invalid_argument for a beam
    /// that does not exist. \return its first slot
    std::uint64_t Give(std::uint32_t ue, std::optional<std::uint32_t> beam, std::uint64_t slot);
    /// Throws std::invalid_argument for a beam that does not exist.
    void Check(std::uint32_t beam) const;
    /// Ports of the gNB and of a UE.
    unsigned NumPorts() const { return m_codebook->NumPorts(); }
    unsigned NumUePorts(std::uint32_t ue) const { return UeOf(ue).codebook->NumPorts(); }

  private:
    /// CSI-RS that have been triggered.
    struct CsiRs {
        bool narrow;         ///< over the narrow beams around `beam` (P2); otherwise over `beam` again and again (P3)
        std::uint32_t beam;  ///< of the sweep, with P2
        std::uint64_t ended; ///< slot in which all have been sent
        std::uint64_t acted; ///< slot in which the gNB has the report
        std::vector<double> rsrpDbm; ///< [narrow beam]; empty: not measured yet
    };
    struct Switch {
        Pair beams;
        std::uint64_t slot;
    };
    /// An active TCI state.
    struct Tci {
        std::uint32_t beam;
        std::uint64_t from;
    };
    struct Ue {
        std::unique_ptr<UePanels> panels;
        std::vector<ns3::Ptr<ChannelLink>> links; ///< [panel]
        std::unique_ptr<AnalogCodebook> codebook; ///< of each panel
        std::vector<double> rsrpDbm;              ///< [SSB, UE beam], as measured last
        bool begun = false;
        std::uint64_t bursts = 0; ///< measured or missed so far
        Pair serving{};
        std::optional<Switch> next;
        std::vector<Tci> active;
        std::vector<ReportedBeam> report;
        std::uint64_t reportSlot = 0;  ///< in which the gNB has it
        std::uint32_t reportBytes = 0; ///< of the newest report, see TakeReportBytes
        std::optional<CsiRs> csiRs;
        std::uint64_t nextCsiRs = 0; ///< not before this slot
        std::optional<std::uint32_t> given;
        bool heard = true; ///< whether the serving beam was good when it was measured last
        Pair candidate{};  ///< after a failure
        std::uint32_t NumBeams() const { return static_cast<std::uint32_t>(links.size()) * codebook->NumSweep(); }
    };
    Ue& UeOf(std::uint32_t ue) const { return *m_ues.at(ue); }
    Ue& Current(std::uint32_t ue, std::uint64_t slot);
    void Advance(std::uint32_t number, Ue& ue, std::uint64_t slot);
    /// A UE that listens with one of its beams.
    RsrpMeter::Listener Listen(std::uint32_t number, const Ue& ue, std::uint32_t ueBeam, std::uint64_t slot);
    /// A report about this many beams is sent, unless the serving beam is bad.
    void SendReport(std::uint32_t number, Ue& ue, unsigned beams);
    /// Measure a burst with one beam of the UE.
    void Sweep(std::uint32_t number, Ue& ue, std::uint32_t ueBeam, std::uint64_t slot);
    /// The UE's best beam for an SSB.
    static std::uint32_t BestFor(const Ue& ue, std::uint32_t ssb);
    std::vector<double> BestRsrp(const Ue& ue) const;
    /// Serve a UE over the best pair of a whole sweep, at once.
    void Begin(std::uint32_t number, Ue& ue, std::uint64_t slot);
    std::vector<std::uint32_t> NarrowBeams(std::uint32_t sweep) const;
    /// The strongest narrow beam around one of the sweep, as one of the UE's beams hears it.
    std::uint32_t BestNarrow(std::uint32_t number, Ue& ue, std::uint32_t sweep, std::uint32_t with, std::uint64_t slot);
    void Burst(std::uint32_t number, Ue& ue, std::uint64_t burst, std::uint64_t slot);
    /// Measure the serving beam, and look for another one if it has failed.
    void WatchServing(std::uint32_t number, Ue& ue, std::uint64_t slot);
    /// Of the candidate, which is chosen anew if another is stronger by now.
    double CandidateLossDb(std::uint32_t number);
    std::uint64_t SlotNow() const;
    void Recover(std::uint32_t number);
    bool ChooseCandidate(Ue& ue) const;
    /// The gNB acts on reports.
    void Decide(std::uint32_t number, Ue& ue, std::uint64_t slot);
    void Trigger(Ue& ue, bool narrow, std::uint32_t beam, std::uint64_t slot);
    void MeasureCsiRs(std::uint32_t number, Ue& ue, std::uint64_t slot);
    void ActOnCsiRs(std::uint32_t number, Ue& ue, std::uint64_t slot);
    /// \return the first slot with these beams
    std::uint64_t SwitchTo(std::uint32_t number, Ue& ue, const Pair& beams, std::uint64_t slot);
    void Use(std::uint32_t number, Ue& ue, const Pair& beams, std::uint64_t slot);
    /// The first slot in which a beam's TCI state is active, which it becomes if it is not.
    std::uint64_t Activate(Ue& ue, std::uint32_t beam, std::uint64_t slot) const;
    bool Refines() const { return m_carrier.settings.csiRsPeriod.IsStrictlyPositive() && m_codebook->NumNarrow() > 1; }
    unsigned CsiRsSymbols(std::uint64_t slot) const;
    void Record(std::uint32_t number, BeamRecord::Event event, const Pair& beams, double rsrpDbm, std::uint64_t slot);

    const Carrier& m_carrier;
    Links& m_links;
    const Trace& m_trace;
    std::unique_ptr<AnalogCodebook> m_codebook;
    std::unique_ptr<SsbBurst> m_burst;
    std::unique_ptr<RsrpMeter> m_meter;
    BeamRecovery m_recovery;
    std::vector<std::uint32_t> m_sweep; ///< beams of the sweep
    std::vector<std::unique_ptr<Ue>> m_ues;
    struct Taking {
        std::uint64_t slot = 0;
        unsigned symbols = 0;
    };
    std::vector<Taking> m_csiRs; ///< [slot mod size] symbols of CSI-RS; of another slot: none
    std::uint64_t m_csiRsSymbols = 0;
};

} // namespace edgelam::nr
