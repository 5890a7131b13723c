// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One 5G NR cell: a gNB and its UEs, from bearers down to transport blocks, slot by slot.
#pragma once

#include <algorithm>
#include <array>
#include <complex>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/object.h"
#include "ns3/random-variable-stream.h"
#include "ns3/traced-callback.h"

#include "nr-bands.h"
#include "nr-bearer.h"
#include "nr-error-model.h"
#include "nr-external-beamformer.h"
#include "nr-external-scheduler.h"
#include "nr-frame.h"
#include "nr-harq.h"
#include "nr-interference.h"
#include "nr-modulation.h"
#include "nr-records.h"
#include "nr-scheduler.h"
#include "nr-shared-slot.h"
#include "nr-transport-block.h"
#include "radio-channel.h"

namespace edgelam::nr {

/// The cell does its work at slot boundaries, and only while there is something to do: with nothing to send it has no
/// events.
///
/// Downlink: what has come before the start of slot n is put into blocks there, is on the air in slot n + GnbDelay, and
/// is handed up at the start of slot n + GnbDelay + 1 + UeDelay. HARQ feedback for a block of slot s goes in the first
/// slot with uplink symbols that is K1 or more after s and not before the UE has decoded; the gNB acts on it 1 +
/// GnbDelay slots later.
///
/// Uplink: a UE with data that the gNB does not know of sends a scheduling request in the next slot m with uplink
/// symbols; the gNB acts on it in slot m + 1 + GnbDelay. Slot u is granted by the last slot with downlink symbols that
/// is K2 or more before u; who gets it is decided GnbDelay slots before that. Its blocks are handed up at the start of
/// slot u + 1 + GnbDelay.
///
/// A slot carries data in a direction if it has enough symbols of it: with those of control taken off and DMRS, 36
/// resource elements in a resource block; in uplink more than 2 symbols (2 are for sounding and short PUCCH).
///
/// Simplified: control channels are never lost and never full (their symbols are taken off); buffer status is not
/// quantised, and a report that is lost with its block is followed by a scheduling request at once; timing advance is
/// ideal; one bearer a direction and UE; UEs are always connected, and one that slept reports as if its CSI reports had
/// gone on; in FDD both directions fade alike.
class Cell : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();
    Cell();
    ~Cell() override;

    /// The gNB. Call before the first AddUe. Throws std::invalid_argument for settings that do not go together:
    /// bandwidth and numerology, frequency range, pattern.
    void SetGnb(ns3::Ptr<RadioChannel> channel, ns3::Ptr<ns3::MobilityModel> mobility,
                ns3::Ptr<ns3::PhasedArrayModel> array);
    /// \return the UE's number, 0, 1, ...
    std::uint32_t AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                        const BearerSettings& bearer = {});
    std::uint32_t NumUes() const { return static_cast<std::uint32_t>(m_ues.size()); }

    /// Into the bearer towards (downlink) or from (uplink) a UE. \return false if its buffer is full
    /// \param priority 0 to 7: higher ones go first
    bool SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    bool SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    /// Point-to-multipoint delivery (PTM of TS 38.300 16.10): a downlink bearer of its own (PDCP, RLC UM) to these UEs,
    /// each block sent once; see nr-cell-multicast.cc. Throws std::invalid_argument for no UE, one that does not exist,
    /// or one named twice.
    /// \return the number of the group, 0, 1, ...; no other has had it
    std::uint32_t AddMulticast(const std::vector<std::uint32_t>& ues);
    /// Into a group's bearer. Each receiver gets a copy of its own. \return false if the buffer is full
    bool SendMulticast(std::uint32_t group, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    /// Forget a group. \return false, and it stays, while something of it waits or is under way
    bool RemoveMulticast(std::uint32_t group);
    const Bearer& MulticastBearer(std::uint32_t group) const; ///< the sending end
    /// Who gets packets at the UE (downlink) and at the gNB (uplink), with the UE's number.
    using Deliver = std::function<void(std::uint32_t ue, ns3::Ptr<ns3::Packet>)>;
    void SetDeliver(Deliver atUe, Deliver atGnb);

    /// External scheduler: parts of the band, least numbers of resource blocks (rounded up to groups of them), and caps
    /// in resource blocks of a slot (see ExternalScheduler) of each UE in both directions. Throws
    /// std::invalid_argument, and changes nothing, for other numbers of UEs, shares outside 0 to 1, a sum above 1, more
    /// blocks than there are, or another scheduler. Takes effect in the next slot that is scheduled; \return its number
    std::uint64_t SetShares(const std::vector<double>& down, const std::vector<double>& up);
    std::uint64_t SetLeastPrbs(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up);
    std::uint64_t SetPrbCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up);

    /// External beams: weights of the gNB for each UE and each group of resource blocks, complex64 [ue, group, element,
    /// layer] in C order with MaxLayers layers; see ReadPrecoders. A UE sends (downlink) as many layers as it has been
    /// given; without a precoder (all zero, as at first) it has eigenvectors. Throws std::invalid_argument, and changes
    /// nothing, for what ReadPrecoders refuses, more layers than a UE has antennas for, or other beams. Everything that
    /// is sent or decided from the next slot on goes through them; \return its number. With its first block from then
    /// on a UE reports the CQI that they have (CSI-RS are precoded alike).
    std::uint64_t SetPrecoders(std::span<const std::complex<float>> weights);

    /// What disturbs the receivers from now on; null: nothing. They know it, for CSI reports and link adaptation, as a
    /// mean over what they met in reports and blocks.
    void SetInterference(std::shared_ptr<InterferenceSource> source);

    /// Groups of resource blocks, each of PrbsPerGroup but the last, which may have fewer.
    unsigned NumGroups() const { return m_numGroups; }
    /// Middle of each group, relative to the carrier.
    std::vector<double> GroupCentresHz() const;
    /// Where SINR is taken, relative to the carrier: the same number in every group.
    const std::vector<double>& SampleOffsetsHz() const { return m_offsetsHz; }
    unsigned NumPrbs() const { return m_numPrbs; }
    /// Resource blocks of a resource block group, TS 38.214 table 5.1.2.2.1-1; 32 and 64 in carriers wider than that.
    unsigned PrbsPerGroup() const { return m_prbsPerGroup; }
    const Numerology& GetNumerology() const { return *m_numerology; }
    const Bearer& DownBearer(std::uint32_t ue) const;
    const Bearer& UpBearer(std::uint32_t ue) const;
    /// Smoothed throughput of the schedulers, bit/s.
    double DownThroughputBps(std::uint32_t ue) const;
    double UpThroughputBps(std::uint32_t ue) const;
    /// Once the gNB is set.
    const ns3::Ptr<Scheduler>& GetScheduler(Direction direction) const {
        return direction == Direction::Downlink ? m_schedulerDown : m_schedulerUp;
    }
    const ns3::Ptr<Beamformer>& GetBeamformer() const { return m_beamformer; }

    /// \return number of streams used
    std::int64_t AssignStreams(std::int64_t stream);

    using BlockCallback = void (*)(const TransportBlockRecord&);
    using CsiCallback = void (*)(const CsiReportRecord&);
    using PacketCallback = void (*)(const PacketRecord&);

  protected:
    void DoDispose() override;

  private:
    static constexpr unsigned num_harq = 16;
    static constexpr std::uint32_t report_bytes = 5;        ///< long buffer status report with its MAC subheader
    static constexpr std::uint32_t least_status_bytes = 16; ///< of room, for a report that tells of what is missing

    /// A block at a receiver.
    struct Reception {
        SoftBuffer soft;
        double luck = 0;
        bool decoded = false;
        void Begin(double drawn) {
            soft.Clear();
            luck = drawn;
            decoded = false;
        }
    };

    struct Process {
        std::vector<RlcPdu> pdus;
        std::optional<RlcStatus> status;
        std::vector<std::uint32_t> groups; ///< of the transmission that is due; other UEs may have the same ones
        std::uint64_t reportedBytes = 0;   ///< uplink: the buffer status report in it, and its number
        std::uint8_t reportedPriority = 0; ///< uplink: the highest in the report
        std::uint64_t report = 0;
        std::uint32_t bits = 0;
        std::uint8_t mcs = 0, layers = 1, attempts = 0;
        bool lowest = false; ///< no lower MCS could have been chosen, whatever link adaptation asked for
        CodeBlocks blocks{};
        Reception reception; ///< with one receiver
    };

    /// Quality of a link as the gNB knows it.
    struct Quality {
        unsigned layers = 1;
        std::vector<float> sinrDb; ///< [RBG] effective
        double mean = 0;           ///< bit/s/Hz of one layer that they allow
    };

    struct Side {
        explicit Side(const BearerSettings& settings) : bearer(settings) {}
        Bearer bearer;
        std::array<Process, num_harq> harq;
        std::uint16_t busy = 0;  ///< bit of each process that holds a block
        std::uint16_t again = 0; ///< whose block is to be sent again, as the gNB knows
        Quality quality, pending;
        std::vector<float> meanRise; ///< [sample] measured mean of noise and interference over noise; empty: none yet
        double outerLoopDb = 0;
        double averageBps = 0;
        std::uint64_t averagedSlot = 0;
        std::vector<float> bitsPerGroup;
        std::optional<unsigned> givenMcs; ///< instead of link adaptation
    };

    /// Channel state reports: when the last one was, and from which slot on it is used.
    struct Reports {
        std::uint64_t measuredSlot = 0, adoptSlot = 0;
        bool measured = false, pending = false;
    };

    struct Ue {
        Ue(UeLink to, const BearerSettings& settings)
            : number(to.GetUe()), link(std::move(to)), down(settings), up(settings) {}
        std::uint32_t number;
        UeLink link;
        Side down, up;
        double lossDb = 0; ///< path loss as last measured
        Reports reports;
        // Buffer status. Reports and requests are numbered: retransmitted ones may come late.
        std::uint64_t told = 0;       ///< UE: what its last report said
        std::uint64_t lastReport = 0; ///< UE: number of it
        bool requested = false;       ///< UE: a scheduling request without a grant since
        std::uint32_t grants = 0;     ///< UE: grants for slots to come
        std::uint64_t heard = 0;      ///< gNB: number of the newest report it has
        std::uint64_t knownBytes = 0; ///< gNB: the backlog in it
        unsigned knownPriority = 0;   ///< gNB: the highest in it
    };

    /// One of several that a multicast group is sent to.
    struct Receiver {
        Receiver(std::uint32_t number, const BearerSettings& settings) : ue(number), bearer(settings) {}
        std::uint32_t ue;
        Bearer bearer; ///< the receiving end
        std::array<Reception, num_harq> harq;
        std::uint16_t handed = 0; ///< bit of each process whose block has gone up
        bool reached = true;      ///< as last measured
    };

    struct Multicast {
        explicit Multicast(const BearerSettings& settings) : side(settings) {}
        Side side;
        std::vector<std::unique_ptr<Receiver>> receivers;
        std::optional<PortWeights> beam, pendingBeam;
        Reports reports;
    };

    enum class What : std::uint8_t {
        SendDown,
        DownReceived,
        DownFeedback,
        Request,
        SendUp,
        UpReceived,
        SendMulticast,
        MulticastReceived,
        MulticastFeedback
    };
    struct Action {
        What what;
        std::uint8_t harq;
        std::uint32_t number;      ///< of the UE or multicast group
        std::uint64_t report;      ///< of a scheduling request
        std::uint8_t priority = 0; ///< of a scheduling request
    };

    /// Somebody who has something to send in a slot, and the process to do it with.
    struct Asking {
        What what;            ///< SendDown, SendUp, SendMulticast
        std::uint32_t number; ///< of the UE or multicast group
        Side* side;
        std::uint8_t harq = 0;
    };

    void SetSlots();
    void CheckExternal(const char* what, const char* attribute, const std::string& value) const;
    /// The schedulers of both directions, if they take shares.
    std::array<ns3::Ptr<ExternalScheduler>, 2> ExternalSchedulers(const char* what) const;
    /// Noise and interference over noise at each SINR sample, as the receiving end meets it in this slot; empty if
    /// there is no source. The receiver learns from it.
    std::span<const float> Rise(Ue& ue, Direction direction, std::uint64_t slot);
    std::uint64_t NextSlot() const;
    void Wake();
    void Slot();
    void ScheduleSlot();
    bool Busy() const;
    void Do(const Action& action, std::uint64_t slot);
    void At(std::uint64_t slot, Action action);
    void DoMulticast(const Action& action, std::uint64_t slot);
    void Feedback(Side& side, unsigned harq, bool decoded);
    static void Finish(Side& side, unsigned harq, bool decoded, unsigned maxTransmissions);
    void Adapt(Side& side, const Process& process, bool decoded) const;
    void UpReceived(Ue& ue, unsigned harq);
    void ScheduleDown(std::uint64_t slot, unsigned symbols);
    void ScheduleUp(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols);
    void AskMulticasts(std::uint64_t slot, unsigned symbols);
    /// \param turn where it stands among all that a scheduler knows
    void AddCandidate(std::uint32_t turn, Asking asking, std::uint64_t slot, unsigned symbols, std::uint64_t bytes,
                      unsigned priority);
    static std::uint64_t StatusAsked(const Ue& ue);
    void Together(std::vector<SharedSlot>& slots, std::uint64_t slot);
    /// Divides the slot among the candidates. In m_asking those are left who got something; which groups stands in
    /// their processes.
    void Share(Scheduler& scheduler, Direction direction, std::uint64_t forSlot);
    /// The SINR of a UE's block: alone on its groups, or beside others.
    const SinrMap& DownlinkSinr(Ue& ue, unsigned layers, std::uint64_t slot);
    const SinrMap& UplinkSinr(Ue& ue, const Process& process, std::uint64_t slot);
    static bool GrantAgain(Side& side, unsigned harq);
    bool GrantDown(Ue& ue, unsigned harq, unsigned symbols, std::uint64_t slot);
    void GrantUp(Ue& ue, unsigned harq, unsigned symbols, std::uint64_t slot);
    bool GrantMulticast(Multicast& multicast, unsigned harq, unsigned symbols, std::uint64_t slot);
    void Fill(Side& side, unsigned harq, unsigned layers, unsigned symbols, double offsetDb);
    bool TakeData(Side& side, unsigned harq, std::uint32_t room, std::uint64_t slot, bool admitted = true);
    std::uint64_t FeedbackSlot(std::uint64_t slot) const;
    void TransmitDown(std::uint32_t number, unsigned harq, std::uint64_t slot);
    void TransmitUp(std::uint32_t number, unsigned harq, std::uint64_t slot);
    void TransmitMulticast(std::uint32_t number, Multicast& multicast, unsigned harq, std::uint64_t slot);
    void Request(std::uint64_t slot);
    /// The highest of what a UE has to send.
    static std::uint8_t UplinkPriority(const Ue& ue) {
        return static_cast<std::uint8_t>(std::max(ue.up.bearer.Priority(), ue.down.bearer.StatusPriority()));
    }
    /// Bytes of grants whose blocks say more than the newest report that the gNB has.
    std::uint64_t BytesComing(const Ue& ue) const;
    /// Calls measure(paused) and adopt() when they are due; paused: reports have been missing.
    template<class MeasureNow, class Adopt>
    void Report(Reports& reports, std::uint64_t slot, MeasureNow measure, Adopt adopt);
    void Measure(Ue& ue, std::uint64_t slot);
    void Measure(Multicast& multicast, std::uint64_t slot);
    void FindBeam(Multicast& multicast);
    void TraceReport(const Ue& ue) const;
    /// What this bearer delivers goes to the trace source PacketDelivered; `like` says whose it is.
    void TracePackets(Bearer& bearer, PacketRecord like);
    void MeasureGroups(const SinrMap& map, bool asCqi, Quality& out);
    /// What m_tried has measured becomes a side's pending quality if it is the better one.
    void KeepBetter(Side& side);
    void FillRates(Side& side, unsigned symbols) const;
    void Average(Side& side, std::uint64_t slot, double bits) const;
    unsigned PrbsOf(std::uint32_t group) const;
    unsigned PrbsOf(const std::vector<std::uint32_t>& groups) const;
    /// Power of one resource block of the gNB over the noise of one at the UE.
    double DownlinkSnr() const;
    unsigned DataElements(unsigned prbs, unsigned symbols) const;
    unsigned HighestAt(double sinrDb) const;
    unsigned McsFor(const Side& side, const std::vector<std::uint32_t>& groups, double offsetDb) const;
    double UplinkPowerW(const Ue& ue, unsigned prbs) const;
    unsigned SoundedPrbs() const { return std::max(1u, m_numPrbs / 4); }
    /// Whether this transmission of a block is decoded at a receiver, given the SINR of its layers and groups.
    void Decode(const Process& process, Reception& reception, const SinrMap& map, unsigned symbols,
                TransportBlockRecord record);
    void SetCombining(std::string name);
    std::string GetCombining() const { return m_redundancy ? "ir" : "chase"; }

    // Attributes.
    unsigned m_mu = 1;
    double m_bandwidthHz = 100e6, m_gnbPowerDbm = 44, m_uePowerDbm = 23, m_gnbNoiseDb = 5, m_ueNoiseDb = 9;
    double m_p0Dbm = -90, m_alpha = 0.8, m_blerTarget = 0.1;
    double m_gapDb = ErrorModel::default_gap_db;
    bool m_redundancy = true;
    std::string m_patternText = "DDDSU", m_schedulerName = "pf", m_beamsName = "eigen";
    unsigned m_mcsTableNumber = 2, m_maxLayers = 4, m_maxUplinkLayers = 1, m_controlSymbols = 1, m_dmrsPerPrb = 12,
             m_maxTransmissions = 4, m_multicastTransmissions = 4;
    int m_multicastMcs = -1;
    unsigned m_gnbDelay = 1, m_ueDelay = 1, m_k1 = 2, m_k2 = 2, m_csiPeriod = 20, m_csiDelay = 4;

    // Set up by SetGnb.
    ns3::Ptr<RadioChannel> m_channel;
    ns3::Ptr<ns3::MobilityModel> m_gnbMobility;
    ns3::Ptr<ns3::PhasedArrayModel> m_gnbArray;
    std::unique_ptr<Numerology> m_numerology;
    std::optional<SlotPattern> m_pattern;
    /// Of each slot of the pattern.
    struct SlotPlan {
        unsigned downSymbols = 0, upSymbols = 0; ///< for data
        bool uplink = false;                     ///< has uplink symbols
        std::vector<unsigned> grantsFor;         ///< uplink slots decided on here: so many slots ahead
    };
    std::vector<SlotPlan> m_plan;
    McsTable m_mcsTable = McsTable::Qam256;
    CqiTable m_cqiTable = CqiTable::Qam256;
    unsigned m_numPrbs = 0, m_prbsPerGroup = 16, m_numGroups = 0, m_samplesPerGroup = 4;
    std::vector<double> m_offsetsHz;         ///< of the SINR samples, several a group
    double m_noiseDownW = 0, m_noiseUpW = 0; ///< of one resource block
    std::vector<float> m_thresholdDb;        ///< [MCS] SINR from which it, or a higher one, meets the BLER target
    std::vector<float> m_efficiency;         ///< [MCS] bit/s/Hz
    std::vector<double> m_beta;              ///< [MCS] of EESM
    std::unique_ptr<ErrorModel> m_errors;
    ns3::Ptr<Scheduler> m_schedulerDown, m_schedulerUp;
    ns3::Ptr<Beamformer> m_beamformer;

    std::vector<std::unique_ptr<Ue>> m_ues;
    std::map<std::uint32_t, Multicast> m_multicasts; ///< by number
    std::uint32_t m_nextMulticast = 0;
    Deliver m_atUe, m_atGnb;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::vector<std::vector<Action>> m_ring; ///< [slot mod size]: what is due; longer than any delay
    std::size_t m_outstanding = 0;           ///< actions in the ring
    std::uint64_t m_slot = 0;                ///< next boundary
    bool m_running = false;
    ns3::EventId m_event;
    std::vector<Candidate> m_candidates;
    std::vector<Asking> m_asking; ///< [candidate]
    Allocation m_allocation;
    std::vector<Granted> m_granted;                   ///< [candidate]
    bool m_sharing = false;                           ///< some group of the slot has several UEs
    std::vector<unsigned> m_layersOnGroup;            ///< [group] of all UEs, downlink if m_sharing; otherwise empty
    std::vector<SharedSlot> m_sharedDown, m_sharedUp; ///< [slot mod size of m_ring]
    std::vector<float> m_sinrs, m_rise;
    std::shared_ptr<InterferenceSource> m_interference;
    Quality m_tried;
    ns3::TracedCallback<const TransportBlockRecord&> m_blockTrace;
    ns3::TracedCallback<const CsiReportRecord&> m_csiTrace;
    ns3::TracedCallback<const PacketRecord&> m_packetTrace;
};

} // namespace edgelam::nr
