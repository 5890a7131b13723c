// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One 5G NR cell: a gNB and its UEs, from bearers down to transport blocks, slot by slot.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ns3/object.h"
#include "ns3/random-variable-stream.h"
#include "ns3/traced-callback.h"

#include "nr-bearer.h"
#include "nr-block-receiver.h"
#include "nr-carrier.h"
#include "nr-grants.h"
#include "nr-interference.h"
#include "nr-links.h"
#include "nr-mac.h"
#include "nr-multicast-groups.h"
#include "nr-outside-control.h"
#include "nr-records.h"
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
/// symbols that is an occasion of its; the gNB acts on it in slot m + 1 + GnbDelay. Slot u is granted by the last slot
/// with downlink symbols that is K2 or more before u; who gets it is decided GnbDelay slots before that. Its blocks are
/// handed up at the start of slot u + 1 + GnbDelay.
///
/// A slot carries data in a direction if it has enough symbols of it: with those of control taken off and DMRS, 36
/// resource elements in a resource block; in uplink more than 2 symbols (2 are for sounding and short PUCCH).
///
/// UeDelay, K1 and K2 follow the numerology. Grants and HARQ feedback that find no room in their control channels wait;
/// scheduling requests have their occasions, and may be lost. UEs out of reach are not scheduled, and their links fail
/// (nr-radio-link).
///
/// Simplified: grants and HARQ feedback are never lost; buffer status is not quantised, and a report that is lost with
/// its block is followed by a scheduling request at once; timing advance is ideal; one bearer a direction and UE; UEs
/// are always connected, and one that slept reports as if its CSI reports had gone on; in FDD both directions fade
/// alike.
class Cell : public ns3::Object, private CellSettings {
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
    std::uint32_t NumUes() const { return m_mac ? m_mac->NumUes() : 0; }

    /// Into the bearer towards (downlink) or from (uplink) a UE. \return false if its buffer is full
    /// \param priority 0 to 7: higher ones go first
    bool SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    bool SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    /// Point-to-multipoint delivery (PTM of TS 38.300 16.10): a downlink bearer of its own (PDCP, RLC UM) to these UEs,
    /// each block sent once; see MulticastGroups. Throws std::invalid_argument for no UE, one that does not exist,
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
    /// blocks than there are, or another scheduler. Takes effect in the next slot that is scheduled; \return its
    /// number, of caps that of the first slot of which nothing was granted before
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
    unsigned NumGroups() const { return m_carrier->numGroups; }
    /// Middle of each group, relative to the carrier.
    std::vector<double> GroupCentresHz() const { return m_carrier->GroupCentresHz(); }
    /// Where SINR is taken, relative to the carrier: the same number in every group.
    const std::vector<double>& SampleOffsetsHz() const { return m_carrier->offsetsHz; }
    unsigned NumPrbs() const { return m_carrier->numPrbs; }
    /// Resource blocks of a resource block group, TS 38.214 table 5.1.2.2.1-1; 32 and 64 in carriers wider than that.
    unsigned PrbsPerGroup() const { return m_carrier->prbsPerGroup; }
    const Numerology& GetNumerology() const { return m_carrier->numerology; }
    const Bearer& DownBearer(std::uint32_t ue) const;
    const Bearer& UpBearer(std::uint32_t ue) const;
    /// The state of a UE's link as of its last measurement: one that sleeps is not measured.
    RadioLink::State GetRadioLink(std::uint32_t ue) const;
    /// Smoothed throughput of the schedulers, bit/s: what was sent, retransmissions included.
    double DownThroughputBps(std::uint32_t ue) const;
    double UpThroughputBps(std::uint32_t ue) const;
    /// Once the gNB is set.
    const ns3::Ptr<Scheduler>& GetScheduler(Direction direction) const { return m_grants->GetScheduler(direction); }
    const ns3::Ptr<Beamformer>& GetBeamformer() const { return m_beamformer; }

    /// \return number of streams used
    std::int64_t AssignStreams(std::int64_t stream);

    using BlockCallback = void (*)(const TransportBlockRecord&);
    using CsiCallback = void (*)(const CsiReportRecord&);
    using PacketCallback = void (*)(const PacketRecord&);

  protected:
    void DoDispose() override;

  private:
    /// Throws std::logic_error before SetGnb.
    void CheckSet(const char* what) const;
    /// What this bearer delivers goes to the trace source PacketDelivered; `like` says whose it is.
    void TracePackets(ReceivingEntity& entity, PacketRecord like);
    void SetCombining(std::string name);
    std::string GetCombining() const { return incrementalRedundancy ? "ir" : "chase"; }

    ns3::Ptr<RadioChannel> m_channel;
    ns3::Ptr<ns3::MobilityModel> m_gnbMobility;
    ns3::Ptr<ns3::PhasedArrayModel> m_gnbArray;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    ns3::Ptr<Beamformer> m_beamformer;
    Deliver m_atUe, m_atGnb;
    ns3::TracedCallback<const TransportBlockRecord&> m_blockTrace;
    ns3::TracedCallback<const CsiReportRecord&> m_csiTrace;
    ns3::TracedCallback<const PacketRecord&> m_packetTrace;
    // The parts, made by SetGnb; each knows those before it.
    std::unique_ptr<const Carrier> m_carrier;
    std::unique_ptr<Links> m_links;
    std::unique_ptr<Grants> m_grants;
    std::unique_ptr<BlockReceiver> m_receiver;
    std::unique_ptr<MulticastGroups> m_multicast;
    std::unique_ptr<OutsideControl> m_outside;
    std::unique_ptr<Mac> m_mac;
};

} // namespace edgelam::nr
