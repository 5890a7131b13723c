// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One 5G NR cell: a gNB and its UEs, from bearers down to transport blocks, slot by slot.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/object.h"
#include "ns3/random-variable-stream.h"
#include "ns3/traced-callback.h"

#include "nr-bands.h"
#include "nr-bearer.h"
#include "nr-error-model.h"
#include "nr-frame.h"
#include "nr-modulation.h"
#include "nr-phy-link.h"
#include "nr-scheduler.h"
#include "nr-transport-block.h"
#include "radio-channel.h"

namespace edgelam::nr {

/// One transmission of a transport block, as the trace source TransportBlock tells it.
struct TransportBlockRecord {
    std::int64_t time_ns; ///< start of the slot it is sent in
    std::uint64_t slot;
    std::uint32_t ue;     ///< number of the UE in its cell
    std::uint8_t uplink;  ///< 1: uplink
    std::uint8_t harq;    ///< process
    std::uint8_t attempt; ///< 1: first transmission
    std::uint8_t mcs, layers;
    std::uint8_t received; ///< 1: decoded
    std::uint16_t prbs;
    std::uint32_t bits; ///< transport block size
    float sinr_db;      ///< effective, with what was combined
    float bler;         ///< probability that this transmission is not decoded
};
EDGELAM_MESSAGE(TransportBlockRecord, time_ns, slot, ue, uplink, harq, attempt, mcs, layers, received, prbs, bits,
                sinr_db, bler)

/// The cell does its work at slot boundaries, and only while there is something to do: with nothing to send it has no
/// events.
///
/// Downlink: what has come before the boundary of slot n is scheduled there and goes out in slot n + GnbDelay; the UE
/// has decoded it UeDelay slots after that slot's end. Uplink: a UE with data and no grant sends a scheduling request
/// in the next uplink slot; the gNB reads it GnbDelay slots after; a grant given in slot n is for the first uplink slot
/// from n + K2 on. HARQ feedback goes in the first uplink slot from K1 slots after the transmission on. Simplified:
/// control channels are never lost and never full (their symbols are taken off); buffer status is not quantised; timing
/// advance is ideal; one bearer a direction and UE.
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
    bool SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet);
    bool SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet);
    /// Who gets packets at the UE (downlink) and at the gNB (uplink), with the UE's number.
    using Deliver = std::function<void(std::uint32_t ue, ns3::Ptr<ns3::Packet>)>;
    void SetDeliver(Deliver atUe, Deliver atGnb);

    /// External scheduler: parts of the band, and least numbers of resource blocks, of each UE in both directions.
    /// Throws std::invalid_argument for other numbers of UEs, shares outside 0 to 1, a sum above 1, more blocks than
    /// there are. Takes effect in the next slot that is scheduled; \return its number
    std::uint64_t SetShares(const std::vector<double>& down, const std::vector<double>& up);
    std::uint64_t SetLeastPrbs(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up);

    unsigned NumPrbs() const { return m_numPrbs; }
    const Numerology& GetNumerology() const { return *m_numerology; }
    const Bearer& DownBearer(std::uint32_t ue) const;
    const Bearer& UpBearer(std::uint32_t ue) const;
    /// Smoothed throughput of the schedulers, bit/s.
    double DownThroughputBps(std::uint32_t ue) const;
    double UpThroughputBps(std::uint32_t ue) const;

    /// \return number of streams used
    std::int64_t AssignStreams(std::int64_t stream);

    using BlockCallback = void (*)(const TransportBlockRecord&);

  protected:
    void DoDispose() override;

  private:
    static constexpr std::size_t num_harq = 16;
    static constexpr std::size_t ring = 256; ///< slots that things can be put off by, more than any delay

    enum class DirectionOf : std::uint8_t { Down, Up };

    struct Process {
        bool busy = false;
        bool again = false; ///< not decoded, known to the gNB: to be sent again
        std::vector<RlcPdu> pdus;
        std::optional<RlcStatus> status;
        std::uint64_t reportedBytes = 0; ///< buffer status report in it (uplink)
        std::uint32_t bits = 0, bytesGranted = 0, firstGroup = 0;
        std::uint32_t groups = 0;
        std::uint8_t mcs = 0, layers = 1, attempts = 0;
        bool decoded = false;
        CodeBlocks blocks{};
        SinrAverage average{1};
        double codedBits = 0, chaseSinr = 0, luck = 0;
    };

    /// Quality of a link as the gNB knows it.
    struct Quality {
        bool known = false;
        unsigned layers = 1;
        std::vector<float> efficiency; ///< [RBG] bit/s/Hz over all layers, from CQI
    };

    struct Side {
        explicit Side(const BearerSettings& settings) : bearer(settings) {}
        Bearer bearer;
        std::array<Process, num_harq> harq;
        Quality quality, pending;
        std::uint64_t pendingFrom = 0; ///< slot from which `pending` holds
        double outerLoopDb = 0;
        double averageBps = 0;
        std::uint64_t averagedSlot = 0;
        double share = 0;
        std::uint32_t leastGroups = 0;
        std::vector<float> bitsPerGroup;
    };

    struct Ue {
        Ue(PhyLink link, const BearerSettings& settings) : phy(std::move(link)), down(settings), up(settings) {}
        PhyLink phy;
        Side down, up;
        std::uint64_t measuredSlot = 0;
        bool measured = false;
        std::uint64_t knownBytes = 0;   ///< uplink backlog as the gNB knows it
        std::uint64_t grantedBytes = 0; ///< in grants whose blocks have not come yet
        bool requested = false;         ///< a scheduling request is on its way
        std::uint32_t grants = 0;       ///< grants for slots to come
    };

    enum class What : std::uint8_t { DownReceived, DownFeedback, UpReceived, Request, SendUp };
    struct Action {
        What what;
        std::uint32_t ue;
        std::uint8_t harq;
    };

    void Wake();
    void Slot();
    bool Busy() const;
    void Do(const Action& action, std::uint64_t slot);
    void At(std::uint64_t slot, Action action);
    void ScheduleDown(std::uint64_t slot);
    void ScheduleUp(std::uint64_t slot, std::uint64_t forSlot);
    void Request(std::uint64_t slot);
    void TransmitDown(Ue& ue, std::uint32_t number, std::size_t harq, const std::vector<std::uint32_t>& groups,
                      std::uint64_t slot);
    void TransmitUp(std::uint32_t number, std::size_t harq, std::uint64_t slot);
    void Measure(Ue& ue, std::uint64_t slot);
    void Adopt(Side& side, std::uint64_t slot) const;
    void FillRates(Side& side, unsigned symbols) const;
    void Average(Side& side, std::uint64_t slot, double bits);
    unsigned PrbsOf(std::uint32_t group) const;
    /// Power of one resource block of the gNB over the noise of one at the UE.
    double DownlinkSnr() const;
    unsigned DataElements(unsigned prbs, unsigned symbols) const;
    unsigned ChooseMcs(const Side& side, const std::vector<std::uint32_t>& groups) const;
    double UplinkPowerW(Ue& ue, unsigned prbs) const;
    /// Draws whether a block is decoded, given the SINR of its layers and groups.
    void Decode(Process& process, const SinrMap& map, const std::vector<std::uint32_t>& groups, unsigned elements,
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
    unsigned m_mcsTableNumber = 2, m_maxLayers = 4, m_controlSymbols = 1, m_dmrsPerPrb = 12, m_maxTransmissions = 4;
    unsigned m_gnbDelay = 1, m_ueDelay = 1, m_k1 = 2, m_k2 = 2, m_csiPeriod = 20, m_csiDelay = 4;

    // Set up by SetGnb.
    ns3::Ptr<RadioChannel> m_channel;
    ns3::Ptr<ns3::MobilityModel> m_gnbMobility;
    ns3::Ptr<ns3::PhasedArrayModel> m_gnbArray;
    std::unique_ptr<Numerology> m_numerology;
    std::optional<SlotPattern> m_pattern;
    McsTable m_mcsTable = McsTable::Qam256;
    CqiTable m_cqiTable = CqiTable::Qam256;
    unsigned m_numPrbs = 0, m_prbsPerGroup = 16, m_numGroups = 0, m_samplesPerGroup = 4;
    std::vector<double> m_offsetsHz;         ///< of the SINR samples, several a group
    double m_noiseDownW = 0, m_noiseUpW = 0; ///< of one resource block
    std::vector<float> m_thresholdDb;        ///< [MCS] SINR for the BLER target
    std::unique_ptr<ErrorModel> m_errors;
    std::unique_ptr<Scheduler> m_schedulerDown, m_schedulerUp;

    std::vector<std::unique_ptr<Ue>> m_ues;
    Deliver m_atUe, m_atGnb;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::array<std::vector<Action>, ring> m_ring;
    std::size_t m_outstanding = 0; ///< actions in the ring
    std::uint64_t m_slot = 0;      ///< next boundary
    bool m_running = false;
    ns3::EventId m_event;
    std::vector<Candidate> m_candidates;
    std::vector<std::uint8_t> m_candidateHarq;
    std::vector<std::uint32_t> m_owner, m_taken;
    std::vector<float> m_sinrs;
    ns3::TracedCallback<const TransportBlockRecord&> m_blockTrace;
};

} // namespace edgelam::nr
