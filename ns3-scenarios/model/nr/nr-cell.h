// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One 5G NR cell: a gNB and its UEs, from bearers down to transport blocks, slot by slot.
#pragma once

#include <array>
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

#include "nr-air.h"
#include "nr-beam-management.h"
#include "nr-bearers.h"
#include "nr-block-receiver.h"
#include "nr-carrier.h"
#include "nr-connection.h"
#include "nr-grants.h"
#include "nr-interference.h"
#include "nr-links.h"
#include "nr-mac.h"
#include "nr-multicast-groups.h"
#include "nr-outside-control.h"
#include "nr-radio-energy.h"
#include "nr-records.h"
#include "nr-slices.h"
#include "nr-slot-clock.h"
#include "radio-channel.h"

namespace edgelam::nr {

/// The cell does its work at slot boundaries, and only while there is something to do: with nothing to send it has no
/// events.
///
/// Downlink: packets that came before the start of slot n are put into blocks at that time. The blocks are on the air
/// in slot n + GnbDelay, and are handed up at the start of slot n + GnbDelay + 1 + UeDelay. HARQ feedback for a block
/// of slot s is sent in the first slot with uplink symbols that is K1 slots or more after s and not before the UE has
/// decoded the block; the gNB acts on it 1 + GnbDelay slots later.
///
/// Uplink: a UE with data that the gNB does not know about sends a scheduling request in its next occasion, a slot m
/// with uplink symbols; the gNB acts on it in slot m + 1 + GnbDelay. The grants for slot u are sent in the last slot
/// with downlink symbols that is K2 slots or more before u; the scheduler decides GnbDelay slots before that. The
/// blocks are handed up at the start of slot u + 1 + GnbDelay.
///
/// A slot carries data in a direction if it has enough symbols for it: without control symbols and DMRS, 36 resource
/// elements must remain in a resource block; uplink needs more than 2 symbols (2 are for sounding and short PUCCH).
///
/// UeDelay, K1 and K2 depend on the numerology. Grants and HARQ feedback wait if their control channels have no room
/// for them; scheduling requests are sent in their occasions only, and may be lost. UEs out of reach are not scheduled,
/// and their links fail (nr-radio-link).
///
/// Simplified: grants and HARQ feedback are never lost; buffer status is not quantised, and a report that is lost with
/// its block is followed by a scheduling request at once; timing advance is ideal; guaranteed rates have no
/// admission control; UEs are always connected, and one that slept reports as if its CSI reports had continued; in FDD
/// both directions have the same fading.
///
/// A cell by itself, as here, has no interference; several of them are a Network.
class Cell : public ns3::Object, private CellSettings {
  public:
    static ns3::TypeId GetTypeId();
    Cell();
    ~Cell() override;

    /// Set the gNB. Call this before the first AddUe. Throws std::invalid_argument for settings that do not go
    /// together: bandwidth and numerology, frequency range, pattern.
    void SetGnb(ns3::Ptr<RadioChannel> channel, ns3::Ptr<ns3::MobilityModel> mobility,
                ns3::Ptr<ns3::PhasedArrayModel> array);
    /// Add a UE with these bearers (see Bearers); by default it has one. Throws std::invalid_argument for bearers that
    /// are not legal, and for a guaranteed rate above what the cell can carry.
    /// \return the UE's number, 0, 1, ...
    std::uint32_t AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                        const std::vector<QosBearer>& bearers);
    std::uint32_t AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                        const BearerSettings& bearer = {}) {
        return AddUe(mobility, array, std::vector{QosBearer{bearer}});
    }
    std::uint32_t NumUes() const { return m_links ? m_links->NumUes() : 0; }

    /// For Network, which has UEs of its own numbers and lets them come and go.
    struct Surroundings {
        std::shared_ptr<SlotClock> clock; ///< of all cells of the carrier
        std::shared_ptr<Air> air;
        std::uint32_t number; ///< of this cell
        std::uint64_t rank;   ///< among the cells of the carrier
    };
    /// Become one of several cells. After SetGnb, and before the first UE; AddUe is refused from now on.
    void Join(const Surroundings& surroundings);
    /// Whether one more UE may enter, when so many are on their way already (PUCCH, see SrPeriod).
    bool HasRoom(std::uint32_t coming = 0) const { return NumUes() + coming < m_mac->RequestRoom(); }
    /// Throws std::invalid_argument for a UE that is higher than the gNB.
    void CheckPlace(const ns3::Ptr<ns3::MobilityModel>& ue) const;
    /// UEs have numbers below this one, wherever they are.
    void SetNumNumbers(std::uint32_t count) { m_links->SetNumNumbers(count); }
    void Attach(std::uint32_t ue, ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                std::shared_ptr<Connection> connection);
    /// The UE leaves. From now on it listens all the time, and may send preambles, which counts as energy here until it
    /// enters a cell: then Forget is called first.
    void Detach(std::uint32_t ue);
    /// \param slot the first in which the UE is elsewhere
    void Forget(std::uint32_t ue, std::uint64_t slot);
    void SendPreamble(std::uint32_t ue, double dbm);
    /// The numbers of the UEs in the cell, in ascending order.
    const std::vector<std::uint32_t>& Ues() const { return m_links->Ues(); }
    const Carrier& GetCarrier() const { return *m_carrier; }
    const ns3::Ptr<RadioChannel>& GetChannel() const { return m_channel; }
    const ns3::Ptr<ns3::MobilityModel>& GetGnbMobility() const { return m_gnbMobility; }
    const ns3::Ptr<ns3::PhasedArrayModel>& GetGnbArray() const { return m_gnbArray; }

    /// Send a packet through a bearer to (downlink) or from (uplink) a UE. \return false if its buffer is full
    /// \param priority 0 to 7: higher priorities of a bearer are sent first
    bool SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0, unsigned bearer = 0);
    bool SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0, unsigned bearer = 0);
    /// Point-to-multipoint delivery (PTM of TS 38.300 16.10): a separate downlink bearer (PDCP, RLC UM) to these UEs,
    /// which sends each block once; see MulticastGroups. Throws std::invalid_argument if there is no UE, if one does
    /// not exist, or if one is named twice.
    /// \return the number of the group, 0, 1, ...; numbers are never used again
    std::uint32_t AddMulticast(const std::vector<std::uint32_t>& ues);
    /// Send a packet through a group's bearer. Each receiver gets its own copy. \return false if the buffer is full
    bool SendMulticast(std::uint32_t group, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0);
    /// Remove a group. \return false, and the group stays, while some of its data waits or is under way
    bool RemoveMulticast(std::uint32_t group);
    const Bearer& MulticastBearer(std::uint32_t group) const; ///< the sending end
    /// Let UEs of the cell send at once, on the same resource blocks of uplink slots; see AnalogTransfers. Throws
    /// std::invalid_argument for a wish that is not legal, a UE that is not in the cell, and with analog beams, of
    /// which a slot has one.
    /// \return withdraws what has no slot yet; as long as the cell exists
    std::function<void()> SendAnalog(AnalogWish wish);
    /// The receivers of packets at the UE (downlink) and at the gNB (uplink); they are called with the UE's number.
    using Deliver = std::function<void(std::uint32_t ue, ns3::Ptr<ns3::Packet>)>;
    void SetDeliver(Deliver atUe, Deliver atGnb);

    /// External scheduler: for each UE in both directions, its share of the band, its least number of resource blocks
    /// (rounded up to groups of them), and its cap in resource blocks in a slot (see ExternalScheduler). Throws
    /// std::invalid_argument, and changes nothing, for another number of UEs, shares outside 0 to 1, a sum above 1 (of
    /// the UEs in the cell), more blocks than the band has, or another scheduler. The values take effect in the next
    /// slot that is scheduled;
    /// \return its number; for caps, the number of the first slot in which nothing has been granted yet
    std::uint64_t SetShares(const std::vector<double>& down, const std::vector<double>& up) {
        return Shares(down, up)();
    }
    std::uint64_t SetLeastPrbs(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
        return LeastPrbs(down, up)();
    }
    std::uint64_t SetPrbCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
        return PrbCaps(down, up)();
    }
    /// The same in two steps, for who sets several cells or none: what is not legal is refused at once, and the change
    /// is made when the result is called, before anything else changes the cell.
    using Change = std::function<std::uint64_t()>;
    Change Shares(const std::vector<double>& down, const std::vector<double>& up);
    Change LeastPrbs(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up);
    Change PrbCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up);

    /// External beams: weights of the gNB for each UE and each group of resource blocks, complex64 [ue, group, element,
    /// layer] in C order with MaxLayers layers; see ReadPrecoders. A UE is sent (downlink) as many layers as it has
    /// been given; without a precoder (all zero, as at the beginning) it has eigenvectors. Throws
    /// std::invalid_argument, and changes nothing, for weights that ReadPrecoders refuses, more layers than the
    /// antennas of a UE allow, or a cell with other beams. Everything that is sent or decided from the next slot on
    /// uses them; \return the number of this slot. With its first block from then on, a UE reports the CQI for them
    /// (CSI-RS use the same precoders).
    std::uint64_t SetPrecoders(std::span<const std::complex<float>> weights) { return Precoders(weights)(); }
    Change Precoders(std::span<const std::complex<float>> weights);
    /// The same from the weights of each UE [ue], some of which may have none.
    Change PrecodersOf(std::span<const UeWeights> weights);

    /// Set the interference at the receivers from now on; null: none. For CSI reports and link adaptation the receivers
    /// know its mean over the reports and blocks in which they measured it.
    void SetInterference(std::shared_ptr<InterferenceSource> source);

    /// The number of groups of resource blocks. Each has PrbsPerGroup blocks, but the last may have fewer.
    unsigned NumGroups() const { return m_carrier->numGroups; }
    /// Middle of each group, relative to the carrier.
    std::vector<double> GroupCentresHz() const { return m_carrier->GroupCentresHz(); }
    /// The frequencies at which SINR is computed, relative to the carrier: the same number in every group.
    const std::vector<double>& SampleOffsetsHz() const { return m_carrier->offsetsHz; }
    unsigned NumPrbs() const { return m_carrier->numPrbs; }
    /// Resource blocks in a resource block group, from TS 38.214 table 5.1.2.2.1-1; 32 and 64 in carriers wider than
    /// the table has.
    unsigned PrbsPerGroup() const { return m_carrier->prbsPerGroup; }
    const Numerology& GetNumerology() const { return m_carrier->numerology; }
    const Bearer& DownBearer(std::uint32_t ue, unsigned bearer = 0) const;
    const Bearer& UpBearer(std::uint32_t ue, unsigned bearer = 0) const;
    /// All bearers of a UE in one direction.
    const Bearers& GetBearers(std::uint32_t ue, Direction direction) const;
    /// The next slot boundary, or the present time if it is one.
    std::uint64_t NextSlot() const { return m_mac->NextSlot(); }
    /// Greatest rate of the cell in this direction, bit/s: all resource blocks, most layers, the best MCS.
    double PeakBps(Direction direction) const;
    /// Throw std::invalid_argument for bearers that are not legal, and for a guaranteed rate above what the cell can
    /// carry.
    void CheckBearers(const std::vector<QosBearer>& bearers) const;
    void CheckGuaranteed(double bps, Direction direction) const;
    /// Set guaranteed rates, bit/s, [direction, ue, bearer], from now on. Throws std::invalid_argument, and changes
    /// nothing, for rates that AddUe would refuse.
    void SetGuaranteed(std::span<const double> bps);
    /// Shares, and caps in resource blocks, of each slice (attribute Slices) in both directions, and the cap of the
    /// whole cell [direction], from the next slot that is scheduled on; see SliceBudget. Throw std::invalid_argument,
    /// and change nothing, for another number of slices, shares that are not legal, caps above the band, and a
    /// scheduler that is not derived from ExclusiveScheduler. \return the number of the slot; for caps as SetPrbCaps
    std::uint64_t SetSliceShares(const std::vector<double>& down, const std::vector<double>& up) {
        return SliceShares(down, up)();
    }
    std::uint64_t SetSliceCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
        return SliceCaps(down, up)();
    }
    std::uint64_t SetCellCaps(std::uint32_t down, std::uint32_t up) { return CellCaps(down, up)(); }
    Change SliceShares(const std::vector<double>& down, const std::vector<double>& up);
    Change SliceCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up);
    Change CellCaps(std::uint32_t down, std::uint32_t up);
    std::uint32_t NumSlices() const { return static_cast<std::uint32_t>(m_slices.size()); }
    /// [ue] its slice; -1: none. Throws std::invalid_argument if Slices names a UE that does not exist.
    std::vector<std::int32_t> SliceOfUes() const;
    /// Radio link monitoring of all UEs that make no reports at present, as they have nothing to send or get.
    void WatchSilent();
    /// The state of a UE's link at its last measurement. A UE that has nothing to send or get is measured by
    /// WatchSilent only.
    RadioLink::State GetRadioLink(std::uint32_t ue) const;
    /// Smoothed throughput of the schedulers, bit/s: all bits sent, including retransmissions.
    double DownThroughputBps(std::uint32_t ue) const;
    double UpThroughputBps(std::uint32_t ue) const;
    /// Energy of the radio of a UE, and of the gNB, up to the beginning of the present slot, J (nr-radio-energy).
    double UeJoules(std::uint32_t ue, Direction direction);
    double GnbJoules(Direction direction);
    /// The most that the radio of a UE takes that is or was in the cell, W; 0: there was none.
    double UePeakW() const { return m_energy->UePeakW(); }
    /// Let the trace source Power tell everything up to the beginning of the present slot.
    void AccountForEnergy();
    /// To be called after SetGnb.
    const ns3::Ptr<Scheduler>& GetScheduler(Direction direction) const { return m_grants->GetScheduler(direction); }
    const ns3::Ptr<Beamformer>& GetBeamformer() const { return m_beamformer; }
    /// Analog beams of the gNB and of UEs. Throws std::invalid_argument if Beams are others.
    BeamManagement& GetBeamManagement() const;
    bool HasAnalogBeams() const { return m_beamManagement != nullptr; }
    /// The orthonormal beams through which the gNB receives a UE, [element, beam], as of its last report in use.
    const PortWeights& ReceivingBeams(std::uint32_t ue) const { return m_links->Of(ue).Receivers(); }

    /// \return number of streams used
    std::int64_t AssignStreams(std::int64_t stream);

    using BlockCallback = void (*)(const TransportBlockRecord&);
    using CsiCallback = void (*)(const CsiReportRecord&);
    using PacketCallback = void (*)(const PacketRecord&);
    using PowerCallback = void (*)(const PowerRecord&);
    using BeamCallback = void (*)(const BeamRecord&);

  protected:
    void DoDispose() override;

  private:
    /// The attributes of DRX and of energy.
    static ns3::TypeId AddEnergy(ns3::TypeId tid);
    /// The attributes of analog beams.
    static ns3::TypeId AddBeams(ns3::TypeId tid);
    /// Throws std::invalid_argument for settings that do not go together.
    void MakeBeamManagement(const ns3::PhasedArrayModel& array);
    void AddAnalog(std::uint32_t ue, ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array);
    /// The result of a Change.
    Change FromNextSlot(std::function<void()> change, std::uint64_t granted = 0);
    void CheckCap(std::uint32_t prbs) const;
    /// Read the attribute Slices.
    void MakeSlices();
    /// What slices and the cell may use in each direction.
    std::array<SliceBudget*, 2> Budgets(const char* what) const;
    /// The attributes of quality of service.
    static ns3::TypeId AddQuality(ns3::TypeId tid);
    /// Throws std::logic_error before SetGnb.
    void CheckSet(const char* what) const;
    /// Connect the packets that this bearer delivers to the trace source PacketDelivered; `like` says to whom they
    /// belong.
    void TracePackets(ReceivingEntity& entity, PacketRecord like);
    /// Throws std::invalid_argument as CheckPlace does.
    ns3::Ptr<ChannelLink> LinkTo(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array) const;
    void SetCombining(std::string name);
    std::string GetCombining() const { return incrementalRedundancy ? "ir" : "chase"; }

    ns3::Ptr<RadioChannel> m_channel;
    ns3::Ptr<ns3::MobilityModel> m_gnbMobility;
    ns3::Ptr<ns3::PhasedArrayModel> m_gnbArray;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    ns3::Ptr<Beamformer> m_beamformer;
    Deliver m_atUe, m_atGnb;
    bool m_isOneOfSeveral = false;
    std::vector<SliceSettings::Slice> m_slices;
    std::vector<std::int32_t> m_sliceOf;
    ns3::TracedCallback<const TransportBlockRecord&> m_blockTrace;
    ns3::TracedCallback<const CsiReportRecord&> m_csiTrace;
    ns3::TracedCallback<const PacketRecord&> m_packetTrace;
    ns3::TracedCallback<const PowerRecord&> m_powerTrace;
    ns3::TracedCallback<const BeamRecord&> m_beamTrace;
    // The parts are made by SetGnb; each knows those before it.
    std::unique_ptr<const Carrier> m_carrier;
    std::unique_ptr<Links> m_links;
    std::unique_ptr<BeamManagement> m_beamManagement; ///< null: no analog beams
    std::unique_ptr<Grants> m_grants;
    std::unique_ptr<BlockReceiver> m_receiver;
    std::unique_ptr<RadioEnergy> m_energy;
    std::unique_ptr<MulticastGroups> m_multicast;
    std::unique_ptr<OutsideControl> m_outside;
    std::unique_ptr<Mac> m_mac;
};

} // namespace edgelam::nr
