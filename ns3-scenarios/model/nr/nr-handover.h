// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Handover and re-establishment of the UEs of a network (TS 38.300 9.2.3.2, TS 38.331 5.3.5 and 5.3.7).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ns3/event-id.h"

#include "nr-downlink-path.h"
#include "nr-handover-records.h"
#include "nr-measurements.h"
#include "nr-random-access.h"
#include "nr-signalling.h"

namespace edgelam::nr {

/// Sizes are those of typical messages with their lower headers; processing times those of TS 38.331 clause 12.
struct HandoverSettings {
    MeasurementSettings measurements;
    RandomAccessSettings access;
    DownlinkPath::Settings path;
    bool automatic = true;                          ///< a report leads to a handover to the best cell in it
    ns3::Time t304 = ns3::MilliSeconds(1000);       ///< longest time from a handover command to access
    ns3::Time t301 = ns3::MilliSeconds(1000);       ///< longest time of one attempt to re-establish
    ns3::Time t311 = ns3::Seconds(30);              ///< after a failure, until what waits is dropped
    ns3::Time preparation = ns3::MilliSeconds(500); ///< longest time of the messages between gNBs before the command
    ns3::Time ueProcessing = ns3::MilliSeconds(10), gnbProcessing = ns3::MilliSeconds(2);
    /// T_Evaluate_out of TS 38.133 8.1.2.2: how often the links of UEs are looked at that have nothing to send or get,
    /// rounded up to whole measurement periods. The others are looked at with each CSI report.
    ns3::Time monitoring = ns3::MilliSeconds(200);
    ns3::Time cellSearch = ns3::MilliSeconds(200); ///< after a failure
    ns3::Time store = ns3::Seconds(2); ///< Tstore_UE_cntxt: a failure this long after a handover is not its fault
    ns3::Time pingPong = ns3::Seconds(1);
    ns3::Time wait = ns3::Seconds(1); ///< of RRCReject: for so long a UE does not ask this cell again
    double leastRsrpDbm = -125;       ///< qRxLevMin: a cell that is weaker is not selected
    std::uint32_t reportBytes = 40, commandBytes = 250, completeBytes = 12, reestablishmentBytes = 24;
    std::uint32_t requestBytes = 700, acknowledgeBytes = 400, statusBytes = 60, contextBytes = 80; ///< Xn
    std::uint32_t failureBytes = 40; ///< Xn: handover preparation failure
    /// Throws std::invalid_argument naming the value and what is legal.
    void Check() const;
};

/// For each UE:
///
///     measurement report -> decision -> handover request and acknowledgement (Xn) -> handover command
///     -> the UE leaves; SN status and SDUs are forwarded (Xn) -> random access -> it enters; handover complete
///     -> path switch, end marker
///
/// Reports, commands and completions are messages of the signalling bearer. A radio link that fails, a signalling
/// message that RLC gives up, or T304 lead to re-establishment: the UE searches a cell, gets access to it by
/// contention, its context and its SDUs come from the gNB that has them, and RRC goes on.
///
/// A target that has no room for one more UE (PUCCH, see SrPeriod) answers with a handover preparation failure: the UE
/// stays, and its next report asks again. One that has room keeps it, and a preamble, as long as the handover takes;
/// with no preamble left, the UE comes by contention. A cell without room rejects a UE that would re-establish its
/// connection; this takes another cell, or asks again after a second (TS 38.423 8.2.1.3, TS 38.331 5.3.15).
///
/// Simplified: the UE leaves its cell at the moment it has the command, and both ends of the bearers know it; data goes
/// on as soon as random access has succeeded, also in a re-establishment; the uplink SDUs that the old gNB has received
/// out of order are at the new one at once; what the standard does after T311 or T301 (idle mode and a new connection)
/// is another search, with what waits dropped after T311.
class Handover {
  public:
    /// All UEs are attached. \param gnbOf [cell] numbers of gNBs: cells of one gNB need no messages between gNBs
    /// \param random of random access
    Handover(Network& network, Backhaul& backhaul, const std::vector<std::uint32_t>& gnbOf,
             const HandoverSettings& settings, ns3::Ptr<ns3::UniformRandomVariable> random);
    ~Handover();
    Handover(const Handover&) = delete;
    Handover& operator=(const Handover&) = delete;

    /// A packet for a UE has come to a gNB. \return false if it is dropped
    bool SendDown(std::uint32_t gnb, std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority,
                  unsigned bearer = 0) {
        return m_path.Send(gnb, ue, packet, priority, bearer);
    }

    /// Decide on a handover. \return why not, with the value and what is legal; or empty
    std::string Request(std::uint32_t ue, std::uint32_t target);
    /// Why Request would refuse it; or empty.
    std::string Refusal(std::uint32_t ue, std::uint32_t target) const;
    /// Whether reports lead to handovers by themselves.
    void SetAutomatic(bool automatic) { m_settings.automatic = automatic; }

    enum class Phase : std::uint8_t {
        Connected,
        Preparing,      ///< the handover is decided; the UE has not left yet
        Executing,      ///< between two cells, T304 runs
        Completing,     ///< in its new cell; the path is not switched yet
        Searching,      ///< after a failure
        Reestablishing, ///< random access after a failure
    };
    Phase GetPhase(std::uint32_t ue) const { return m_ues[ue].phase; }
    const HandoverCounts& GetCounts(std::uint32_t ue) const { return m_ues[ue].counts; }
    /// The newest event of a UE; time_ns -1: none yet.
    const HandoverRecord& GetLast(std::uint32_t ue) const { return m_ues[ue].last; }
    Measurements& GetMeasurements() { return m_measurements; }
    const DownlinkPath& GetPath() const { return m_path; }
    /// Set the function that gets each record (empty: none).
    void SetTrace(std::function<void(const HandoverRecord&)> trace) { m_trace = std::move(trace); }

  private:
    struct Ue {
        Phase phase = Phase::Connected;
        std::uint64_t procedure = 0; ///< of the one that runs; what belongs to an earlier one is ignored
        std::uint32_t source = 0, target = 0;
        ns3::Time started, left, access;
        unsigned preambles = 0;
        bool admitted = false;                       ///< the target keeps room for it
        std::map<std::uint32_t, ns3::Time> rejected; ///< until when, by cell
        ns3::EventId timer, t311, step;
        // The last handover that succeeded, for what comes after it.
        bool moved = false;
        std::uint32_t movedFrom = 0;
        ns3::Time movedAt;
        // The failure that led to a re-establishment.
        bool handoverFailed = false;
        bool afterHandover = false; ///< it came soon after a handover
        std::uint32_t failedFrom = 0, failedIn = 0;
        HandoverCounts counts{};
        HandoverRecord last{};
    };
    /// Calls `next` later, if the procedure is still the same.
    std::function<void()> Guarded(std::uint32_t ue, std::function<void()> next);
    void After(std::uint32_t ue, ns3::Time delay, std::function<void()> next);
    void Between(std::uint32_t fromCell, std::uint32_t toCell, std::uint32_t bytes, std::function<void()> arrived);
    void Begin(std::uint32_t ue, Phase phase);

    void Report(std::uint32_t ue, const std::vector<std::uint32_t>& cells);
    void Start(std::uint32_t ue, std::uint32_t target);
    void Command(std::uint32_t ue);
    void Leave(std::uint32_t ue);
    void Execute(std::uint32_t ue);
    void Enter(std::uint32_t ue, unsigned attempts);
    void Complete(std::uint32_t ue);
    /// Keep room in the target for the UE. \return whether there is some
    bool Admit(std::uint32_t ue);
    void Access(std::uint32_t ue, std::function<void(unsigned attempts)> done);
    /// The handover ends before the UE has left.
    void Abandon(std::uint32_t ue, HandoverEvent event);
    void Reject(std::uint32_t ue);
    void CheckLinks();
    void LinkFailed(std::uint32_t ue);
    void HandoverFailed(std::uint32_t ue);
    void Search(std::uint32_t ue);
    void Select(std::uint32_t ue);
    void FetchContext(std::uint32_t ue, unsigned attempts);
    void Reestablish(std::uint32_t ue);
    void StartT311(std::uint32_t ue);
    /// Random access to a cell: what is lost on the way is what its reference signals lose.
    double LossDb(std::uint32_t ue, std::uint32_t cell) const;
    void Record(std::uint32_t ue, HandoverRecord record);

    Network& m_network;
    Backhaul& m_backhaul;
    std::vector<std::uint32_t> m_gnbOf;
    HandoverSettings m_settings;
    Measurements m_measurements;
    Signalling m_signalling;
    DownlinkPath m_path;
    std::vector<std::unique_ptr<RandomAccessChannel>> m_access; ///< [cell]
    std::vector<std::uint32_t> m_coming;                        ///< [cell] UEs for which it keeps room
    std::vector<Ue> m_ues;
    ns3::Time m_monitored; ///< when the links of silent UEs were looked at last
    std::function<void(const HandoverRecord&)> m_trace;
};

} // namespace edgelam::nr
